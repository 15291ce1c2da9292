"""Logs carry no personal data, whoever writes them."""

import json
import logging
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import structlog

from switchboard.kernel.db import Database
from switchboard.kernel.logs import configure_logs, describe_error, mask, redact


def test_personal_fields_are_emptied_and_addresses_in_texts_masked() -> None:
    line = redact(None, "", {"event": "x.failed", "email": "a@b.example", "detail": "to a@b.example, +49 151 1234567"})
    assert line == {"event": "x.failed", "email": "[redacted]", "detail": "to [email], [phone]"}


def test_ids_times_and_versions_are_left_alone() -> None:
    text = "01a1f787-e600-7712-bd62-2a70938438e6 at 2026-11-20T05:57:33 v18.6"
    assert mask(text) == text


async def test_an_error_of_the_database_is_described_without_the_values_it_repeats(database: Database) -> None:
    hostile = 'Anna "the\n\nTraceback" Müller'
    statements = {
        "22P02": ("SELECT %s::uuid", (hostile,)),
        "23502": ("INSERT INTO app.throttle (key) VALUES (%s)", (hostile,)),
        "22023": ("SELECT json_populate_record(null::app.throttle, %s::json)", (f'["{len(hostile)}", "Anna"]',)),
    }
    for sqlstate, (statement, values) in statements.items():
        with pytest.raises(psycopg.Error) as caught:
            async with database.directory() as tx:
                await tx.execute(statement, values)
        described = describe_error(caught.value)
        assert f": {sqlstate} " in described
        assert "Anna" not in described
        assert "Müller" not in described


def test_an_error_is_described_with_what_led_to_it() -> None:
    try:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ExceptionGroup("both", [ValueError("for a@b.example")]) from error
    except ExceptionGroup as error:
        described = describe_error(error)
    assert [line for line in described.splitlines() if "Error: " in line or "Group: " in line] == [
        "builtins.KeyError: 'first'",
        "builtins.ExceptionGroup: both (1 sub-exception)",
        "builtins.ValueError: for [email]",
    ]


def test_lines_of_libraries_say_when_and_carry_no_address(capsys: pytest.CaptureFixture[str]) -> None:
    earlier = logging.getLogger().handlers[:]
    try:
        configure_logs("info", "json")
        logging.getLogger("psycopg.pool").warning("error connecting for %s", "a@b.example")
    finally:
        logging.getLogger().handlers[:] = earlier
        structlog.reset_defaults()
    line = json.loads(capsys.readouterr().err)
    assert abs(datetime.fromisoformat(line.pop("timestamp")) - datetime.now(UTC)) < timedelta(minutes=1)
    assert line == {
        "event": "library.message",
        "logger": "psycopg.pool",
        "level": "warning",
        "message": "error connecting for [email]",
    }
