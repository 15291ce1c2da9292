"""What a supervisor is to run, as plain data that survives `exec`."""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from switchboard.kernel.embedded import Handover


@dataclass(frozen=True, slots=True)
class ChildPlan:
    """One program to keep running.

    `env` is its whole environment; None hands ours on. `stop_seconds` is how long it may take over a SIGTERM.
    `once` is for a program with an end: it is started again only when it failed.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None
    stop_seconds: float = 15.0
    once: bool = False


@dataclass(frozen=True, slots=True)
class Readiness:
    """The address that answers 2xx once the system works, and what to say then.

    After `limit_seconds` without such an answer the supervisor says that it still waits.
    """

    host: str
    port: int
    announcement: str
    path: str = "/health/ready"
    limit_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class SupervisionPlan:
    """The children, which stop in this order, and the embedded Postgres, which stops after them.

    `scratch` is a folder that nobody needs once they have all ended.
    """

    children: Sequence[ChildPlan]
    readiness: Readiness | None = None
    postgres: Handover | None = None
    scratch: str | None = None


def write_plan(plan: SupervisionPlan) -> int:
    """Put the plan into an unnamed file and return its descriptor, open over `exec`.

    Neither the arguments, which everybody can list, nor a named file are places for an environment with secrets.
    """
    with tempfile.TemporaryFile() as file:
        file.write(json.dumps(asdict(plan)).encode())
        file.flush()
        file.seek(0)
        descriptor = os.dup(file.fileno())
    os.set_inheritable(descriptor, True)
    return descriptor


def read_plan(descriptor: int) -> SupervisionPlan:
    """The plan that `write_plan` left under this descriptor, which is closed."""
    with os.fdopen(descriptor, "rb") as file:
        shape = json.loads(file.read())
    return SupervisionPlan(
        children=[ChildPlan(**child) for child in shape["children"]],
        readiness=Readiness(**shape["readiness"]) if shape["readiness"] else None,
        postgres=Handover(**shape["postgres"]) if shape["postgres"] else None,
        scratch=shape["scratch"],
    )
