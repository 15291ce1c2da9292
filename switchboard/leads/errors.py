"""What can go wrong with leads."""

from collections.abc import Sequence

from switchboard.kernel.errors import ConflictError, InvalidError, NotFoundError, Problem


class LeadNotFoundError(NotFoundError):
    """No such lead, or a stranger's."""

    code = "lead_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such lead. Check the address, or look for it in the list.")


class StageUnknownError(InvalidError):
    """No stage has that key."""

    code = "stage_unknown"

    def __init__(self, stage: str, known: Sequence[str]) -> None:
        problem = Problem("stage", f"expected one of {', '.join(known)}")
        super().__init__(f"There is no stage {stage!r}.", problems=[problem])


class StageInUseError(ConflictError):
    """Leads stand in the stage, or it is the last of its kind."""

    code = "stage_in_use"


class OpenAlreadyError(ConflictError):
    """The contact has an open lead already, and has one at a time."""

    code = "lead_open_already"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} has another open lead. Work on that one, or close it first.")


class ClosedError(ConflictError):
    """The lead is closed, so there is nothing to accept or assign."""

    code = "lead_closed"

    def __init__(self) -> None:
        super().__init__("This lead is closed. Reopen it first.")
