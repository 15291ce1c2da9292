"""What a mutation is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """One way to break the product: every `text` in `file` becomes `replacement`, and each of `tests` must fail.

    `is_quick` puts it into every run of the suite; the others run with `make mutations`.
    """

    name: str
    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]
    is_quick: bool = False
