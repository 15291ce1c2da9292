"""Characters that neither the database nor a mail can hold: NUL, and halves of surrogate pairs."""

import re

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """Whether the database can keep the text: it holds neither NUL nor half of a surrogate pair."""
    return _UNSTORABLE.search(text) is None


def make_storable(text: str) -> str:
    """The text without NUL, and with a question mark for each half of a surrogate pair."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
