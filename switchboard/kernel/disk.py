"""Room on the disk, asked before it is needed."""

import shutil
from pathlib import Path

from switchboard.kernel.errors import ConfigurationError

MINIMUM_FREE_BYTES = 200 * 1024 * 1024


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
