"""A provider's settings as a form: described for any page, read back with every mistake named."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from switchboard.kernel.errors import InvalidError, Problem

FieldKind = Literal["text", "secret", "number", "choice", "flag", "lines"]
Settings = TypeVar("Settings", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of a settings form; `default` is as it would be typed, and never a secret."""

    name: str
    label: str
    kind: FieldKind
    help: str
    required: bool
    default: str = ""
    choices: tuple[str, ...] = ()


def describe_form(settings: type[BaseModel]) -> tuple[FormField, ...]:
    """The fields of a settings class, in their order."""
    return tuple(_describe_field(name, field) for name, field in settings.model_fields.items())


def read_form(settings: type[Settings], values: Mapping[str, object]) -> Settings:
    """Settings from what was typed; raises `InvalidError` naming every field that is wrong."""
    try:
        return settings.model_validate(dict(values))
    except ValidationError as error:
        problems = [Problem(".".join(map(str, one["loc"])), _sentence(one["msg"])) for one in error.errors()]
        raise InvalidError("The settings cannot be used as they are.", problems=problems) from error


def _describe_field(name: str, field: FieldInfo) -> FormField:
    default = "" if field.default is PydanticUndefined else _as_typed(field.default)
    return FormField(
        name=name,
        label=field.title or name,
        kind=_kind_of(field),
        help=field.description or "",
        required=field.is_required(),
        default=default,
        choices=get_args(field.annotation) if get_origin(field.annotation) is Literal else (),
    )


def _kind_of(field: FieldInfo) -> FieldKind:
    if get_origin(field.annotation) is Literal:
        return "choice"
    if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("lines"):
        return "lines"
    kinds: dict[object, FieldKind] = {SecretStr: "secret", bool: "flag", int: "number", float: "number"}
    return kinds.get(field.annotation, "text")


def _as_typed(value: object) -> str:
    if isinstance(value, SecretStr):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _sentence(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text if text.endswith(".") else f"{text}."
