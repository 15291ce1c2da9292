"""There is one clock, so that tests can move time: Python asks the transaction, and SQL reads `app.now()`."""

import re
from collections.abc import Iterator, Sequence

from tools.gates.names import find_uses
from tools.gates.places import is_any_of, is_shipped
from tools.gates.source import Finding, Source
from tools.gates.statements import find_statements
from tools.gates.strings import find_strings

PLACES = ("switchboard/kernel/clock.py",)
_NAMES = {
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
    "time.time",
    "time.time_ns",
    "whenever.Instant.now",
    "whenever.ZonedDateTime.now",
    "whenever.Date.today_in_system_tz",
}
# The clock itself and what is generated from it; the ledger of migrations, which is older than any function of ours;
# and figures about Postgres, which goes by its own clock.
SQL_PLACES = (
    "switchboard/migrations/0001_kernel.up.sql",
    "switchboard/migrations/schema.sql",
    "switchboard/kernel/migration_ledger.py",
    "switchboard/ops/diagnostic_queries.py",
)
_SQL_CLOCK = re.compile(
    r"(?<!app\.)\bnow\(\)"
    r"|\b(clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\(\)"
    r"|\b(CURRENT_TIMESTAMP|CURRENT_DATE|CURRENT_TIME|LOCALTIMESTAMP|LOCALTIME)\b",
    re.IGNORECASE,
)


def check(tree: Sequence[Source]) -> Iterator[Finding]:
    for source in tree:
        if is_shipped(source):
            if source.is_python and not is_any_of(source, *PLACES):
                yield from _check_python(source)
            if not is_any_of(source, *SQL_PLACES):
                yield from _check_sql(source)


def _check_python(source: Source) -> Iterator[Finding]:
    for use in find_uses(source):
        if use.full_name in _NAMES:
            yield source.find(use.line, f"{use.full_name}: ask kernel/clock.py for the time")


def _check_sql(source: Source) -> Iterator[Finding]:
    if source.path.suffix == ".sql":
        texts = list(enumerate((line.partition("--")[0] for line in source.lines), start=1))
    elif source.is_python:
        statements = {id(node) for node in find_statements(source)}
        texts = [(text.node.lineno, text.value) for text in find_strings(source) if id(text.node) in statements]
    else:
        return
    for line, text in texts:
        if clock := _SQL_CLOCK.search(text):
            yield source.find(line, f"{clock.group()}: SQL reads the one clock, app.now()")
