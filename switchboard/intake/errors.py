"""What can go wrong at the door."""

from switchboard.kernel.errors import ConflictError, NotFoundError, SwitchboardError, UnavailableError


class UnknownTokenError(NotFoundError):
    """No source has that token, or it is paused: strangers are told the same."""

    code = "unknown_source"

    def __init__(self) -> None:
        super().__init__("There is no source at this address. Copy the address from the source's page.")


class PostOnlyError(SwitchboardError):
    """Another method than POST on an intake address."""

    code = "method_not_allowed"
    status = 405

    def __init__(self) -> None:
        super().__init__("Send signals to this address with POST.")


class SignalMissingError(NotFoundError):
    """No such signal in the caller's workspace."""

    code = "signal_missing"

    def __init__(self) -> None:
        super().__init__("There is no such signal. It may be older than what is kept.")


class ImportMissingError(NotFoundError):
    """No such import in the caller's workspace."""

    code = "import_missing"

    def __init__(self) -> None:
        super().__init__("There is no such import.")


class ImportStateError(ConflictError):
    """The import has moved on since the page was loaded."""

    code = "import_state"

    def __init__(self, state: str) -> None:
        super().__init__(f"This import is {state} by now, so that cannot be done. Load the page again.")


class SourceMissingError(NotFoundError):
    """No such source in the caller's workspace."""

    code = "source_missing"

    def __init__(self) -> None:
        super().__init__("There is no such source.")


class SourceNameTakenError(ConflictError):
    """Another source of the workspace has that name."""

    code = "source_name_taken"

    def __init__(self) -> None:
        super().__init__("A source of that name exists already. Choose another name.")


class IntakeFullError(UnavailableError):
    """More is arriving than can be committed; nothing was taken."""

    code = "intake_full"

    def __init__(self) -> None:
        super().__init__("More signals are arriving than can be stored. Send this one again.", retry_after_seconds=1)


class SpoolFullError(UnavailableError):
    """Postgres is away and there is no more room to keep signals until it is back; nothing was taken."""

    code = "spool_full"

    def __init__(self) -> None:
        super().__init__(
            "The database is away and there is no more room to keep signals for it. Send this one again.",
            retry_after_seconds=5,
        )


class UncertainTokenError(UnavailableError):
    """Postgres is away, and nobody here has seen that token before."""

    code = "source_not_known_yet"

    def __init__(self) -> None:
        super().__init__(
            "The database is away, so nobody can tell whose address this is. Send this again shortly.",
            retry_after_seconds=5,
        )
