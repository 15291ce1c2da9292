"""Signing in, workspaces and their members."""

import hashlib
import secrets
from datetime import timedelta
from uuid import UUID
from zoneinfo import available_timezones

import phonenumbers

from switchboard.accounts import repository
from switchboard.accounts.errors import EmailTakenError, SessionMissingError, WrongPasswordError
from switchboard.accounts.models import (
    CHANNELS,
    MOST_CAP_DAYS,
    MOST_CAP_MESSAGES,
    ROLES,
    Caller,
    Member,
    Role,
    Session,
    User,
    Workspace,
)
from switchboard.accounts.passwords import hash_password, verify_password
from switchboard.kernel import events, throttle
from switchboard.kernel.addresses import Rejected, parse_email
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import InvalidError, NotFoundError, Problem
from switchboard.kernel.events import Event
from switchboard.kernel.ids import new_id

SIGN_IN_EVERY = timedelta(seconds=30)
SIGN_IN_BURST = 10


async def sign_in(database: Database, email: str, password: str, *, origin: str, length: timedelta) -> str:
    """Check the password and open a session; returns the cookie's token, which is stored only as a hash.

    `origin` is the client's address. Raises ThrottledError after ten tries in a row for one user or one origin,
    WrongPasswordError otherwise when they do not belong together.
    """
    email = email.strip().lower()
    async with database.directory() as tx:
        await throttle.spend(tx, f"sign-in:{email}", every=SIGN_IN_EVERY, burst=SIGN_IN_BURST)
        await throttle.spend(tx, f"sign-in-from:{origin}", every=SIGN_IN_EVERY / 5, burst=SIGN_IN_BURST * 5)
        user = await repository.find_user_by_email(tx, email)
    # No transaction is open while the hash is computed: it takes long, and connections are few.
    if not await verify_password(password, user.password_hash if user else None) or user is None or user.disabled_at:
        raise WrongPasswordError
    async with database.directory(user_id=user.id) as tx:
        return await _open_session(tx, user.id, length)


async def _open_session(tx: Tx, user_id: UUID, length: timedelta) -> str:
    workspace_id = await repository.find_first_workspace_id(tx, user_id)
    if workspace_id is None:
        raise WrongPasswordError
    token = secrets.token_urlsafe(32)
    await repository.insert_session(
        tx,
        _token_hash(token),
        user_id=user_id,
        workspace_id=workspace_id,
        csrf_token=secrets.token_urlsafe(24),
        length=length,
    )
    return token


async def resume_session(tx: Tx, token: str) -> tuple[Session, Caller]:
    """Find the session behind a cookie and enter its workspace; raises SessionMissingError."""
    session = await repository.find_session(tx, _token_hash(token))
    if session is None:
        raise SessionMissingError
    await tx.enter_workspace(session.active_workspace_id)
    role = await repository.find_role(tx, session.user_id)
    if role is None:
        raise SessionMissingError
    return session, Caller(tx.workspace_id, _known_role(role), session.user_id, session.user_name)


async def sign_out(tx: Tx, token: str) -> None:
    """End the session behind a cookie."""
    await repository.delete_session(tx, _token_hash(token))


async def create_workspace(tx: Tx, *, name: str, time_zone: str, default_region: str, mail_domain: str) -> UUID:
    """Add a workspace with its inbound mail address; the transaction works for it afterwards."""
    workspace_id = new_id()
    mail_from = f"hello@{workspace_id.hex[-8:]}.{mail_domain}"
    _check_workspace(name=name, time_zone=time_zone, default_region=default_region, mail_from=mail_from)
    await tx.enter_workspace(workspace_id)
    await repository.insert_workspace(
        tx, name=name, time_zone=time_zone, default_region=default_region, mail_from=mail_from
    )
    await repository.insert_address(tx, "mail", mail_from, None)
    await events.append(tx, [Event("workspace.created", subject_id=workspace_id)])
    return workspace_id


async def get_workspace(tx: Tx) -> Workspace:
    """The transaction's workspace; raises NotFoundError."""
    workspace = await repository.find_workspace(tx)
    if workspace is None:
        raise NotFoundError("There is no such workspace.")
    return workspace


async def update_workspace(tx: Tx, caller: Caller, workspace: Workspace) -> None:
    """Save the settings of the caller's workspace; raises InvalidError with each field that is wrong."""
    caller.require("admin")
    supervisor_id = workspace.supervisor_id
    if supervisor_id is not None and await repository.find_role(tx, supervisor_id) is None:
        problems = [Problem("supervisor_id", "choose a member of the workspace")]
        raise InvalidError("The workspace's settings cannot be saved.", problems=problems)
    _check_workspace(
        name=workspace.name,
        time_zone=workspace.time_zone,
        default_region=workspace.default_region,
        mail_from=workspace.mail_from,
    )
    _check_channel_caps(workspace)
    await _move_mail_address(tx, workspace.mail_from)
    await repository.update_workspace(tx, workspace)
    await events.append(tx, [Event("workspace.updated", subject_id=workspace.id, actor=caller.actor)])


def _check_channel_caps(workspace: Workspace) -> None:
    problems = []
    for name, cap in workspace.channel_caps.items():
        if name not in CHANNELS:
            problems.append(Problem("channel_caps", f"{name} is no channel; expected {', '.join(CHANNELS)}"))
        if not 1 <= cap.messages <= MOST_CAP_MESSAGES:
            problems.append(Problem(f"cap_{name}_messages", f"expected from 1 to {MOST_CAP_MESSAGES} messages"))
        if not 1 <= cap.days <= MOST_CAP_DAYS:
            problems.append(Problem(f"cap_{name}_days", f"expected from 1 to {MOST_CAP_DAYS} days"))
    if problems:
        raise InvalidError("The workspace's settings cannot be saved.", problems=problems)


async def _move_mail_address(tx: Tx, mail_from: str) -> None:
    """Mail to the new sender comes into the inbox; raises InvalidError when it is another workspace's."""
    before, after = (await get_workspace(tx)).mail_from.lower(), mail_from.lower()
    if before != after and not await repository.move_address(tx, "mail", before, after):
        problem = Problem("mail_from", "another workspace receives mail at this address; choose another one")
        raise InvalidError("The workspace's settings cannot be saved.", problems=[problem])


async def create_member(tx: Tx, caller: Caller, *, email: str, name: str, password: str, role: Role) -> UUID:
    """Add a user and make them a member; raises EmailTakenError, WeakPasswordError, InvalidError."""
    caller.require("owner" if role == "owner" else "admin")
    address = _checked_email(email)
    if role not in ROLES:
        raise InvalidError("That is not a role.", problems=[Problem("role", f"expected one of {', '.join(ROLES)}")])
    user = User(new_id(), address, name.strip() or address, await hash_password(password), None)
    if not await repository.insert_user(tx, user):
        raise EmailTakenError
    await repository.upsert_member(tx, user.id, role)
    joined = Event("member.joined", subject_id=user.id, actor=caller.actor, data={"role": role})
    await events.append(tx, [joined])
    return user.id


async def change_password(tx: Tx, *, email: str, password: str) -> None:
    """Replace a user's password and end their sessions; for the command line on the server. Raises NotFoundError."""
    user = await repository.find_user_by_email(tx, email.strip().lower())
    if user is None:
        raise NotFoundError("There is no user with that e-mail address.")
    await repository.update_password(tx, user.id, await hash_password(password))
    await repository.delete_sessions_of(tx, user.id, but_hash=b"")


async def change_own_password(tx: Tx, session: Session, token: str, *, present: str, new: str) -> None:
    """Replace the signed-in user's password; raises WrongPasswordError unless `present` is the one in force.

    Every session of theirs but that of `token` ends: whoever knew the old password is out.
    """
    await throttle.spend(tx, f"password:{session.user_id}", every=SIGN_IN_EVERY, burst=SIGN_IN_BURST)
    user = await repository.find_user_by_email(tx, session.user_email)
    if user is None or not await verify_password(present, user.password_hash):
        raise WrongPasswordError
    await repository.update_password(tx, user.id, await hash_password(new))
    await repository.delete_sessions_of(tx, user.id, but_hash=_token_hash(token))


async def list_members(tx: Tx) -> list[Member]:
    """Everybody who is a member of the workspace now, by name."""
    return await repository.list_members(tx)


async def has_users(tx: Tx) -> bool:
    """Whether anybody could sign in: false on the very first start."""
    return await repository.has_users(tx)


async def list_workspace_ids(tx: Tx) -> list[UUID]:
    """Every workspace, oldest first; for commands run on the server."""
    return await repository.list_workspace_ids(tx)


async def add_address(tx: Tx, kind: str, address: str, target_id: UUID | None) -> None:
    """Enter a public address (an intake token's hash, a mail address) of the transaction's workspace."""
    await repository.insert_address(tx, kind, address, target_id)


async def remove_address(tx: Tx, kind: str, address: str) -> None:
    """Strike a public address of the transaction's workspace: from now on nobody stands behind it."""
    await repository.delete_address(tx, kind, address)


async def list_addresses(tx: Tx, kind: str, most: int) -> list[tuple[str, UUID, UUID | None]]:
    """Address, workspace and target of every public address of a kind, at most `most`, over all workspaces."""
    return await repository.list_addresses(tx, kind, most)


async def find_address(tx: Tx, kind: str, address: str) -> tuple[UUID, UUID | None] | None:
    """The workspace and target behind a public address, or None; works before any workspace is known."""
    return await repository.find_address(tx, kind, address)


async def delete_ended_sessions(tx: Tx) -> int:
    """Drop sessions that have ended; returns how many."""
    return await repository.delete_ended_sessions(tx)


def token_digest(token: str) -> str:
    """The hexadecimal SHA-256 of a secret token: what the address book stores instead of the token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _known_role(role: str) -> Role:
    for known in ROLES:
        if known == role:
            return known
    raise SessionMissingError


def _checked_email(text: str) -> str:
    address = parse_email(text)
    if isinstance(address, Rejected):
        raise InvalidError("That is not an e-mail address.", problems=[Problem("email", address.reason)])
    return address


def _check_workspace(*, name: str, time_zone: str, default_region: str, mail_from: str) -> None:
    problems = []
    if not name.strip():
        problems.append(Problem("name", "give the workspace a name"))
    if time_zone not in available_timezones():
        problems.append(Problem("time_zone", "expected an IANA zone such as Europe/Berlin"))
    if default_region not in phonenumbers.SUPPORTED_REGIONS:
        problems.append(Problem("default_region", "expected a country code of two letters such as DE"))
    if isinstance(sender := parse_email(mail_from), Rejected):
        problems.append(Problem("mail_from", sender.reason))
    if problems:
        raise InvalidError("The workspace's settings cannot be saved.", problems=problems)
