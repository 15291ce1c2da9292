"""Settings: the workspace, its members, and one's own password."""

from dataclasses import dataclass, field, replace
from datetime import datetime, time
from zoneinfo import available_timezones

import phonenumbers
from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts import service
from switchboard.accounts.errors import WrongPasswordError
from switchboard.accounts.models import (
    CHANNELS,
    MOST_CAP_DAYS,
    MOST_CAP_MESSAGES,
    ROLES,
    ChannelCap,
    Member,
    Workspace,
)
from switchboard.accounts.web import SESSION_COOKIE, Visit, action, page
from switchboard.kernel.errors import InvalidError, Problem, SwitchboardError
from switchboard.kernel.http import Form


@dataclass(frozen=True, slots=True)
class SettingsPage:
    """The workspace and its members."""

    workspace: Workspace = field(metadata={"help": "The settings as stored, or as typed when they were refused."})
    members: tuple[Member, ...] = field(metadata={"help": "Everybody who may sign in to it."})
    zones: tuple[str, ...] = field(metadata={"help": "Every IANA zone, for the choice."})
    regions: tuple[str, ...] = field(metadata={"help": "Countries that phone numbers may belong to."})
    channels: tuple[str, ...] = field(metadata={"help": "Channels that may have a cap of their own."})
    roles: tuple[str, ...] = field(metadata={"help": "Roles the caller may give."})
    now: datetime = field(metadata={"help": "The request's time."})
    errors: dict[str, str] = field(metadata={"help": "What is wrong, by field of the workspace's form."})
    member_errors: dict[str, str] = field(metadata={"help": "What is wrong, by field of the new member's form."})
    new_member: dict[str, str] = field(metadata={"help": "The new member's form as typed."})


@dataclass(frozen=True, slots=True)
class ProfilePage:
    """One's own account."""

    name: str = field(metadata={"help": "As colleagues know them."})
    email: str = field(metadata={"help": "Address to sign in with."})
    role: str = field(metadata={"help": "In this workspace."})
    errors: dict[str, str] = field(metadata={"help": "What is wrong, by field."})


async def show_settings(visit: Visit) -> Response:
    """The workspace's settings and its members."""
    return await _settings(visit, await service.get_workspace(visit.tx))


async def save_workspace(visit: Visit) -> Response:
    """Save the workspace's settings, or show what is wrong beside each field."""
    stored = await service.get_workspace(visit.tx)
    try:
        typed = _typed_workspace(stored, visit.form)
    except InvalidError as error:
        return await _settings(visit, stored, errors=error.by_field())
    try:
        await service.update_workspace(visit.tx, visit.caller, typed)
    except InvalidError as error:
        return await _settings(visit, typed, errors=error.by_field())
    return visit.done("/settings", "Settings saved.")


async def add_member(visit: Visit) -> Response:
    """Add a user to the workspace, or show what is wrong beside each field."""
    form = visit.form
    typed = {name: form.text(name) for name in ("email", "name", "role")}
    role = next((known for known in ROLES if known == typed["role"]), None)
    try:
        if role is None:
            raise InvalidError("A choice is missing.", problems=[Problem("role", "choose a role")])
        await service.create_member(
            visit.tx,
            visit.caller,
            email=typed["email"],
            name=typed["name"],
            password=str(form.data.get("password", ""))[:1000],
            role=role,
        )
    except SwitchboardError as error:
        if error.status not in {409, 422}:
            raise
        stored = await service.get_workspace(visit.tx)
        return await _settings(visit, stored, member_errors=error.by_field("email"), new_member=typed)
    return visit.done("/settings#members", f"{typed['email']} can sign in now.")


async def show_profile(visit: Visit) -> Response:
    """The signed-in person's name, address and role, and a form for their password."""
    return await _profile(visit, {})


async def change_password(visit: Visit) -> Response:
    """Set one's own password; the present one is asked for."""
    present, new = (str(visit.form.data.get(name, ""))[:1000] for name in ("present", "password"))
    try:
        token = visit.request.cookies.get(SESSION_COOKIE, "")
        await service.change_own_password(visit.tx, visit.session, token, present=present, new=new)
    except WrongPasswordError:
        return await _profile(visit, {"present": "That is not your present password."})
    except InvalidError as error:
        return await _profile(visit, error.by_field())
    return visit.done("/settings/profile", "Your password is changed.")


async def _settings(
    visit: Visit,
    workspace: Workspace,
    *,
    errors: dict[str, str] | None = None,
    member_errors: dict[str, str] | None = None,
    new_member: dict[str, str] | None = None,
) -> Response:
    context = SettingsPage(
        workspace=workspace,
        members=tuple(await service.list_members(visit.tx)),
        zones=tuple(sorted(available_timezones())),
        regions=tuple(sorted(phonenumbers.SUPPORTED_REGIONS)),
        channels=CHANNELS,
        roles=ROLES if visit.caller.may("owner") else ROLES[1:],
        now=await visit.tx.now(),
        errors=errors or {},
        member_errors=member_errors or {},
        new_member=new_member or {},
    )
    status = 422 if errors or member_errors else 200
    return await visit.render("accounts/settings.html", context, active="settings", status=status)


async def _profile(visit: Visit, errors: dict[str, str]) -> Response:
    context = ProfilePage(visit.session.user_name, visit.session.user_email, visit.caller.role, errors)
    return await visit.render("accounts/profile.html", context, active="settings", status=422 if errors else 200)


def _typed_workspace(stored: Workspace, form: Form) -> Workspace:
    return replace(
        stored,
        name=form.text("name"),
        time_zone=form.text("time_zone"),
        default_region=form.text("default_region").upper(),
        mail_from=form.text("mail_from"),
        first_response_minutes=form.whole("first_response_minutes", least=1, most=10_080),
        quiet_start=_clock_time(form, "quiet_start"),
        quiet_end=_clock_time(form, "quiet_end"),
        cap_messages=form.whole("cap_messages", least=1, most=MOST_CAP_MESSAGES),
        cap_days=form.whole("cap_days", least=1, most=MOST_CAP_DAYS),
        is_consent_required=form.checked("is_consent_required"),
        supervisor_id=form.optional_id("supervisor_id"),
        channel_caps={name: cap for name in CHANNELS if (cap := _typed_cap(form, name)) is not None},
    )


def _typed_cap(form: Form, channel: str) -> ChannelCap | None:
    """The channel's own cap; None where both of its fields are empty."""
    messages, days = f"cap_{channel}_messages", f"cap_{channel}_days"
    if not form.text(messages) and not form.text(days):
        return None
    return ChannelCap(
        messages=form.whole(messages, least=1, most=MOST_CAP_MESSAGES),
        days=form.whole(days, least=1, most=MOST_CAP_DAYS),
    )


def _clock_time(form: Form, name: str) -> time:
    try:
        return time.fromisoformat(form.required(name))
    except ValueError:
        raise InvalidError(
            "A time is wrong.", problems=[Problem(name, "expected hours and minutes, as 21:00")]
        ) from None


routes = [
    Route("/settings", page(show_settings), methods=["GET"]),
    Route("/settings", action(save_workspace), methods=["POST"]),
    Route("/settings/members", action(add_member), methods=["POST"]),
    Route("/settings/profile", page(show_profile), methods=["GET"]),
    Route("/settings/profile", action(change_password), methods=["POST"]),
]
