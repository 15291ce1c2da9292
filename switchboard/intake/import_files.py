"""Uploaded files as this process reads them: written to a temporary file once, then read on from where it stands."""

import asyncio
import shutil
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from uuid import UUID

from switchboard.intake import repository_imports
from switchboard.intake.files import Row, Table, open_table
from switchboard.intake.models import Import
from switchboard.kernel.db import Tx

MOST_OPEN = 4


class OpenFile:
    """One file: its table, and a reader that remembers its place, so that each slice goes on where the last ended."""

    def __init__(self, path: Path, encoding: str | None, delimiter: str | None, closing: ExitStack) -> None:
        self._closing = closing
        self.reading = (encoding, delimiter)
        self.table: Table = closing.enter_context(open_table(path, encoding=encoding, delimiter=delimiter))
        self._rows: Iterator[Row] = iter(())
        self._position = -1

    def read(self, position: int, most: int) -> list[Row]:
        """At most `most` rows after the first `position`; fewer mean that the file has ended. Blocks."""
        if position != self._position:
            self._rows = self.table.rows()
            for _ in islice(self._rows, position):
                pass
        # The place is unknown until the slice has been read whole.
        self._position = -1
        rows = list(islice(self._rows, most))
        self._position = position + len(rows)
        return rows

    def close(self) -> None:
        """Remove the temporary file."""
        self._closing.close()


class ImportFiles:
    """The files a process has open, the least used closed first."""

    def __init__(self) -> None:
        self._open: OrderedDict[UUID, OpenFile] = OrderedDict()

    async def open(self, tx: Tx, import_: Import) -> OpenFile:
        """The import's file; raises what `open_table` raises for one that cannot be read."""
        known = self._open.get(import_.id)
        if known is not None and known.reading == (import_.encoding, import_.delimiter):
            self._open.move_to_end(import_.id)
            return known
        self.close(import_.id)
        closing = ExitStack()
        try:
            folder = tempfile.mkdtemp(prefix="switchboard-import-")
            # Also when the process ends without closing its files, or forgets them.
            closing.callback(weakref.finalize(closing, shutil.rmtree, folder, ignore_errors=True))
            path = Path(folder) / "file"
            await _write(tx, import_.id, path)
            opened = await asyncio.to_thread(OpenFile, path, import_.encoding, import_.delimiter, closing)
        except BaseException:
            closing.close()
            raise
        self._open[import_.id] = opened
        while len(self._open) > MOST_OPEN:
            self.close(next(iter(self._open)))
        return opened

    def close(self, import_id: UUID) -> None:
        """The file is no longer needed here."""
        opened = self._open.pop(import_id, None)
        if opened is not None:
            opened.close()


async def _write(tx: Tx, import_id: UUID, path: Path) -> None:
    with path.open("wb") as file:
        number = 0
        while (content := await repository_imports.find_chunk(tx, import_id, number)) is not None:
            await asyncio.to_thread(file.write, content)
            number += 1
