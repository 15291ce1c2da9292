"""Ports to listen on, asked before anything is started."""

import errno
import socket
from collections.abc import Iterator

from switchboard.kernel.errors import ConfigurationError

_NEIGHBOURS = 20
# The setting of a port, and the one that says on which address.
_HOST_OF = {"PORT": "HOST", "SMTP_IN_PORT": "SMTP_IN_HOST"}


def require_free_port(host: str, port: int, *, setting: str = "PORT") -> None:
    """Raise ConfigurationError in one sentence when a server could not listen there; `setting` is the port's."""
    problem = _listening_problem(host, port)
    if problem is None:
        return
    if problem == errno.EADDRINUSE:
        raise ConfigurationError(
            f"Port {port} is already in use by another program: stop that program, or choose another port"
            f"{_suggestion(host, port, setting)}.",
        )
    if problem == errno.EACCES:
        way_out = f"choose one above 1023, such as {setting}={port + 8000}"
        raise ConfigurationError(f"Port {port} is reserved for root: {way_out}.")
    way_out = f"set {_HOST_OF[setting]} to an address of this machine"
    raise ConfigurationError(f"Nothing can listen on {host}, port {port}: {way_out}.")


def _suggestion(host: str, port: int, setting: str) -> str:
    free = next((candidate for candidate in _neighbours(port) if _listening_problem(host, candidate) is None), None)
    return f", for example {setting}={free}" if free else f" with {setting}=..."


def _neighbours(port: int) -> Iterator[int]:
    return iter(range(port + 1, min(port + 1 + _NEIGHBOURS, 65536)))


def _listening_problem(host: str, port: int) -> int | None:
    """The errno that a server's own bind would meet; None when it would succeed."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # Servers set this as well: a port whose last connections are still closing is free to them.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error.errno or errno.EADDRNOTAVAIL
    return None
