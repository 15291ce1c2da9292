"""The instance's secret: one for all processes, readable by nobody else."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from switchboard.kernel import secrets
from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.secrets import derive_key, load_app_secret
from switchboard.kernel.settings import load_settings


def test_the_setting_is_the_secret() -> None:
    assert load_app_secret(load_settings({"APP_SECRET": "s" * 32})) == b"s" * 32


def test_without_the_setting_a_key_is_made_once_and_kept_for_its_owner_only(tmp_path: Path) -> None:
    settings = load_settings({"SWITCHBOARD_HOME": str(tmp_path / "home")})
    first = load_app_secret(settings)
    secrets._load_key.cache_clear()
    assert load_app_secret(settings) == first
    assert len(first) >= 32
    assert stat.S_IMODE((tmp_path / "home" / "app.key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["app.key"]


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    path = tmp_path / "app.key"
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: secrets._make_key(path), range(64)))
    assert keys == {path.read_bytes()}


def test_a_key_that_cannot_be_kept_names_the_setting_to_use_instead(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = load_settings({"SWITCHBOARD_HOME": str(tmp_path / "file")})
    with pytest.raises(ConfigurationError) as caught:
        load_app_secret(settings)
    assert [problem.field for problem in caught.value.problems] == ["APP_SECRET"]


def test_purposes_have_keys_of_their_own() -> None:
    assert derive_key(b"secret", "unsubscribe") != derive_key(b"secret", "inbound-mail")
    assert len(derive_key(b"secret", "unsubscribe")) == 32
