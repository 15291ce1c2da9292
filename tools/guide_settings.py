"""The page of settings, from the fields of `Settings`."""

from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from switchboard.kernel.settings import Settings
from tools.guide_text import code, page, table

INTRODUCTION = """\
Switchboard reads its settings from the environment when it starts. All of them have a default or may be left out.

Any of them may come from a file: `SMTP_PASSWORD_FILE=/run/secrets/smtp` reads `SMTP_PASSWORD` from that file.

A setting that cannot be used stops the start with exit code 2. Every wrong one is named at once, with what was
expected."""


def render() -> str:
    """Name, what it may hold, default and meaning of each setting."""
    rows = [_row(field) for field in Settings.model_fields.values() if field.alias is not None]
    return page("Settings", INTRODUCTION, table(["Name", "Value", "Default", "Meaning"], rows))


def _row(field: FieldInfo) -> list[str]:
    return [code(field.alias or ""), _value(field), code(_default(field.default)), field.description or ""]


def _value(field: FieldInfo) -> str:
    kinds = [kind for kind in (get_args(field.annotation) or (field.annotation,)) if kind is not type(None)]
    if all(isinstance(kind, str) for kind in kinds):
        return ", ".join(f"`{kind}`" for kind in kinds)
    words = {SecretStr: "secret text", Path: "path", bool: "`true` or `false`", timedelta: "seconds", str: "text"}
    return words.get(kinds[0], "") or f"whole number{_bounds(field)}"


def _bounds(field: FieldInfo) -> str:
    least = next((rule.ge for rule in field.metadata if hasattr(rule, "ge")), None)
    most = next((rule.le for rule in field.metadata if hasattr(rule, "le")), None)
    return f", {least} to {most}" if least is not None and most is not None else ""


def _default(value: Any) -> str:  # noqa: ANN401 a default is of its setting's type
    if value is None or value == "":
        return ""
    if isinstance(value, timedelta):
        return str(int(value.total_seconds()))
    return str(value).lower() if isinstance(value, bool) else str(value)
