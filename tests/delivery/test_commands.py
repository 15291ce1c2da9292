"""`switchboard template` and `switchboard mailbox`, as somebody on the server runs them."""

import json
from pathlib import Path

import pytest

from switchboard.accounts.models import Caller
from switchboard.delivery.channels.base import Envelope
from switchboard.delivery.letters import make_key
from switchboard.delivery.mailbox import store_mail
from switchboard.kernel.db import Database
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.ids import new_id
from tests.commands import Run, command_line
from tests.conftest import Urls

LETTER = """\
name: hello
title: Hello
purpose: transactional
subject: "Hello {{ contact.first_name }}"
mjml: "<mj-text>Hello {{ contact.first_name }}</mj-text>"
"""


@pytest.fixture
def run(urls: Urls, owner: Caller) -> Run:
    return command_line(urls, ["template", "mailbox"])


async def test_a_file_becomes_a_template_and_its_next_text_a_version(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "hello.yaml"
    file.write_text(LETTER)
    assert (await run("template", "apply", str(file))).stdout == "hello is at version 1.\n"
    assert json.loads((await run("template", "apply", str(file), "--json")).stdout)["version"] == 1
    file.write_text(LETTER.replace('subject: "Hello', 'subject: "Good day'))
    assert json.loads((await run("template", "apply", str(file), "--json")).stdout)["version"] == 2
    (listed,) = json.loads((await run("template", "list", "--json")).stdout)
    assert (listed["name"], listed["version"]) == ("hello", 2)
    assert listed["subject"] == "Good day {{ contact.first_name }}"


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("- a list", ["name", "purpose", "subject", "mjml"]),
        (LETTER + "colour: red\n", ["colour"]),
        ("a: [", ["file"]),
        (LETTER.replace("first_name }}<", "last }}<"), ["body"]),
    ],
)
async def test_a_file_that_describes_no_template_is_refused_with_the_place(
    run: Run, tmp_path: Path, text: str, fields: list[str]
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    error = (await run("template", "apply", str(file))).exception
    assert isinstance(error, InvalidError)
    assert [problem.field for problem in error.problems] == fields


async def test_the_mailbox_is_listed_newest_first(run: Run, database: Database, owner: Caller) -> None:
    for name in ("ann", "bob"):
        raw = f"Subject: For {name}\r\n\r\nHello".encode()
        key = make_key(owner.workspace_id, new_id())
        await store_mail(database)(Envelope(key, "a@x.example", f"{name}@x.example", raw))
    mails = json.loads((await run("mailbox", "list", "--json")).stdout)
    assert [mail["subject"] for mail in mails] == ["For bob", "For ann"]
    (to_ann,) = json.loads((await run("mailbox", "list", "--to", "Ann@", "--json")).stdout)
    assert to_ann["recipient"] == "ann@x.example"
    assert "Subject: For ann" in (await run("mailbox", "show", to_ann["id"])).stdout
    assert (await run("mailbox", "show", "nothing")).exit_code == 2
