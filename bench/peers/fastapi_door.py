"""The endpoint in front of the Python peers: FastAPI behind the web server that the product itself uses."""

from collections.abc import Coroutine
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI


async def serve(take: Any, port: int) -> None:
    """Answer `POST /` with `take` until the process is told to end."""
    web = FastAPI()
    web.add_api_route("/", take, methods=["POST"])
    config = uvicorn.Config(web, port=port, http="httptools", access_log=False, log_level="error")
    await uvicorn.Server(config).serve()


def run(program: Coroutine[Any, Any, None]) -> None:
    """On the event loop that the product uses as well."""
    uvloop.run(program)
