"""Settings: every wrong one is named at once, and secrets may come from files."""

from pathlib import Path

import pytest

from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.settings import load_settings


def test_without_any_setting_the_defaults_run_on_this_machine() -> None:
    settings = load_settings({})
    assert (settings.port, settings.public_url, settings.inbound_port) == (8000, "http://127.0.0.1:8000", 8025)
    assert settings.database_url is None


def test_every_wrong_setting_is_named_at_once() -> None:
    wrong = {"PORT": "eighty", "DATABASE_URL": "mysql://x", "LOG_LEVEL": "loud", "APP_URL": "example.com"}
    with pytest.raises(ConfigurationError) as caught:
        load_settings(wrong)
    assert sorted(problem.field for problem in caught.value.problems) == sorted(wrong)


def test_settings_that_belong_together_are_asked_for_together() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"EMAIL_PROVIDER": "SMTP", "SMTP_USER": "me"})
    assert [problem.field for problem in caught.value.problems] == ["SMTP_HOST", "SMTP_PASSWORD"]


def test_what_is_missing_is_named_beside_what_is_wrong() -> None:
    wrong = {"PORT": "eighty", "EMAIL_PROVIDER": "smtp", "SMTP_USER": "me", "SMTP_PORT": "0"}
    with pytest.raises(ConfigurationError) as caught:
        load_settings(wrong)
    assert [problem.field for problem in caught.value.problems] == ["PORT", "SMTP_PORT", "SMTP_HOST", "SMTP_PASSWORD"]


def test_a_wrong_setting_is_not_also_called_missing() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"DATABASE_URL": "mysql://x", "DATABASE_OWNER_URL": "postgresql://owner@x/y"})
    assert [problem.field for problem in caught.value.problems] == ["DATABASE_URL"]


def test_a_secret_comes_from_its_file_and_never_shows_itself(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2hunter2\n")
    settings = load_settings({"SMTP_PASSWORD_FILE": str(secret)})
    assert settings.smtp_password is not None
    assert settings.smtp_password.get_secret_value() == "hunter2hunter2"
    assert "hunter2" not in repr(settings)


def test_a_missing_secret_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"APP_SECRET_FILE": str(tmp_path / "missing")})
    assert [problem.field for problem in caught.value.problems] == ["APP_SECRET_FILE"]


def test_a_folder_of_figures_must_exist_and_a_secret_be_long(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "missing"), "APP_SECRET": "short"})
    assert [(problem.field, problem.message) for problem in caught.value.problems] == [
        ("APP_SECRET", "expected at least 32 characters"),
        ("PROMETHEUS_MULTIPROC_DIR", "expected a folder that exists"),
    ]
    assert load_settings({"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}).metrics_dir == tmp_path


def test_redis_is_named_by_a_url_or_by_its_parts() -> None:
    def address(**values: str) -> str | None:
        return load_settings(values).redis_address

    assert address() is None
    assert (
        address(REDIS_URL="rediss://default:secret@cache.example:25061")
        == "rediss://default:secret@cache.example:25061"
    )
    assert address(REDIS_URI="redis://localhost:6379") == "redis://localhost:6379"
    assert address(REDIS_HOST="cache", REDIS_PASSWORD="p@ss/word") == "redis://:p%40ss%2Fword@cache:6379/0"
    # What Kubernetes sets for a service of that name is no port.
    assert address(REDIS_HOST="redis", REDIS_PORT="tcp://10.0.0.7:6379") == "redis://redis:6379/0"


def test_signals_cannot_go_through_a_redis_that_is_not_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"REDIS_INTAKE": "always"})
    assert [problem.field for problem in caught.value.problems] == ["REDIS_URL"]
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"REDIS_URL": "http://cache.example"})
    assert [problem.field for problem in caught.value.problems] == ["REDIS_URL"]
