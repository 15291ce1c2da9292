"""What goes wrong: each event by its name, and the deck that is shuffled by a seed."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.chaos.fleet import Fleet
from tests.chaos.network import Network
from tests.chaos.world import World
from tests.external.own_postgres import OWNER
from tests.processes import eventually

BLOCK = bytes(1024 * 1024)
# How often each is in the deck.
DECK = {
    "kill_serve": 3,
    "kill_work": 4,
    "end_backends": 4,
    "stop_postgres": 3,
    "stall_worker": 2,
    "fill_disk": 1,
    "exhaust_connections": 1,
    "step_clock": 2,
    "cut_network": 2,
}
LEASE_SECONDS = 60.0
BEYOND_LEASES = f"{LEASE_SECONDS + 5} s"


@dataclass(slots=True)
class Chaos:
    """Lets events happen one after the other; what lasts ends by itself while others happen.

    `stall_seconds` is how long a worker stands still, `cut_seconds` how long its cable is pulled.
    """

    world: World
    fleet: Fleet
    network: Network | None
    disk: Path | None
    chance: random.Random
    stall_seconds: float
    cut_seconds: float
    happened: list[tuple[float, str]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    _endings: list[tuple[float, str, Callable[[], None]]] = field(default_factory=list)

    @property
    def missing(self) -> dict[str, str]:
        """Events that cannot happen on this machine, with the reason."""
        reasons = {}
        if self.network is None:
            reasons["cut_network"] = "no network namespace can be made here"
        if self.disk is None:
            reasons["fill_disk"] = "nothing can be mounted here"
        return reasons

    @property
    def counts(self) -> dict[str, int]:
        """How often each has happened."""
        return dict(Counter(name.partition(" ")[0] for _, name in self.happened))

    def run(self, seconds: float, pauses: tuple[float, float]) -> None:
        """Go through the deck, and through it again, for so long; then everything is mended."""
        deck: list[str] = []
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            deck = deck or self._shuffled()
            self._let_happen(deck.pop())
            self._pause(self.chance.uniform(*pauses))
        self.mend()

    def mend(self) -> None:
        """End what lasts, and let everything run; where leases are not waited for, the clock goes beyond them."""
        for _, _, end in self._endings:
            end()
        self._endings.clear()
        self._bring_postgres_back()
        self._set_clock("0" if self.waits_for_leases else BEYOND_LEASES)

    @property
    def waits_for_leases(self) -> bool:
        return self.stall_seconds > LEASE_SECONDS

    def _shuffled(self) -> list[str]:
        deck = [name for name, times in DECK.items() for _ in range(times) if name not in self.missing]
        self.chance.shuffle(deck)
        return deck

    def _let_happen(self, name: str) -> None:
        if any(lasting == name for _, lasting, _ in self._endings):
            return
        at = time.monotonic() - self.began
        detail = getattr(self, f"_{name}")()
        self.happened.append((round(at, 1), f"{name} {detail}".strip()))

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (now := time.monotonic()) < deadline:
            for ending in [each for each in self._endings if each[0] <= now]:
                self._endings.remove(ending)
                ending[2]()
            time.sleep(0.05)

    def _later(self, seconds: float, name: str, end: Callable[[], None]) -> None:
        self._endings.append((time.monotonic() + seconds, name, end))

    def _kill_serve(self) -> str:
        return self._kill("serve")

    def _kill_work(self) -> str:
        return self._kill("work")

    def _kill(self, word: str) -> str:
        member = self.chance.choice(self.fleet.of(word))
        member.signal(signal.SIGKILL)
        return member.name

    def _end_backends(self) -> str:
        number = self.chance.randint(1, 6)
        with suppress(psycopg.Error):
            self.world.do(
                "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE usename = %s"
                " ORDER BY md5(pid::text || %s) LIMIT %s) AS some",
                OWNER,
                str(self.chance.random()),
                number,
            )
        return str(number)

    def _stop_postgres(self) -> str:
        seconds = self.chance.uniform(0, 5)
        with suppress(subprocess.CalledProcessError):
            self.world.server.stop_at_once()
        self._pause(seconds)
        self._bring_postgres_back()
        return f"{seconds:.1f} s"

    def _bring_postgres_back(self) -> None:
        """Start it unless it answers; recovery may take its time."""

        def answers() -> bool:
            if not self.world.server.is_alive():
                with suppress(subprocess.CalledProcessError):
                    self.world.server.start()
            with suppress(psycopg.Error):
                return self.world.number("SELECT 1") == 1
            return False

        eventually(answers, seconds=60, what="Postgres answering")

    def _stall_worker(self) -> str:
        """Without the time to wait for a lease, the database's clock goes beyond it."""
        member = self.chance.choice(self.fleet.of("work"))
        process = member.process
        assert process is not None
        member.signal(signal.SIGSTOP)

        def go_on() -> None:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)

        self._later(self.stall_seconds, "stall_worker", go_on)
        if not self.waits_for_leases:
            self._set_clock(BEYOND_LEASES)
            self._later(self.stall_seconds, "step_clock", lambda: self._set_clock("0"))
        return f"{member.name} {self.stall_seconds:.0f} s"

    def _step_clock(self) -> str:
        seconds = self.chance.choice([-120, -30, -5, 5, 30, 90])
        self._set_clock(f"{seconds} s")
        self._later(self.chance.uniform(2, 8), "step_clock", lambda: self._set_clock("0"))
        return f"{seconds:+d} s"

    def _set_clock(self, shift: str) -> None:
        with suppress(psycopg.Error):
            self.world.do("UPDATE app.clock_shift SET shift = %s::interval", shift)

    def _exhaust_connections(self) -> str:
        """Take every connection that is left, and end a few so that processes have to ask for new ones."""
        with ExitStack() as held:
            taken = 0
            with suppress(psycopg.Error):
                while taken < 500:
                    held.enter_context(psycopg.connect(self.world.application_url, connect_timeout=5))
                    taken += 1
            self._end_backends()
            self._pause(self.chance.uniform(1, 5))
        return f"{taken} taken"

    def _fill_disk(self) -> str:
        assert self.disk is not None
        filler = self.disk / "filler"
        descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT)
        seconds = self.chance.uniform(3, 7)
        try:
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                with suppress(OSError):
                    os.write(descriptor, BLOCK)
                self._pause(0 if self._has_room(descriptor) else 0.1)
        finally:
            os.close(descriptor)
            filler.unlink()
        self._bring_postgres_back()
        return f"{seconds:.1f} s"

    def _has_room(self, descriptor: int) -> bool:
        found = os.fstatvfs(descriptor)
        return found.f_bavail * found.f_frsize > len(BLOCK)

    def _cut_network(self) -> str:
        assert self.network is not None
        self.network.pull_cable()
        seconds = self.cut_seconds * self.chance.uniform(0.7, 1.3)
        self._later(seconds, "cut_network", self.network.plug_cable)
        return f"{seconds:.0f} s"
