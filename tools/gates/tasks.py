"""What happens later is a row in a queue. Tasks and threads outside the kernel and ops need a reason."""

from collections.abc import Iterator, Sequence

from tools.gates.names import find_uses
from tools.gates.places import is_any_of, is_shipped
from tools.gates.source import Finding, Source

PLACES = ("switchboard/kernel/*.py", "switchboard/ops/*.py")
_NAMES = {
    "asyncio.create_task",
    "asyncio.ensure_future",
    "asyncio.run_coroutine_threadsafe",
    "asyncio.get_running_loop.create_task",
    "asyncio.get_event_loop.create_task",
    "loop.create_task",
    "concurrent.futures.ProcessPoolExecutor",
    "concurrent.futures.ThreadPoolExecutor",
    "fastapi.BackgroundTasks",
    "multiprocessing.Process",
    "starlette.background.BackgroundTask",
    "starlette.background.BackgroundTasks",
    "threading.Thread",
    "threading.Timer",
}


def check(tree: Sequence[Source]) -> Iterator[Finding]:
    for source in tree:
        if source.is_python and is_shipped(source) and not is_any_of(source, *PLACES):
            for use in find_uses(source):
                if use.is_call and use.full_name in _NAMES:
                    message = f"{use.full_name}: a crash forgets it; make it a row in a queue (kernel/queues)"
                    yield source.find(use.line, message)
