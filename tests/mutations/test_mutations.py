"""Break the product on purpose, one promise at a time, in a copy of it: the tests named for the promise must fail.

A promise whose tests stay green while it is broken is not tested. What is broken here is what reviews miss most
easily: one word of a statement, one line of a check.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.mutations.catalogue import MUTATIONS
from tests.mutations.mutation import Mutation

ROOT = Path(__file__).parents[2]
COPIED = ("switchboard", "tests")
RUN_SECONDS = 150

pytestmark = pytest.mark.timeout(RUN_SECONDS + 30)

QUICK = [pytest.param(one, id=one.name) for one in MUTATIONS if one.is_quick]
OTHERS = [pytest.param(one, id=one.name, marks=pytest.mark.mutation) for one in MUTATIONS if not one.is_quick]


@pytest.fixture
def tree() -> Iterator[Path]:
    """A copy of the product and its tests that may be broken; compiled files come along and keep their times."""
    with tempfile.TemporaryDirectory(prefix="switchboard-mutation-") as folder:
        for name in COPIED:
            shutil.copytree(ROOT / name, Path(folder, name))
        shutil.copy2(ROOT / "pyproject.toml", folder)
        yield Path(folder)


def run_tests(tree: Path, tests: Sequence[str]) -> dict[str, str]:
    """Run tests in a copy; returns `passed`, `failed` or `broken` (it did not come as far as the test) for each.

    A test with several cases has failed when one of them has.
    """
    report = tree / "report.xml"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "--timeout=60", f"--junitxml={report}", *tests],
        cwd=tree,
        env={**environment, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert report.is_file(), finished.stdout + finished.stderr
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))  # noqa: S314 we have just written it
    return {test: _outcome([case for case in cases if _is_of(case, test)]) for test in tests}


def _is_of(case: ElementTree.Element, test: str) -> bool:
    """A test may be named with all its cases or with one of them."""
    file, _, name = test.partition("::")
    module = file.removesuffix(".py").replace("/", ".")
    of_case = case.get("name", "")
    return case.get("classname") == module and name in {of_case, of_case.partition("[")[0]}


def _outcome(cases: Sequence[ElementTree.Element]) -> str:
    if any(case.find("failure") is not None for case in cases):
        return "failed"
    return "broken" if not cases or any(case.find("error") is not None for case in cases) else "passed"


def named_tests(*, quick: bool) -> list[str]:
    return sorted({test for one in MUTATIONS if one.is_quick is quick for test in one.tests})


def test_every_promise_stands_where_the_catalogue_says() -> None:
    gone = [one.name for one in MUTATIONS if one.text not in (ROOT / one.file).read_text()]
    assert gone == [], "name the text that keeps the promise now"
    unchanged = [one.name for one in MUTATIONS if one.text == one.replacement]
    assert unchanged == []


@pytest.mark.parametrize("mutation", [*QUICK, *OTHERS])
def test_breaking_a_promise_turns_its_tests_red(tree: Path, mutation: Mutation) -> None:
    file = tree / mutation.file
    before = file.read_text()
    file.write_text(before.replace(mutation.text, mutation.replacement))
    assert run_tests(tree, mutation.tests) == dict.fromkeys(mutation.tests, "failed")


@pytest.mark.parametrize("is_quick", [True, pytest.param(False, marks=pytest.mark.mutation)])
def test_nothing_is_red_in_a_copy_that_is_whole(tree: Path, is_quick: bool) -> None:
    tests = named_tests(quick=is_quick)
    assert run_tests(tree, tests) == dict.fromkeys(tests, "passed")
