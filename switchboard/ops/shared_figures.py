"""The folder in which the processes of one machine share their figures for Prometheus."""

import hashlib
import os
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - the folder below is checked to be our own.


def prepare_shared_figures(home: Path, *, memory: Path = MEMORY) -> Path:
    """An empty folder of our own for the data folder `home`, in memory where the system has such a place.

    The figures are written through mapped files. On a disk that is full, Linux ends whoever writes into one, and the
    web server would go down with it when it is needed to say so.
    """
    folder = _folder_in_memory(home, memory) or home / "metrics"
    folder.mkdir(parents=True, exist_ok=True)
    # Figures of processes that have ended would be counted for ever.
    for path in folder.glob("*.db"):
        path.unlink()
    return folder.absolute()


def _folder_in_memory(home: Path, memory: Path) -> Path | None:
    digest = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:16]
    folder = memory / f"switchboard-{os.geteuid()}-{digest}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        # Everybody may write there, so the name may be taken by somebody else's folder or link.
        return folder if folder.lstat().st_uid == os.geteuid() else None
    except OSError:
        return None
