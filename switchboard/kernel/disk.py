"""A folder and room on the disk, asked before they are needed."""

import os
import shutil
from pathlib import Path

from switchboard.kernel.errors import ConfigurationError

MINIMUM_FREE_BYTES = 200 * 1024 * 1024


def require_folder(folder: Path) -> None:
    """Make the data folder unless it is there; refuse one that cannot be made or written into."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, f"cannot be made: {error.strerror}") from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise _unusable(folder, "belongs to somebody else: this account may not write into it")


def _unusable(folder: Path, why: str) -> ConfigurationError:
    return ConfigurationError(f"The folder {folder} {why}. Set SWITCHBOARD_HOME to another folder.")


def require_free_space(folder: Path, *, minimum_bytes: int = MINIMUM_FREE_BYTES) -> None:
    """Refuse to start on a disk that is about to be full; `folder` need not exist yet."""
    shortage = find_shortage(folder, minimum_bytes=minimum_bytes)
    if shortage is not None:
        raise ConfigurationError(f"{shortage}: free some space, or set SWITCHBOARD_HOME to a folder on another disk.")


def find_shortage(folder: Path, *, minimum_bytes: int = MINIMUM_FREE_BYTES) -> str | None:
    """How little is left and how much is needed, without a full stop; None when it is enough."""
    free = shutil.disk_usage(_existing(folder.absolute())).free
    if free >= minimum_bytes:
        return None
    return (
        f"The disk that holds {folder} has {_megabytes(free)} MB left and Switchboard "
        f"needs {_megabytes(minimum_bytes)} MB"
    )


def _existing(folder: Path) -> Path:
    return next(candidate for candidate in (folder, *folder.parents) if candidate.exists())


def _megabytes(count: int) -> int:
    return count // (1024 * 1024)
