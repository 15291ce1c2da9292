"""The output of several programs as one, each line under its program's name."""

import os
import selectors
import sys
from dataclasses import dataclass
from typing import IO

_CHUNK_BYTES = 65536
_LONGEST_LINE_BYTES = 65536


@dataclass(slots=True)
class _Source:
    name: str
    pipe: IO[bytes]
    unfinished: bytes = b""


class MergedOutput:
    """Reads the pipes that a selector reports and writes whole lines to stdout."""

    def __init__(self, selector: selectors.BaseSelector, names: list[str]) -> None:
        self._selector = selector
        self._width = max(map(len, names), default=0)
        self._closed = False

    def attach(self, name: str, pipe: IO[bytes]) -> None:
        """Read this pipe from now on, until its program closes it."""
        os.set_blocking(pipe.fileno(), False)
        self._selector.register(pipe, selectors.EVENT_READ, _Source(name, pipe))

    def pump(self, key: selectors.SelectorKey) -> None:
        """Take what one pipe has now; the selector's other entries are left alone."""
        source = key.data
        if not isinstance(source, _Source):
            return
        chunk = os.read(source.pipe.fileno(), _CHUNK_BYTES)
        *lines, source.unfinished = (source.unfinished + chunk).split(b"\n")
        if source.unfinished and (not chunk or len(source.unfinished) > _LONGEST_LINE_BYTES):
            lines.append(source.unfinished)
            source.unfinished = b""
        self._write(source.name, lines)
        if not chunk:
            self._selector.unregister(source.pipe)
            source.pipe.close()

    def say(self, name: str, sentence: str) -> None:
        """Write a line of our own, or several, under a program's name."""
        self._write(name, sentence.encode().split(b"\n"))

    def _write(self, name: str, lines: list[bytes]) -> None:
        if not lines or self._closed:
            return
        prefix = f"{name:<{self._width}} | ".encode()
        try:
            sys.stdout.buffer.write(b"".join(prefix + line + b"\n" for line in lines))
            sys.stdout.buffer.flush()
        except OSError:
            # Whoever read our output has gone. The programs go on, and their lines go nowhere.
            self._closed = True
