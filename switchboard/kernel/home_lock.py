"""One running Switchboard for each data folder."""

import fcntl
import os
from pathlib import Path

from switchboard.kernel.errors import ConfigurationError

_NAME = "switchboard.lock"


class HomeLock:
    """An exclusive lock on a data folder; the kernel drops it when the holder dies, however it dies."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        os.set_inheritable(descriptor, False)

    @classmethod
    def acquire(cls, home: Path) -> "HomeLock":
        """Take the lock or raise ConfigurationError naming the process that has it."""
        descriptor = os.open(home / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode().strip()
            os.close(descriptor)
            raise _already_running(home, holder) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

    def keep_over_exec(self) -> int:
        """Let the lock survive `exec`; the program we become takes it up again by this descriptor."""
        os.set_inheritable(self.descriptor, True)
        return self.descriptor

    def release(self) -> None:
        """Give the folder back. The file stays, because removing it would race with the next holder."""
        os.close(self.descriptor)


def _already_running(home: Path, holder: str) -> ConfigurationError:
    process = f" (process {holder})" if holder else ""
    return ConfigurationError(
        f"Switchboard is already running on {home}{process}: stop it first, or set SWITCHBOARD_HOME to another folder.",
    )
