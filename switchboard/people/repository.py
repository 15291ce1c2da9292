"""The statements about contacts and their addresses."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from switchboard.kernel.db import Tx
from switchboard.kernel.ids import HIGHEST_ID, new_id
from switchboard.people.drafts import blocking_keys
from switchboard.people.models import Contact, ContactRow, ContactSummary, Identity, IdentityKind, Key, Recipient
from switchboard.people.normalising import fold
from switchboard.people.resolution import Known, NewIdentity, Sharer

_ROW = """id, name, first_name, last_name, company, time_zone, country, locale, fields, opted_out_at, merged_into"""
_IDENTITY = "id, contact_id, kind, value, raw, is_shared, created_at"
# The first address of each kind; by the index identity_by_contact.
_FIRST_ADDRESS = """coalesce((SELECT i.value FROM app.identity i WHERE i.contact_id = c.id AND i.kind = '{kind}'
              ORDER BY i.rank, i.id LIMIT 1), '') AS {kind}"""
_EMAIL, _PHONE = _FIRST_ADDRESS.format(kind="email"), _FIRST_ADDRESS.format(kind="phone")
_FIRST_ADDRESSES = f"{_EMAIL}, {_PHONE}"
# In the order of the fields, so that many are made quickly.
_CONTACT = f"""c.id, c.name, c.first_name, c.last_name, c.company, {_FIRST_ADDRESSES}, c.time_zone, c.country, c.locale,
    c.fields, c.opted_out_at, c.created_at"""
_RECIPIENT = "c.id, c.name, c.first_name, c.last_name, c.company, c.time_zone, c.country, c.locale, c.opted_out_at"
SUMMARY_COLUMNS = f"c.id, c.name, c.company, c.opted_out_at, c.created_at, {_FIRST_ADDRESSES}"


async def find_known(tx: Tx, keys: Collection[Key]) -> Known:
    """Whose these addresses are, with the kept contact in the place of a merged one."""
    # Each key once in each of the unique indexes identity_key and identity_shared_key, then contacts by primary key.
    # OFFSET 0 keeps that order: from a table without statistics Postgres expects a single contact of the workspace,
    # and would look up every key for each of them.
    rows = await tx.fetch_tuples(
        """
        SELECT i.kind, i.value, i.is_shared, c.id, c.name
        FROM unnest(%(kinds)s::text[], %(values)s::text[]) AS wanted (kind, value)
        CROSS JOIN LATERAL (
            SELECT kind, value, is_shared, contact_id, id FROM app.identity
            WHERE workspace_id = %(workspace)s AND kind = wanted.kind AND value = wanted.value AND NOT is_shared
            UNION ALL
            SELECT kind, value, is_shared, contact_id, id FROM app.identity
            WHERE workspace_id = %(workspace)s AND kind = wanted.kind AND value = wanted.value AND is_shared
        ) i
        CROSS JOIN LATERAL (
            SELECT coalesce(kept.id, c.id) AS id, coalesce(kept.name, c.name) AS name
            FROM app.contact c
            LEFT JOIN LATERAL (
                SELECT k.id, k.name FROM app.contact k WHERE k.id = c.merged_into OFFSET 0
            ) AS kept ON true
            WHERE c.id = i.contact_id OFFSET 0
        ) c
        ORDER BY i.id
        """,
        {"workspace": tx.workspace_id, **_split(keys)},
    )
    return _known(rows)


def _known(rows: Sequence[tuple[Any, ...]]) -> Known:
    known = Known()
    for kind, value, is_shared, contact_id, name in rows:
        if is_shared:
            known.sharers.setdefault((kind, value), []).append(Sharer(contact_id, fold(name)))
        else:
            known.owners[kind, value] = contact_id
    return known


async def lock_shared(tx: Tx, keys: Collection[Key]) -> None:
    """Make others who see these shared addresses wait until this transaction ends."""
    # By the unique index identity_shared_key; sorted as everywhere, so that no two transactions wait in a ring.
    await tx.execute(
        """
        SELECT FROM app.identity i
        JOIN unnest(%(kinds)s::text[], %(values)s::text[]) AS wanted (kind, value) USING (kind, value)
        WHERE i.workspace_id = %(workspace)s AND i.is_shared
        ORDER BY i.kind COLLATE "C", i.value COLLATE "C", i.id FOR NO KEY UPDATE OF i
        """,
        {"workspace": tx.workspace_id, **_split(keys)},
    )


async def claim_identities(tx: Tx, claims: Iterable[NewIdentity]) -> set[Key]:
    """Write the addresses that nobody has, and say which; one another transaction is writing is waited for."""
    ordered = sorted(claims)
    # One row a key by the unique index identity_key, in the order of keys, so that no two batches wait in a ring. That
    # all of them were won is told by one row of nulls: a row for each costs both sides more than to look for it.
    rows = await tx.fetch_tuples(
        """
        WITH won AS (
            INSERT INTO app.identity (id, workspace_id, contact_id, kind, value, raw)
            SELECT id, %(workspace)s, contact_id, kind, value, raw
            FROM unnest(%(ids)s::uuid[], %(contacts)s::uuid[], %(kinds)s::text[], %(values)s::text[], %(raws)s::text[])
                 AS new (id, contact_id, kind, value, raw)
            ON CONFLICT (workspace_id, kind, value) WHERE NOT is_shared DO NOTHING
            RETURNING kind, value
        ), counted AS (
            SELECT count(*) = %(number)s AS are_all FROM won
        )
        SELECT won.kind, won.value FROM won, counted WHERE NOT are_all
        UNION ALL SELECT NULL, NULL FROM counted WHERE are_all
        """,
        {**_identity_columns(tx, ordered), "number": len(ordered)},
    )
    return {new.key for new in ordered} if rows == [(None, None)] else {(kind, value) for kind, value in rows}


async def share_identities(tx: Tx, shared: Iterable[NewIdentity]) -> None:
    """Write addresses that a contact shares with others."""
    # One row a key and contact by the unique index identity_shared_key.
    await tx.execute(
        """
        INSERT INTO app.identity (id, workspace_id, contact_id, kind, value, raw, is_shared)
        SELECT id, %(workspace)s, contact_id, kind, value, raw, true
        FROM unnest(%(ids)s::uuid[], %(contacts)s::uuid[], %(kinds)s::text[], %(values)s::text[], %(raws)s::text[])
             AS new (id, contact_id, kind, value, raw)
        ON CONFLICT (workspace_id, kind, value, contact_id) WHERE is_shared DO NOTHING
        """,
        _identity_columns(tx, sorted(shared)),
    )


async def reassign_identities(tx: Tx, identities: Sequence[NewIdentity]) -> None:
    """Give addresses that this transaction wrote to other contacts."""
    # By the unique index identity_key.
    await tx.execute(
        """
        UPDATE app.identity i SET contact_id = new.contact_id
        FROM unnest(%(contacts)s::uuid[], %(kinds)s::text[], %(values)s::text[]) AS new (contact_id, kind, value)
        WHERE i.workspace_id = %(workspace)s AND i.kind = new.kind AND i.value = new.value AND NOT i.is_shared
        """,
        {key: value for key, value in _identity_columns(tx, identities).items() if key not in {"ids", "raws"}},
    )


async def lock_rows(tx: Tx, contact_ids: Collection[UUID]) -> dict[UUID, ContactRow]:
    """These contacts, held against changes by others until the transaction ends; merged ones too."""
    # By primary key, locked in the order of ids, so that no two transactions wait in a ring.
    rows = await tx.fetch_all(
        ContactRow,
        f"SELECT {_ROW} FROM app.contact WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE",
        (list(contact_ids),),
    )
    return {row.id: row for row in rows}


async def insert_contacts(tx: Tx, rows: Sequence[ContactRow], words: Mapping[UUID, str]) -> None:
    """Add contacts, with the words that each is found by."""
    # Adds rows; the primary keys, up to three indexes of contact, and the index contact_search_words are touched.
    await tx.write(
        """
        WITH found AS (
            INSERT INTO app.contact_search (contact_id, workspace_id, words)
            SELECT contact_id, %(workspace)s, words FROM unnest(%(ids)s::uuid[], %(words)s::text[])
                AS new (contact_id, words)
        )
        INSERT INTO app.contact (id, workspace_id, name, first_name, last_name, company, time_zone, country, locale,
                                 fields, name_key, company_key, created_at, updated_at)
        SELECT id, %(workspace)s, name, first_name, last_name, company, time_zone, country, locale,
               fields::jsonb, name_key, company_key, app.now(), app.now()
        FROM unnest(%(ids)s::uuid[], %(names)s::text[], %(firsts)s::text[], %(lasts)s::text[], %(companies)s::text[],
                    %(zones)s::text[], %(countries)s::text[], %(locales)s::text[], %(fields)s::text[],
                    %(name_keys)s::text[], %(company_keys)s::text[])
             AS new (id, name, first_name, last_name, company, time_zone, country, locale, fields, name_key,
                     company_key)
        """,
        {"workspace": tx.workspace_id, **_row_columns(rows), "words": [words[row.id] for row in rows]},
    )


async def update_contacts(tx: Tx, rows: Sequence[ContactRow]) -> None:
    """Write all columns of contacts that are locked."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.contact c
        SET name = new.name, first_name = new.first_name, last_name = new.last_name, company = new.company,
            time_zone = new.time_zone, country = new.country, locale = new.locale, fields = new.fields::jsonb,
            opted_out_at = new.opted_out_at, merged_into = new.merged_into, name_key = new.name_key,
            company_key = new.company_key, updated_at = app.now()
        FROM unnest(%(ids)s::uuid[], %(names)s::text[], %(firsts)s::text[], %(lasts)s::text[], %(companies)s::text[],
                    %(zones)s::text[], %(countries)s::text[], %(locales)s::text[], %(fields)s::text[],
                    %(name_keys)s::text[], %(company_keys)s::text[], %(opted_out)s::timestamptz[],
                    %(merged)s::uuid[])
             AS new (id, name, first_name, last_name, company, time_zone, country, locale, fields, name_key,
                     company_key, opted_out_at, merged_into)
        WHERE c.id = new.id
        """,
        {
            **_row_columns(rows),
            "opted_out": [row.opted_out_at for row in rows],
            "merged": [row.merged_into for row in rows],
        },
    )


async def load_contacts(tx: Tx, contact_ids: Collection[UUID]) -> dict[UUID, Contact]:
    """These contacts as they are, whether merged or not."""
    # By primary key, with the first addresses by the index identity_by_contact.
    rows = await tx.fetch_all(
        Contact, f"SELECT {_CONTACT} FROM app.contact c WHERE c.id = ANY(%s)", (list(contact_ids),)
    )
    return {row.id: row for row in rows}


async def load_recipients(tx: Tx, contact_ids: Collection[UUID], asked: Collection[str]) -> list[Recipient]:
    """These contacts, with those among `email`, `phone` and `fields` that are asked for."""
    email, phone = _EMAIL if "email" in asked else "'' AS email", _PHONE if "phone" in asked else "'' AS phone"
    # Finding the first addresses costs more than all the rest, and few letters name them.
    columns = ", ".join([_RECIPIENT, email, phone, *(["c.fields"] if "fields" in asked else [])])
    # By primary key, with the first addresses by the index identity_by_contact.
    return await tx.fetch_all(
        Recipient, f"SELECT {columns} FROM app.contact c WHERE c.id = ANY(%s)", (list(contact_ids),)
    )


async def find_contact(tx: Tx, contact_id: UUID) -> Contact | None:
    """The contact, or the one it was merged into."""
    # Both by primary key. As a join it would read the whole table: row security is checked before the join's condition.
    return await tx.find_one(
        Contact,
        f"""
        SELECT {_CONTACT} FROM app.contact c
        WHERE c.id = (SELECT coalesce(merged_into, id) FROM app.contact WHERE id = %s AND workspace_id = %s)
        """,
        (contact_id, tx.workspace_id),
    )


async def list_contacts(tx: Tx, before: UUID | None, limit: int) -> list[ContactSummary]:
    """Contacts that are not merged away, newest first, those older than `before`."""
    # Walks the partial index contact_list.
    return await tx.fetch_all(
        ContactSummary,
        f"""
        SELECT {SUMMARY_COLUMNS} FROM app.contact c
        WHERE c.workspace_id = %s AND c.merged_into IS NULL AND c.id < %s
        ORDER BY c.id DESC LIMIT %s
        """,
        (tx.workspace_id, before or HIGHEST_ID, limit),
    )


async def list_identities(tx: Tx, contact_ids: Collection[UUID]) -> list[Identity]:
    """The addresses of these contacts, the first of a kind first."""
    # By the index identity_by_contact.
    return await tx.fetch_all(
        Identity,
        f"SELECT {_IDENTITY} FROM app.identity WHERE contact_id = ANY(%s) ORDER BY kind, rank, id",
        (list(contact_ids),),
    )


async def find_identity(tx: Tx, identity_id: UUID) -> Identity | None:
    """One address of the workspace, held against changes by others."""
    # By primary key.
    return await tx.find_one(
        Identity,
        f"SELECT {_IDENTITY} FROM app.identity WHERE id = %s AND workspace_id = %s FOR UPDATE",
        (identity_id, tx.workspace_id),
    )


async def list_sharers(tx: Tx, kind: IdentityKind, value: str) -> list[UUID]:
    """The contacts who share an address."""
    # By the unique index identity_shared_key.
    rows = await tx.fetch_tuples(
        "SELECT contact_id FROM app.identity WHERE workspace_id = %s AND kind = %s AND value = %s AND is_shared",
        (tx.workspace_id, kind, value),
    )
    return [row[0] for row in rows]


async def update_identity_shared(tx: Tx, identity_id: UUID, *, is_shared: bool) -> None:
    """Say whether several people use an address."""
    # By primary key.
    await tx.execute("UPDATE app.identity SET is_shared = %s WHERE id = %s", (is_shared, identity_id))


async def update_identity_owner(tx: Tx, identity_id: UUID, contact_id: UUID) -> None:
    """Give one address to another contact, as its first of that kind."""
    # By primary key.
    await tx.execute("UPDATE app.identity SET contact_id = %s, rank = 0 WHERE id = %s", (contact_id, identity_id))


async def put_identity_first(tx: Tx, identity_id: UUID) -> None:
    """Make an address the first of its kind for its contact."""
    # By primary key, and the index identity_by_contact.
    await tx.execute(
        """
        UPDATE app.identity i SET rank = (
            SELECT min(other.rank) - 1 FROM app.identity other
            WHERE other.contact_id = i.contact_id AND other.kind = i.kind
        )
        WHERE i.id = %s
        """,
        (identity_id,),
    )


async def delete_identity(tx: Tx, identity_id: UUID) -> None:
    """Forget an address."""
    # By primary key.
    await tx.execute("DELETE FROM app.identity WHERE id = %s", (identity_id,))


def _split(keys: Iterable[Key]) -> dict[str, list[str]]:
    ordered = sorted(keys)
    return {"kinds": [kind for kind, _ in ordered], "values": [value for _, value in ordered]}


def _identity_columns(tx: Tx, identities: Sequence[NewIdentity]) -> dict[str, object]:
    return {
        "workspace": tx.workspace_id,
        "ids": [new_id() for _ in identities],
        "contacts": [identity.contact_id for identity in identities],
        "kinds": [identity.key[0] for identity in identities],
        "values": [identity.key[1] for identity in identities],
        "raws": [identity.raw for identity in identities],
    }


def _row_columns(rows: Sequence[ContactRow]) -> dict[str, object]:
    keys = [blocking_keys(row) for row in rows]
    return {
        "ids": [row.id for row in rows],
        "names": [row.name for row in rows],
        "firsts": [row.first_name for row in rows],
        "lasts": [row.last_name for row in rows],
        "companies": [row.company for row in rows],
        "zones": [row.time_zone for row in rows],
        "countries": [row.country for row in rows],
        "locales": [row.locale for row in rows],
        "fields": [json.dumps(row.fields, default=str) if row.fields else "{}" for row in rows],
        "name_keys": [name for name, _ in keys],
        "company_keys": [company for _, company in keys],
    }
