"""What can go wrong with accounts."""

from switchboard.kernel.errors import ConflictError, ForbiddenError, InvalidError, Problem, UnauthenticatedError


class RoleForbidsError(ForbiddenError):
    """The caller's role is too weak for this."""

    code = "role_forbids"

    def __init__(self, *, needed: str, has: str) -> None:
        super().__init__(
            f"This needs the role {needed}; yours is {has}. Ask an owner or admin of the workspace.",
            data={"needed": needed, "has": has},
        )


class WrongPasswordError(UnauthenticatedError):
    """No such user, a wrong password, a disabled user, or a user of no workspace: one answer for all."""

    code = "wrong_password"

    def __init__(self) -> None:
        super().__init__("That e-mail address and password do not belong together. Check both and try again.")


class SessionMissingError(UnauthenticatedError):
    """No session, or one that has ended."""

    code = "session_missing"

    def __init__(self) -> None:
        super().__init__("You are not signed in, or your sign-in has ended. Sign in and try again.")


class EmailTakenError(ConflictError):
    """Another user has that address."""

    code = "email_taken"

    def __init__(self) -> None:
        super().__init__("A user with that e-mail address exists already. Add them to the workspace instead.")


class WeakPasswordError(InvalidError):
    """Too short to be safe."""

    code = "weak_password"

    def __init__(self, shortest: int) -> None:
        problem = Problem("password", f"use {shortest} characters or more")
        super().__init__("That password is too short.", problems=[problem])
