"""How much a file may hold, and the shape in which its reader gives a row."""

from dataclasses import dataclass

Cell = str | int | float | bool
Record = tuple[int, list[Cell]]


@dataclass(frozen=True, slots=True)
class FileLimits:
    """Caps on a file: its bytes, packed and unpacked, its rows, columns, cells, and characters in a cell."""

    file_bytes: int = 256 << 20
    unpacked_bytes: int = 1 << 30
    rows: int = 1_000_000
    columns: int = 500
    cells: int = 20_000_000
    cell_characters: int = 32_767


DEFAULT_FILE_LIMITS = FileLimits()
