"""What can go wrong with routing."""

from switchboard.kernel.errors import ConflictError, NotFoundError


class AssignmentNotFoundError(NotFoundError):
    """Nothing by that id has been routed in this workspace."""

    code = "assignment_not_found"

    def __init__(self) -> None:
        super().__init__("There is nothing here to accept. Check the address, or look for it in the list.")


class AcceptedAlreadyError(ConflictError):
    """A colleague was quicker."""

    code = "accepted_already"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} has accepted this already. Ask them, or assign it to yourself.")


class ReleasedError(ConflictError):
    """The subject is closed, so there is nothing to accept."""

    code = "released"

    def __init__(self) -> None:
        super().__init__("This is closed. Reopen it first, then accept it.")


class RotaNotFoundError(NotFoundError):
    """No such rota, or a stranger's."""

    code = "rota_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such rota. Choose one from the list of rotas.")


class RotaInUseError(ConflictError):
    """Rules send to the rota, or subjects wait for it."""

    code = "rota_in_use"


class RotaNameTakenError(ConflictError):
    """Another rota has that name."""

    code = "rota_name_taken"

    def __init__(self) -> None:
        super().__init__("Another rota has that name. Choose a different one.")


class RuleNotFoundError(NotFoundError):
    """No such rule, or a stranger's."""

    code = "rule_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such rule. Choose one from the list of rules.")


class DefaultRuleError(ConflictError):
    """The last rule catches what no other does, so it stays."""

    code = "default_rule"

    def __init__(self) -> None:
        super().__init__("The last rule catches everything else: it can send elsewhere, but not go, move or be off.")
