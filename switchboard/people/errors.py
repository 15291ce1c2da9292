"""What can go wrong with contacts, in words for the person who asked."""

from switchboard.kernel.errors import ConflictError, NotFoundError


class ContactNotFoundError(NotFoundError):
    """No such contact, or another workspace's: one answer for both."""

    code = "contact_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such contact. It may have been removed, or the address is incomplete.")


class IdentityNotFoundError(NotFoundError):
    """No such address of a contact, or another workspace's."""

    code = "identity_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such address of a contact. Load the contact again.")


class SuggestionNotFoundError(NotFoundError):
    """No such open suggestion: another person may have decided it."""

    code = "suggestion_not_found"

    def __init__(self) -> None:
        super().__init__("That suggestion is not open any more. Load the list again.")


class MergeNotFoundError(NotFoundError):
    """No such merge, or another workspace's."""

    code = "merge_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such merge. Load the contact again.")


class MergeRefusedError(ConflictError):
    """Two contacts cannot be merged, or a merge cannot be undone, as things stand now."""

    code = "merge_refused"


class AddressTakenError(ConflictError):
    """An address identifies another contact."""

    code = "address_taken"
