"""What can go wrong with flows."""

from switchboard.kernel.errors import ConflictError, NotFoundError


class FlowNotFoundError(NotFoundError):
    """No such flow, or a stranger's."""

    code = "flow_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such flow. Choose one from the list of flows.")


class FlowVersionNotFoundError(NotFoundError):
    """The flow has no version of that number."""

    code = "flow_version_not_found"

    def __init__(self, version: int) -> None:
        super().__init__(f"This flow has no version {version}. Choose one from its list of versions.")


class StepError(ConflictError):
    """A step cannot be done as things are now; it is tried again, and after the last try the run fails."""

    code = "step_failed"
