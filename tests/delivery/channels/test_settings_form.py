"""The settings form of a provider: described for a page, read back with each mistake named."""

import pytest

from switchboard.delivery.channels.form import describe_form, read_form
from switchboard.delivery.channels.mailbox.settings import MailboxSettings
from switchboard.delivery.channels.smtp.settings import SmtpSettings
from switchboard.kernel.errors import InvalidError, Problem


def test_smtp_asks_for_these_fields() -> None:
    fields = {field.name: field for field in describe_form(SmtpSettings)}
    assert [(field.name, field.kind) for field in fields.values()] == [
        ("host", "text"),
        ("port", "number"),
        ("security", "choice"),
        ("username", "text"),
        ("password", "secret"),
        ("ca_certificate", "lines"),
        ("helo_name", "text"),
        ("connections", "number"),
        ("messages_per_connection", "number"),
        ("idle_seconds", "number"),
        ("command_timeout_seconds", "number"),
        ("send_timeout_seconds", "number"),
    ]
    assert (fields["host"].required, fields["port"].default) == (True, "587")
    assert fields["security"].choices == ("starttls", "tls", "none")
    assert fields["password"].default == ""
    assert all(field.help and field.label for field in fields.values())


def test_the_mailbox_asks_nothing() -> None:
    assert describe_form(MailboxSettings) == ()
    assert read_form(MailboxSettings, {}) == MailboxSettings()


def test_typed_values_become_settings() -> None:
    settings = read_form(SmtpSettings, {"host": " smtp.example.org ", "port": "465", "security": "tls"})
    assert (settings.host, settings.port, settings.security) == ("smtp.example.org", 465, "tls")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, Problem("host", "Field required.")),
        ({"host": "x", "port": "0"}, Problem("port", "Input should be greater than or equal to 1.")),
        (
            {"host": "x", "security": "ssl"},
            Problem("security", "Input should be 'starttls', 'tls' or 'none'."),
        ),
        (
            {"host": "x", "ca_certificate": "nonsense"},
            Problem(
                "ca_certificate",
                "This is no certificate in PEM form: it begins with -----BEGIN CERTIFICATE-----.",
            ),
        ),
        (
            {"host": "smtp.example.org", "security": "none", "username": "me"},
            Problem("", "The password would be readable on its way: choose STARTTLS or TLS."),
        ),
        ({"host": "x", "hots": "y"}, Problem("hots", "Extra inputs are not permitted.")),
    ],
)
def test_each_mistake_is_named(values: dict[str, object], problem: Problem) -> None:
    with pytest.raises(InvalidError) as caught:
        read_form(SmtpSettings, values)
    assert caught.value.problems == (problem,)


def test_a_password_may_go_plainly_to_this_machine() -> None:
    for host in ("localhost", "127.0.0.1", "::1"):
        read_form(SmtpSettings, {"host": host, "security": "none", "username": "me", "password": "x"})


def test_a_password_is_never_shown() -> None:
    settings = read_form(SmtpSettings, {"host": "x", "username": "me", "password": "hunter2"})
    assert "hunter2" not in repr(settings)
