"""What can go wrong with mail that comes in and the conversations it makes."""

from switchboard.kernel.errors import NotFoundError, TooLargeError, UnauthenticatedError


class ConversationNotFoundError(NotFoundError):
    """No such conversation, or a stranger's."""

    code = "conversation_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such conversation. Look for it in the inbox.")


class MessageNotFoundError(NotFoundError):
    """No such message or file of one, or a stranger's."""

    code = "message_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such message. Open the conversation and look there.")


class RecipientNotFoundError(NotFoundError):
    """No workspace takes mail at that address."""

    code = "recipient_not_found"

    def __init__(self) -> None:
        super().__init__("Nobody here takes mail at that address. Check the recipient.")


class MailTooLargeError(TooLargeError):
    """The mail is over the limit."""

    code = "mail_too_large"

    def __init__(self, limit_bytes: int) -> None:
        message = f"A mail may have at most {limit_bytes >> 20} MB. Send large files as a link."
        super().__init__(message, data={"limit_bytes": limit_bytes})


class WebhookRefusedError(UnauthenticatedError):
    """The signature is missing, too old, or not made with the workspace's secret."""

    code = "webhook_refused"
