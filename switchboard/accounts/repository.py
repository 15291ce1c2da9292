"""The statements of the accounts room."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import msgspec

from switchboard.accounts.models import ChannelCap, Member, Session, User, Workspace
from switchboard.kernel.db import Tx

_USER = "id, email, name, password_hash, disabled_at"
_WORKSPACE = """id, name, time_zone, default_region, mail_from, first_response_minutes, quiet_start, quiet_end,
    cap_messages, cap_days, is_consent_required, supervisor_id, channel_caps"""


async def find_user_by_email(tx: Tx, email: str) -> User | None:
    """The user with that address, in lower case."""
    # By the unique index on email.
    return await tx.find_one(User, f"SELECT {_USER} FROM app.user_account WHERE email = %s", (email,))


async def insert_user(tx: Tx, user: User) -> bool:
    """False when the address is taken."""
    # Adds a user once an address; by the unique index on email.
    added = await tx.execute(
        """
        INSERT INTO app.user_account (id, email, name, password_hash) VALUES (%s, %s, %s, %s)
        ON CONFLICT (email) DO NOTHING
        """,
        (user.id, user.email, user.name, user.password_hash),
    )
    return added == 1


async def update_password(tx: Tx, user_id: UUID, password_hash: str) -> None:
    """Replace the hash."""
    # By primary key.
    await tx.execute("UPDATE app.user_account SET password_hash = %s WHERE id = %s", (password_hash, user_id))


async def has_users(tx: Tx) -> bool:
    """Whether anybody could sign in."""
    # Stops at the first row.
    return bool(await tx.fetch_value("SELECT EXISTS (SELECT FROM app.user_account)"))


async def insert_workspace(tx: Tx, *, name: str, time_zone: str, default_region: str, mail_from: str) -> None:
    """Add the tenant that the transaction works for; its other settings take the table's defaults."""
    # One row.
    await tx.execute(
        "INSERT INTO app.workspace (id, name, time_zone, default_region, mail_from) VALUES (%s, %s, %s, %s, %s)",
        (tx.workspace_id, name, time_zone, default_region, mail_from),
    )


async def find_workspace(tx: Tx) -> Workspace | None:
    """The transaction's workspace."""
    # By primary key; row security gives the same answer for a stranger's.
    found = await tx.find_one(Workspace, f"SELECT {_WORKSPACE} FROM app.workspace WHERE id = %s", (tx.workspace_id,))
    if found is None or not found.channel_caps:
        return found
    return replace(found, channel_caps=msgspec.convert(found.channel_caps, dict[str, ChannelCap]))


async def update_workspace(tx: Tx, workspace: Workspace) -> None:
    """Write all settings of the workspace."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.workspace SET name = %s, time_zone = %s, default_region = %s, mail_from = %s,
            first_response_minutes = %s, quiet_start = %s, quiet_end = %s, cap_messages = %s, cap_days = %s,
            is_consent_required = %s, supervisor_id = %s, channel_caps = %s::jsonb
        WHERE id = %s
        """,
        (
            workspace.name,
            workspace.time_zone,
            workspace.default_region,
            workspace.mail_from,
            workspace.first_response_minutes,
            workspace.quiet_start,
            workspace.quiet_end,
            workspace.cap_messages,
            workspace.cap_days,
            workspace.is_consent_required,
            workspace.supervisor_id,
            msgspec.json.encode(workspace.channel_caps).decode(),
            workspace.id,
        ),
    )


async def upsert_member(tx: Tx, user_id: UUID, role: str) -> None:
    """Make the user a member with that role, or change the role of a member."""
    # By primary key.
    await tx.execute(
        """
        INSERT INTO app.member (workspace_id, user_id, role) VALUES (%s, %s, %s)
        ON CONFLICT (workspace_id, user_id) DO UPDATE SET role = excluded.role, left_at = NULL
        """,
        (tx.workspace_id, user_id, role),
    )


async def list_members(tx: Tx) -> list[Member]:
    """Everybody who may sign in to the workspace now, by name; a workspace has at most some hundred."""
    # The members of one workspace by primary key prefix, joined to users by primary key.
    return await tx.fetch_all(
        Member,
        """
        SELECT m.user_id, u.name, u.email, m.role, m.joined_at
        FROM app.member m JOIN app.user_account u ON u.id = m.user_id
        WHERE m.workspace_id = %s AND m.left_at IS NULL AND u.disabled_at IS NULL ORDER BY u.name, u.id
        """,
        (tx.workspace_id,),
    )


async def find_role(tx: Tx, user_id: UUID) -> str | None:
    """The role of a present member, or None."""
    # By primary key.
    role: str | None = await tx.fetch_value(
        "SELECT role FROM app.member WHERE workspace_id = %s AND user_id = %s AND left_at IS NULL",
        (tx.workspace_id, user_id),
    )
    return role


async def find_first_workspace_id(tx: Tx, user_id: UUID) -> UUID | None:
    """The workspace a user joined first; the transaction must work for that user."""
    # By the index member_by_user.
    found: UUID | None = await tx.fetch_value(
        "SELECT workspace_id FROM app.member WHERE user_id = %s AND left_at IS NULL ORDER BY joined_at LIMIT 1",
        (user_id,),
    )
    return found


async def insert_session(
    tx: Tx, token_hash: bytes, *, user_id: UUID, workspace_id: UUID, csrf_token: str, length: timedelta
) -> None:
    """Remember a sign-in until it ends."""
    # One row.
    await tx.execute(
        """
        INSERT INTO app.session (token_hash, user_id, active_workspace_id, csrf_token, expires_at)
        VALUES (%s, %s, %s, %s, app.now() + %s)
        """,
        (token_hash, user_id, workspace_id, csrf_token, length),
    )


async def find_session(tx: Tx, token_hash: bytes) -> Session | None:
    """The session that has not ended, with its user."""
    # By primary key of both tables.
    return await tx.find_one(
        Session,
        """
        SELECT s.user_id, u.name AS user_name, u.email AS user_email, s.active_workspace_id, s.csrf_token
        FROM app.session s JOIN app.user_account u ON u.id = s.user_id
        WHERE s.token_hash = %s AND s.expires_at > app.now() AND u.disabled_at IS NULL
        """,
        (token_hash,),
    )


async def delete_session(tx: Tx, token_hash: bytes) -> None:
    """End one sign-in."""
    # By primary key.
    await tx.execute("DELETE FROM app.session WHERE token_hash = %s", (token_hash,))


async def delete_sessions_of(tx: Tx, user_id: UUID, *, but_hash: bytes) -> int:
    """End every sign-in of a user but one; an empty hash spares none."""
    # By the index session_by_user.
    return await tx.execute("DELETE FROM app.session WHERE user_id = %s AND token_hash <> %s", (user_id, but_hash))


async def delete_ended_sessions(tx: Tx) -> int:
    """Drop the sessions that have ended; walks the index session_expired."""
    # By the index session_expired.
    return await tx.execute("DELETE FROM app.session WHERE expires_at < app.now()")


async def insert_address(tx: Tx, kind: str, address: str, target_id: UUID | None) -> None:
    """Enter a public address of the transaction's workspace into the address book."""
    # One row; a second owner of an address is an error.
    await tx.execute(
        "INSERT INTO app.address_book (kind, address, owner_workspace_id, target_id) VALUES (%s, %s, %s, %s)",
        (kind, address, tx.workspace_id, target_id),
    )


async def move_address(tx: Tx, kind: str, before: str, after: str) -> bool:
    """Put a new public address in the place of one of the transaction's workspace; False when somebody has it."""
    # By primary key; the subquery keeps another workspace's address from being an error.
    moved = await tx.execute(
        """
        UPDATE app.address_book SET address = %(after)s
        WHERE kind = %(kind)s AND address = %(before)s AND owner_workspace_id = %(workspace)s
          AND NOT EXISTS (SELECT FROM app.address_book WHERE kind = %(kind)s AND address = %(after)s)
        """,
        {"kind": kind, "before": before, "after": after, "workspace": tx.workspace_id},
    )
    return moved == 1


async def delete_address(tx: Tx, kind: str, address: str) -> None:
    """Strike a public address of the transaction's workspace out of the address book."""
    # By primary key.
    await tx.execute(
        "DELETE FROM app.address_book WHERE kind = %s AND address = %s AND owner_workspace_id = %s",
        (kind, address, tx.workspace_id),
    )


async def list_addresses(tx: Tx, kind: str, most: int) -> list[tuple[str, UUID, UUID | None]]:
    """Address, workspace and target of every address of a kind, at most `most`."""
    # By the first column of the primary key.
    rows = await tx.fetch_tuples(
        "SELECT address, owner_workspace_id, target_id FROM app.address_book WHERE kind = %s ORDER BY address LIMIT %s",
        (kind, most),
    )
    return [(row[0], row[1], row[2]) for row in rows]


async def find_address(tx: Tx, kind: str, address: str) -> tuple[UUID, UUID | None] | None:
    """The workspace and the target behind a public address."""
    # By primary key.
    rows = await tx.fetch_tuples(
        "SELECT owner_workspace_id, target_id FROM app.address_book WHERE kind = %s AND address = %s", (kind, address)
    )
    return (rows[0][0], rows[0][1]) if rows else None


async def list_workspace_ids(tx: Tx) -> list[UUID]:
    """Every workspace that has an address: the directory, for commands run on the server."""
    # A distinct scan of the small address book.
    rows = await tx.fetch_tuples(
        "SELECT DISTINCT owner_workspace_id FROM app.address_book WHERE kind = 'mail' ORDER BY owner_workspace_id"
    )
    return [row[0] for row in rows]
