"""CSV as people have it: in which encoding, with which delimiter, and its records one by one."""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from charset_normalizer import from_bytes

from switchboard.intake.files_limits import Record
from switchboard.kernel.errors import Problem, UnreadableError

_SAMPLE = 256 << 10
_TELLING, _LONGEST_LINE = 64 << 10, 4 << 10
_CHUNK = 1 << 20
_DELIMITERS = (",", ";", "\t", "|")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WESTERN = frozenset({"cp1250", "cp1252", "cp1254", "cp1257", "iso8859_2", "iso8859_15", "latin_1"})
# The encodings that spreadsheets still write; rarer ones would only be mistaken for these.
_PLAUSIBLE = _WESTERN | frozenset(
    {
        "cp1251",
        "cp1253",
        "cp1255",
        "cp1256",
        "koi8_r",
        "cp932",
        "shift_jis",
        "euc_jp",
        "gb2312",
        "gbk",
        "gb18030",
        "big5",
        "cp949",
        "euc_kr",
        "tis_620",
    }
)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1f\ufffd]")
# In Latin script letters beyond ASCII stand alone or in pairs; other scripts write whole words with them.
_FOREIGN = re.compile(rb"[\x80-\xff]{3}")
# What Polish and Czech letters of cp1250 become when read as cp1252: signs inside words, or ø beside ì.
_NOT_WESTERN = re.compile(r"[A-Za-zÀ-ÿ][£³¹¿¥ª¯¾]|[£³¹¿¥ª¯¾][a-zà-ÿ]")


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV whose encoding and delimiter are known. `has_separator_line` when it begins with Excel's `sep=;`."""

    path: Path
    encoding: str
    delimiter: str
    has_separator_line: bool

    @classmethod
    def examined(cls, path: Path, encoding: str | None, delimiter: str | None) -> "CsvFile":
        """Find what is not given. Raises UnreadableError for what is no text."""
        encoding = _known(encoding) if encoding else find_encoding(path)
        with path.open("rb") as file:
            sample = file.read(_SAMPLE)
        text = codecs.getincrementaldecoder(encoding)("replace").decode(sample)
        if len(_UNPRINTABLE.findall(text)) > max(16, len(text) // 50):
            raise UnreadableError("This is not a text file; save the sheet as CSV or .xlsx.")
        separator = re.match(r"sep=(.)\r?\n", text)
        found = delimiter or (separator[1] if separator else find_delimiter(text))
        if len(found) != 1 or found in '\r\n"':
            raise UnreadableError("A delimiter is one character, such as a comma.")
        return cls(path, encoding, found, separator is not None)

    def records(self) -> Iterator[Record]:
        """Every record with its number as a spreadsheet would show it: blank lines count, line breaks do not."""
        number = 0
        with self.path.open(encoding=self.encoding, errors="replace", newline="") as file:
            if self.has_separator_line:
                file.readline()
            reader = csv.reader((line.replace("\0", "") for line in file), delimiter=self.delimiter)
            try:
                for number, cells in enumerate(reader, start=1):
                    yield number, [cell.strip() for cell in cells]
            except csv.Error as error:
                place = f"rows.{number + 1}"
                raise UnreadableError(
                    f"Row {number + 1} cannot be read: {error}. Is a quote left open?",
                    problems=[Problem(place, str(error))],
                ) from error


def find_encoding(path: Path) -> str:
    """The encoding by byte order mark, by being valid UTF-8, by zero bytes, or by the likeliest letters."""
    with path.open("rb") as file:
        sample = file.read(_SAMPLE)
    marked = next((name for mark, name in _MARKS if sample.startswith(mark)), None)
    if marked:
        return marked
    if zeros := sample.count(0):
        return _unmarked_utf16(sample) if zeros > len(sample) // 4 else "utf-8"
    if _is_utf8(path):
        return "utf-8"
    return _likely_encoding(_telling_lines(path))


def find_delimiter(text: str) -> str:
    """The delimiter that cuts most of the first hundred records into the same, and the largest, number of cells."""
    lines = text.splitlines(keepends=True)[:200]
    return max(_DELIMITERS, key=lambda delimiter: _regularity(lines, delimiter))


def _regularity(lines: list[str], delimiter: str) -> tuple[bool, float, int]:
    try:
        widths = [len(cells) for cells in csv.reader(lines, delimiter=delimiter) if cells][:100]
    except csv.Error:
        return False, 0.0, 0
    width, count = Counter(widths).most_common(1)[0] if widths else (1, 0)
    return width > 1, round(count / max(len(widths), 1), 1), width


def _known(encoding: str) -> str:
    try:
        "".encode(encoding)
    except LookupError as error:
        raise UnreadableError(f"The encoding `{encoding[:40]}` is unknown; use utf-8 or cp1252.") from error
    return codecs.lookup(encoding).name


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _unmarked_utf16(sample: bytes) -> str:
    return "utf-16-le" if sample[1::2].count(0) > sample[0::2].count(0) else "utf-16-be"


def _likely_encoding(sample: bytes) -> str:
    found = "cp1252"
    if _FOREIGN.search(sample):
        found = next((match.encoding for match in from_bytes(sample) if match.encoding in _PLAUSIBLE), found)
    if found not in _WESTERN:
        return found
    western = sample.decode("cp1252", errors="replace")
    is_eastern = bool(_NOT_WESTERN.search(western)) or ("ø" in western and "ì" in western)
    return "cp1250" if is_eastern else "cp1252"


def _telling_lines(path: Path) -> bytes:
    """The lines that have more than ASCII in them, from all over the file and no more than a sample."""
    telling, size = [], 0
    with path.open("rb") as file:
        for line in file:
            if not line.isascii():
                telling.append(line[:_LONGEST_LINE])
                size += len(telling[-1])
            if size > _TELLING:
                break
    return b"".join(telling)
