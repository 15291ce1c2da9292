"""Signals go to the intake application straight away, past all that pages need."""

from starlette.types import ASGIApp, Receive, Scope, Send

from switchboard.intake.app import PREFIX


class IntakeFirst:
    """The outermost middleware, pure ASGI: under load nothing else may cost a signal time."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await scope["app"].state.intake(scope, receive, send)
        else:
            await self._app(scope, receive, send)
