"""Cells going out to spreadsheets, with nothing in them that one would execute."""

import re

# As OWASP lists them, with the full-width forms that some spreadsheets read as the same.
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# A sign and then only digits and blanks is a number or a telephone number like +49 30 123456: it can call
# nothing, name no cell and start no program, so it stays as people write it and can be imported again.
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9][0-9 ]*([.,][0-9]+)?")


def guard_formula(cell: object) -> str:
    """A cell's text for an export: what a spreadsheet could take for a formula gets an apostrophe in front."""
    text = "" if cell is None else str(cell)
    stripped = text.lstrip(" \u00a0")
    is_dangerous = stripped.startswith(_DANGEROUS) and not _PLAIN_NUMBER.fullmatch(stripped)
    return f"'{text}" if is_dangerous else text
