"""Vendors' payloads as their own documentation shows them, and requests made of them."""

from datetime import UTC, datetime
from pathlib import Path

from switchboard.intake.formats.base import InboundRequest, Parsed
from switchboard.intake.formats.registry import get_format

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
JSON = "application/json"
_FOLDER = Path(__file__).parent / "samples"


def sample(name: str) -> bytes:
    """The sample file of that name, without its last line break."""
    return (_FOLDER / name).read_bytes().strip()


def parse_sample(format_name: str, file_name: str, content_type: str = JSON) -> list[Parsed]:
    """Every signal in a sample."""
    format_ = get_format(format_name)
    return [format_.parse(payload.value) for payload in format_.split(sample(file_name), content_type)]


def request(body: bytes, *, url: str = "https://sb.example/in/token", **headers: str) -> InboundRequest:
    """A POST of `body` at NOW; underscores in header names stand for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return InboundRequest("POST", url, {"content-type": JSON} | named, body, NOW)
