"""The doctor names what is wrong and what to do."""

from datetime import UTC, datetime
from pathlib import Path

from switchboard.intake.spool_files import Record, SpoolWriter
from switchboard.kernel.settings import Settings, load_settings
from switchboard.ops.doctor import examine
from switchboard.ops.retention import list_overdue
from tests.conftest import Urls


def _settings(home: Path, **more: str) -> Settings:
    return load_settings({"SWITCHBOARD_HOME": str(home), "SMTP_IN_PORT": "1", **more})


def test_a_healthy_database_is_said_to_be_healthy(urls: Urls, tmp_path: Path) -> None:
    found = {finding.subject: finding for finding in examine(_settings(tmp_path), urls.application)}
    assert found["database"].verdict == "ok"
    assert found["database"].detail == "Postgres 18.6, schema up to date"
    assert found["pg_trgm"].verdict == found["vector"].verdict == found["clock"].verdict == "ok"
    kept = "signals 24 months, events for ever, attempts 24 months, runs 24 months, mail 24 months"
    assert (found["kept"].verdict, found["kept"].detail) == ("ok", kept)
    assert found["mail in"].verdict == "warning"
    assert "switchboard work --queues smtp-in" in found["mail in"].advice


def test_a_role_that_row_security_does_not_hold_is_bad(urls: Urls, tmp_path: Path) -> None:
    finding = examine(_settings(tmp_path), urls.superuser)[0]
    assert (finding.subject, finding.verdict) == ("database", "bad")
    assert "can bypass row-level security" in finding.detail


def test_an_unreachable_database_and_mail_server_are_both_named(tmp_path: Path) -> None:
    settings = _settings(tmp_path, EMAIL_PROVIDER="smtp", SMTP_HOST="127.0.0.1", SMTP_PORT="1")
    found = {finding.subject: finding for finding in examine(settings, "postgresql://127.0.0.1:1/none")}
    assert found["database"].verdict == found["mail out"].verdict == "bad"
    assert "127.0.0.1:1" in found["mail out"].detail


def test_the_spool_is_named_with_what_waits_in_it_and_what_needs_a_look(tmp_path: Path) -> None:
    def spool() -> list[tuple[str, str]]:
        found = examine(_settings(tmp_path, SPOOL_MEGABYTES="1"), "postgresql://127.0.0.1:1/none")
        return [(finding.verdict, finding.detail) for finding in found if finding.subject == "spool"]

    folder = tmp_path / "spool"
    assert spool() == [("warning", f"The folder {folder} cannot be made or written into.")]
    folder.mkdir()
    assert spool() == [("ok", f"{folder}, 0 of 1 MB taken")]
    writer = SpoolWriter(folder, 1 << 20)
    writer.append([Record(b"x", 1_234)])
    (folder / "old.damaged").write_bytes(b"x")
    assert spool() == [
        ("warning", f"1,234 signals wait in {folder}, 0 of 1 MB taken"),
        ("bad", f"{folder}/old.damaged could not be brought in"),
    ]
    writer.seal()
    (folder / "old.damaged").write_bytes(bytes(1 << 20))
    assert spool()[0] == ("bad", "1 of 1 MB taken: no room")


def test_a_month_that_should_have_gone_a_week_ago_is_named(tmp_path: Path) -> None:
    settings = _settings(tmp_path, KEEP_ATTEMPTS_MONTHS="1")
    oldest = {"event": datetime(2020, 1, 1, tzinfo=UTC), "attempt": datetime(2026, 9, 1, tzinfo=UTC)}
    assert list_overdue(settings, datetime(2026, 11, 9, tzinfo=UTC), oldest) == []
    assert list_overdue(settings, datetime(2026, 11, 10, tzinfo=UTC), oldest) == ["attempt of 2026-09"]
