"""A network of its own for one process: a cable to the database, which can be pulled, and a loopback of its own."""

import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Network:
    """A namespace whose only way out is the cable to the database.

    Of frames that are lost with a pulled cable nobody is told: connections over it are half open.
    """

    name: str
    database_host: str

    def within(self, command: list[str]) -> list[str]:
        """The command that runs `command` inside."""
        return ["ip", "netns", "exec", self.name, *command]

    def listen_within(self) -> socket.socket:
        """A socket of this process that listens on the loopback inside, on a free port."""
        # A thread alone enters, and ends there: the rest of the process stays outside.
        with ThreadPoolExecutor(1) as inside:
            return inside.submit(_listen_in, f"/run/netns/{self.name}").result(timeout=10)

    def pull_cable(self) -> None:
        _ip("link", "set", self.name, "down")

    def plug_cable(self) -> None:
        _ip("link", "set", self.name, "up")


@contextmanager
def own_network() -> Iterator[Network | None]:
    """The network, or None where the machine lets us make none."""
    number = os.getpid() % 250 + 1
    name = f"chaos{number}"
    if os.geteuid() != 0 or shutil.which("ip") is None or not _may_make(name):
        yield None
        return
    network = Network(name, f"10.203.{number}.1")
    try:
        _ip("-n", name, "link", "set", "lo", "up")
        _lay_cable(network)
        yield network
    finally:
        # Its cable goes with it.
        _ip("netns", "delete", name)


def _may_make(name: str) -> bool:
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False, timeout=10)
    return made.returncode == 0


def _lay_cable(network: Network) -> None:
    outside, inside, host = network.name, f"{network.name}i", network.database_host
    _ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", network.name)
    _ip("address", "add", f"{host}/24", "dev", outside)
    _ip("link", "set", outside, "up")
    _ip("-n", network.name, "address", "add", f"{host.removesuffix('.1')}.2/24", "dev", inside)
    _ip("-n", network.name, "link", "set", inside, "up")


def _listen_in(namespace: str) -> socket.socket:
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, 0) != 0:
            raise OSError(ctypes.get_errno(), namespace)
    finally:
        os.close(descriptor)
    return listen_on_loopback()


def listen_on_loopback() -> socket.socket:
    """A socket that listens on a free port."""
    return socket.create_server(("127.0.0.1", 0))


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=10, capture_output=True)
