"""How alike two names are, and the keys by which alike contacts are found without comparing all with all."""

import re
from collections.abc import Sequence
from functools import lru_cache

from rapidfuzz import fuzz, process

from switchboard.people.normalising import fold

ALIKE = 86
LONGEST_KEY = 100

# Each line is one name and what people who bear it are called for short.
_SHORT_NAMES = """
alexander alex sasha alec xander
alexandra alex sandra sasha lexi
andrew andy drew
anthony tony
antonio tony toni
barbara barb barbie
benjamin ben benny
catherine cathy kate katie cat
charles charlie chuck
christian chris
christina chris tina christy
christopher chris kit
daniel dan danny
david dave
deborah debbie deb
dorothy dot dolly
edward ed eddie ted ned
elizabeth liz lizzie beth betty eliza lisa
frances fran
francis frank
francisco paco pancho
frederick fred freddie
gabriel gabe
gregory greg
guadalupe lupe
henry harry hank
ignacio nacho
james jim jimmy jamie
jennifer jen jenny
johannes hannes
john johnny jack
jose pepe
joseph joe joey
joshua josh
katherine kathy kate katie kat
kenneth ken kenny
lawrence larry
leonard leo len lenny
margaret maggie peggy meg greta
matthew matt
maximilian max
michael mike mick mickey
mohammed mohamed muhammad mohammad
nathaniel nate nathan
nicholas nick nico
pamela pam
patricia pat patty tricia
patrick pat paddy
peter pete
philip phil
raymond ray
rebecca becky becca
richard rick dick rich ricky
robert bob rob bobby robbie bert
ronald ron ronnie
samuel sam sammy
samantha sam
stephen steve stevie
susan sue susie
theodore theo ted teddy
thomas tom tommy
timothy tim timmy
valentina tina
victoria vicky tori
vincent vince
william bill will billy willy liam
""".strip().splitlines()


def _read_short_names() -> dict[str, frozenset[str]]:
    names: dict[str, set[str]] = {}
    for line in _SHORT_NAMES:
        full, *shorts = line.split()
        for short in shorts:
            names.setdefault(short, set()).add(full)
    return {short: frozenset(full) for short, full in names.items()}


_FULL_NAMES = _read_short_names()
_FOREIGN_SOUNDS = (("ph", "f"), ("ck", "k"), ("c", "k"), ("z", "s"), ("th", "t"))
_WITHOUT_SILENT = str.maketrans("", "", "aeiouyhw")
_REPEATED = re.compile(r"(.)\1+")


def name_likeness(first: str, second: str) -> int:
    """0 to 100 for two folded names, in whatever order their words stand; a short name counts as its full one."""
    if not first or not second:
        return 0
    return round(max(fuzz.token_sort_ratio(a, b) for a in full_forms(first) for b in full_forms(second)))


class Names:
    """Folded names, ready for being asked many times which of them are like another."""

    def __init__(self, folded: Sequence[str]) -> None:
        forms = [(_in_order(form), place) for place, name in enumerate(folded) if name for form in full_forms(name)]
        self._forms = [form for form, _ in forms]
        self._places = [place for _, place in forms]

    def find_alike(self, folded: str) -> set[int]:
        """The places of the names that `name_likeness` calls alike to this one."""
        found = set[int]()
        for form in full_forms(folded) if folded else ():
            # What is not below half a point less is rounded up.
            alike = process.extract(
                _in_order(form), self._forms, scorer=fuzz.ratio, processor=None, limit=None, score_cutoff=ALIKE - 0.5
            )
            found.update(self._places[place] for _, _, place in alike)
        return found


def _in_order(form: str) -> str:
    return " ".join(sorted(form.split()))


@lru_cache(maxsize=4_096)
def full_forms(folded: str) -> tuple[str, ...]:
    """A folded name as it is, and with a short first name spelt out: `bob smith`, `robert smith`."""
    first, _, rest = folded.partition(" ")
    known = _FULL_NAMES.get(first)
    return (folded, *(f"{full} {rest}".strip() for full in sorted(known))) if known else (folded,)


def is_short_for(first: str, second: str) -> bool:
    """Whether the first names differ, and one is short for the other: `bob smith` and `robert smith`."""
    a, b = first.partition(" ")[0], second.partition(" ")[0]
    return a != b and (b in _FULL_NAMES.get(a, ()) or a in _FULL_NAMES.get(b, ()))


@lru_cache(maxsize=4_096)
def blocking_keys_of(name: str, company: str) -> tuple[str, str]:
    """`name_key` and `company_key` of the same person, which are asked for together, and more than once."""
    words = _spelt_out(name)
    return _name_key(words), _company_key(company, words)


def name_key(name: str) -> str:
    """Equal for names that sound alike, whatever the order of their words; empty for a name of one word or none."""
    return _name_key(_spelt_out(name))


def company_key(company: str, name: str) -> str:
    """Equal for people of one company whose initials agree; empty without a company or a name."""
    return _company_key(company, _spelt_out(name))


def _name_key(words: Sequence[str]) -> str:
    return " ".join(sorted(map(_sound, words)))[:LONGEST_KEY] if len(words) > 1 else ""


def _company_key(company: str, words: Sequence[str]) -> str:
    folded = fold(company) if company and words else ""
    return f"{folded}|{''.join(sorted([word[0] for word in words]))}"[:LONGEST_KEY] if folded else ""


def _spelt_out(name: str) -> list[str]:
    """The folded words of a name, with a short first name in full."""
    folded = fold(name)
    return (full_forms(folded)[-1] if folded.partition(" ")[0] in _FULL_NAMES else folded).split()


@lru_cache(maxsize=4_096)
def _sound(word: str) -> str:
    for sound, plain in _FOREIGN_SOUNDS:
        word = word.replace(sound, plain)
    # What a word begins with is never silent.
    word = word[:1] + word[1:].translate(_WITHOUT_SILENT)
    # To look takes a tenth of the time of replacing nothing.
    return _REPEATED.sub(r"\1", word) if _REPEATED.search(word) else word
