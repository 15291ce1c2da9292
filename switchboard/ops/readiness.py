"""Asking a server on this machine whether it works, with nothing heavier than a socket."""

import socket

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - only compared, never bound.


def answers_ready(host: str, port: int, path: str, *, timeout_seconds: float = 1.0) -> bool:
    """Whether GET `path` answers 2xx in time; the address to listen on may be "any"."""
    request = f"GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection((_ANY_ADDRESS.get(host, host), port), timeout=timeout_seconds) as connection:
            connection.sendall(request)
            status_line = connection.recv(64)
    except OSError:
        return False
    return status_line[:5] == b"HTTP/" and status_line[8:10] == b" 2"
