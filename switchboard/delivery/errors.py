"""What can go wrong with messages and templates, in words for the person who asked."""

from switchboard.kernel.errors import ConflictError, NotFoundError


class MessageNotFoundError(NotFoundError):
    """No such message, or another workspace's: one answer for both."""

    code = "message_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such message. It may have been removed, or the address is incomplete.")


class MessageUnderWayError(ConflictError):
    """A message that waits, is going out or has gone cannot be sent again."""

    code = "message_under_way"

    def __init__(self) -> None:
        super().__init__("This message is on its way or has been sent. Load the page again to see where it is.")


class TemplateNotFoundError(NotFoundError):
    """No such template, or another workspace's."""

    code = "template_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such template. It may have been archived, or the address is incomplete.")


class TemplateNameTakenError(ConflictError):
    """Two templates cannot go by one name: flows would not know which to send."""

    code = "template_name_taken"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is a template called {name} already. Choose another name, or change that one.")


class MailNotFoundError(NotFoundError):
    """No such mail in the local mailbox, or another workspace's."""

    code = "mail_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such mail in the local mailbox. The address may be incomplete.")


class SuppressionNotFoundError(NotFoundError):
    """The address is not on the suppression list."""

    code = "suppression_not_found"

    def __init__(self) -> None:
        super().__init__("That address is not on the suppression list. Load the list again.")


class UnsubscribeLinkError(NotFoundError):
    """The link was not signed by this instance, or its message is gone."""

    code = "unsubscribe_link"

    def __init__(self) -> None:
        super().__init__("This link does not belong to a mail of ours. Use the link as it stands in the mail, in full.")
