"""What can go wrong with contacts, in words for the person who asked."""

from switchboard.kernel.errors import ConflictError, NotFoundError, Problem


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


class SegmentNotFoundError(NotFoundError):
    """No such segment, or another workspace's."""

    code = "segment_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such segment. Check the address, or look for it in the list.")


class SegmentNameTakenError(ConflictError):
    """Another segment in use has that name."""

    code = "segment_name_taken"

    def __init__(self, name: str) -> None:
        problem = Problem("name", "another segment has this name; choose another")
        super().__init__(f"There is a segment {name!r} already.", problems=[problem])


class SegmentKeptByConditionError(ConflictError):
    """Who belongs to a segment with a condition is decided by the condition alone."""

    code = "segment_kept_by_condition"

    def __init__(self) -> None:
        super().__init__("This segment has a condition, which decides who is in it. Change the condition instead.")


class SegmentBeingFilledError(ConflictError):
    """A list is filled with one thing after the other."""

    code = "segment_being_filled"

    def __init__(self) -> None:
        super().__init__("This list is just being filled. Wait until that is done, then fill it again.")
