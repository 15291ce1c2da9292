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


class CampaignNotFoundError(NotFoundError):
    """No such campaign, or a stranger's."""

    code = "campaign_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such campaign. Choose one from the list of campaigns.")


class CampaignStateError(ConflictError):
    """What was asked for cannot be done in the state the campaign is in."""

    code = "campaign_state"

    def __init__(self, wish: str, state: str) -> None:
        super().__init__(f"A campaign that is {state} cannot be {wish}. Load its page again to see where it stands.")


class CampaignNameTakenError(ConflictError):
    """Two campaigns cannot go by one name."""

    code = "campaign_name_taken"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is a campaign called {name} already. Choose another name.")
