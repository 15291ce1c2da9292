"""XLSX within bounds: what it unpacks to is measured before anything reads it into memory."""

import re
import zipfile
import zlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import BinaryIO

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from switchboard.intake.files_limits import Cell, FileLimits, Record
from switchboard.kernel.errors import TooLargeError, UnreadableError, UnsupportedMediaError

_CHUNK = 1 << 18
_LOCAL_HEADER = 30
_REFERENCE = re.compile(rb"""<(?:\w+:)?c\s[^>]{0,200}?\br=["']([A-Z]{1,3})(\d{1,7})["']""")
_TEXT_USE = re.compile(rb"""\bt=["']s["'][^>]{0,200}>\s{0,20}<(?:\w+:)?v>\s{0,20}(\d{1,9})""")
_TEXT_END = re.compile(rb"</(?:\w+:)?si\s{0,20}>")
_OVERLAP = 256


@dataclass(frozen=True, slots=True)
class XlsxFile:
    """The sheet of a workbook that is read."""

    sheet: CalamineSheet

    @classmethod
    @contextmanager
    def opened(cls, path: Path, limits: FileLimits) -> Iterator["XlsxFile"]:
        """Measure, then open. Raises TooLargeError, UnreadableError, UnsupportedMediaError."""
        measure(path, limits)
        try:
            workbook = CalamineWorkbook.from_path(path)
        except CalamineError as error:
            raise UnreadableError(f"The workbook cannot be read: {error}") from error
        with workbook:
            yield cls(_first_sheet(workbook))

    def records(self) -> Iterator[Record]:
        """Every row, also the blank ones above the first cell, so that numbers are those of the sheet."""
        for number, cells in enumerate(self.sheet.iter_rows(), start=1):
            yield number, [_plain(cell) for cell in cells]


def measure(path: Path, limits: FileLimits) -> None:
    """Unpack every part without keeping it, and raise TooLargeError when a limit is passed.

    Declared sizes are not believed. A sheet's area counts, not its filled cells: one cell in the last corner
    makes a reader reserve the whole sheet. A shared text counts as often as cells name it: each gets a copy.
    """
    measure = _Measure(limits)
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            if "xl/workbook.xml" not in archive.namelist():
                raise UnsupportedMediaError("This is no .xlsx workbook; save the sheet as .xlsx or as CSV.")
            for part in archive.infolist():
                measure.add_part(part.filename, _unpacked(file, part))
    except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError) as error:
        raise UnreadableError(f"The workbook is damaged: {error}") from error
    measure.check_texts()


class _Measure:
    """Sums of what a workbook would take in memory."""

    def __init__(self, limits: FileLimits) -> None:
        self.limits = limits
        self.unpacked = 0
        self.text_lengths: list[int] = []
        self.text_uses: Counter[bytes] = Counter()

    def add_part(self, name: str, chunks: Iterator[bytes]) -> None:
        counted = map(self._count, chunks)
        if "worksheets/" in name.lower():
            self._add_sheet(counted)
        elif name.lower().endswith("sharedstrings.xml"):
            self._add_texts(counted)
        else:
            deque(counted, maxlen=0)

    def check_texts(self) -> None:
        lengths = self.text_lengths
        total = sum(
            lengths[place] * uses for index, uses in self.text_uses.items() if (place := int(index)) < len(lengths)
        )
        self._check_bytes(total)

    def _count(self, chunk: bytes) -> bytes:
        self.unpacked += len(chunk)
        self._check_bytes(self.unpacked)
        return chunk

    def _check_bytes(self, count: int) -> None:
        if count > self.limits.unpacked_bytes:
            raise TooLargeError(
                f"The workbook unpacks to more than {self.limits.unpacked_bytes:,} bytes; split it.",
                data={"limit_bytes": self.limits.unpacked_bytes},
            )

    def _add_sheet(self, chunks: Iterable[bytes]) -> None:
        columns, rows, tail = 0, 0, b""
        for chunk in chunks:
            text = tail + chunk
            tail = chunk[-_OVERLAP:]
            references = _REFERENCE.findall(text)
            columns = max(columns, max(map(_column, {letters for letters, _ in references}), default=0))
            rows = max(rows, max((int(row) for _, row in references), default=0))
            self.text_uses.update(_TEXT_USE.findall(text))
            if columns * rows > self.limits.cells:
                raise TooLargeError(
                    f"A sheet reaches over {rows:,} rows and {columns:,} columns; delete empty ones or split it.",
                    data={"limit_cells": self.limits.cells},
                )

    def _add_texts(self, chunks: Iterable[bytes]) -> None:
        """The length of each shared text with its markup, which is a little more than its own."""
        read, last_end, tail = 0, 0, b""
        for chunk in chunks:
            for match in _TEXT_END.finditer(tail + chunk):
                end = read - len(tail) + match.end()
                if end > last_end:
                    self.text_lengths.append(end - last_end)
                    last_end = end
            read += len(chunk)
            tail = chunk[-_OVERLAP:]


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number


def _unpacked(file: BinaryIO, part: zipfile.ZipInfo) -> Iterator[bytes]:
    if part.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} or part.flag_bits & 1:
        raise UnreadableError("The workbook is encrypted or packed in an unusual way; save it again.")
    file.seek(part.header_offset)
    header = file.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER:
        raise UnreadableError("The workbook is cut short; copy it again.")
    file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
    left = part.compress_size
    inflate = zlib.decompressobj(-zlib.MAX_WBITS) if part.compress_type == zipfile.ZIP_DEFLATED else None
    while left > 0 and (packed := file.read(min(left, _CHUNK))):
        left -= len(packed)
        while packed:
            yield inflate.decompress(packed, _CHUNK) if inflate else packed
            packed = inflate.unconsumed_tail if inflate else b""


def _first_sheet(workbook: CalamineWorkbook) -> CalamineSheet:
    """The first visible sheet with a cell in it."""
    for sheet in workbook.sheets_metadata:
        if sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible:
            try:
                read = workbook.get_sheet_by_name(sheet.name)
            except CalamineError as error:
                raise UnreadableError(f"The sheet `{sheet.name}` cannot be read: {error}") from error
            if read.height:
                return read
    raise UnreadableError("The workbook has no visible sheet with rows.")


def _plain(cell: Cell | date | datetime | time | timedelta) -> Cell:
    if isinstance(cell, str):
        return cell.strip()
    # Excel keeps every number as a float; a telephone number must not end in `.0`.
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return int(cell)
    if isinstance(cell, bool | int | float):
        return cell
    return cell.isoformat() if isinstance(cell, date | time) else str(cell)
