"""Putting a process together: which room hears which events, and which loops run."""

from switchboard.kernel.events import Hub


def build_hub() -> Hub:
    """Everything that travels upwards between rooms, wired in one place."""
    return Hub()
