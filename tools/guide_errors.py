"""The page of error codes, from the one family of errors."""

import importlib
import json
import pkgutil
from collections import defaultdict
from collections.abc import Iterator

import switchboard
from switchboard.kernel.errors import InvalidError, Problem, SwitchboardError
from switchboard.kernel.http import problem_body
from tools.guide_text import code, first_sentence, page, table

INTRODUCTION = """\
Whatever is refused has the same shape everywhere. An answer in JSON is a problem detail (RFC 9457), with the media
type `application/problem+json`:

```json
{sample}
```

`code` never changes. `detail` is for people and may be worded better in a later version. `errors` is there where
single fields are wrong, with `line` and `column` where the input was a text. A page shows the same words, and a
command prints them on standard error.

An address that holds nothing and one that holds somebody else's row are answered alike."""

_SAMPLE = InvalidError(
    "The mapping cannot be used as it is.",
    problems=[Problem("email.case", "Invalid enum value 'title'.")],
)


def render() -> str:
    """Code, status and meaning, by status."""
    rows = [[code(name), str(status), " ".join(meanings)] for (status, name), meanings in sorted(_meanings().items())]
    introduction = INTRODUCTION.replace("{sample}", json.dumps(problem_body(_SAMPLE), indent=2))
    return page("Error codes", introduction, table(["Code", "Status", "Meaning"], rows))


def all_errors() -> list[type[SwitchboardError]]:
    """Every error there is, the base included."""
    for module in pkgutil.walk_packages(switchboard.__path__, "switchboard."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return [SwitchboardError, *_below(SwitchboardError)]


def _meanings() -> dict[tuple[int, str], list[str]]:
    found: dict[tuple[int, str], list[str]] = defaultdict(list)
    for error in all_errors():
        sentence = first_sentence(error) if error is not SwitchboardError else "A bug of ours; the log says more."
        # A subclass without a code of its own is told apart by nothing that a caller sees.
        if "code" in vars(error) and sentence not in found[error.status, error.code]:
            found[error.status, error.code].append(sentence)
    return found


def _below(error: type[SwitchboardError]) -> Iterator[type[SwitchboardError]]:
    for child in error.__subclasses__():
        yield child
        yield from _below(child)
