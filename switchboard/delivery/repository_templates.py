"""The statements about templates and their versions."""

from collections.abc import Collection
from uuid import UUID

from switchboard.delivery.models import Letter, LetterDraft, LetterSummary, LetterVersion
from switchboard.delivery.rendering import Template
from switchboard.kernel.db import Tx


async def list_templates(tx: Tx) -> list[LetterSummary]:
    """The templates in use, by title; a workspace has some dozens."""
    # The workspace's part of the index template_name, each joined to its present version by primary key.
    return await tx.fetch_all(
        LetterSummary,
        """
        SELECT t.id, t.name, t.title, t.purpose, t.version, v.subject, v.saved_at
        FROM app.template t JOIN app.template_version v ON v.template_id = t.id AND v.version = t.version
        WHERE t.workspace_id = %s AND t.archived_at IS NULL ORDER BY t.title, t.name LIMIT 500
        """,
        (tx.workspace_id,),
    )


async def find_template(tx: Tx, template_id: UUID) -> Letter | None:
    """The template as it stands now, unless it is archived."""
    # By primary key of both tables.
    return await tx.find_one(
        Letter,
        """
        SELECT t.id, t.name, t.title, t.purpose, t.version, v.subject, v.body, v.saved_at, v.saved_by
        FROM app.template t JOIN app.template_version v ON v.template_id = t.id AND v.version = t.version
        WHERE t.id = %s AND t.workspace_id = %s AND t.archived_at IS NULL
        """,
        (template_id, tx.workspace_id),
    )


async def lock_by_name(tx: Tx, name: str) -> Letter | None:
    """The template in use by that name, held against changes by others."""
    # By the unique index template_name.
    return await tx.find_one(
        Letter,
        """
        SELECT t.id, t.name, t.title, t.purpose, t.version, v.subject, v.body, v.saved_at, v.saved_by
        FROM app.template t JOIN app.template_version v ON v.template_id = t.id AND v.version = t.version
        WHERE t.workspace_id = %s AND t.name = %s AND t.archived_at IS NULL FOR UPDATE OF t
        """,
        (tx.workspace_id, name),
    )


async def find_by_names(tx: Tx, names: Collection[str]) -> dict[str, tuple[UUID, int]]:
    """Id and present version of the templates in use by these names."""
    # By the unique index template_name.
    found = await tx.fetch_tuples(
        """
        SELECT name, id, version FROM app.template
        WHERE workspace_id = %s AND name = ANY(%s) AND archived_at IS NULL
        """,
        (tx.workspace_id, list(names)),
    )
    return {name: (template_id, version) for name, template_id, version in found}


async def load_versions(tx: Tx, keys: Collection[tuple[UUID, int]]) -> dict[tuple[UUID, int], Template]:
    """The texts of these versions, of archived templates too."""
    # By primary key.
    found = await tx.fetch_tuples(
        """
        SELECT v.template_id, v.version, v.subject, v.body
        FROM unnest(%s::uuid[], %s::integer[]) AS wanted (id, version)
        JOIN app.template_version v ON v.template_id = wanted.id AND v.version = wanted.version
        """,
        ([key[0] for key in keys], [key[1] for key in keys]),
    )
    return {(template_id, version): Template(subject, body) for template_id, version, subject, body in found}


async def list_versions(tx: Tx, template_id: UUID, limit: int) -> list[LetterVersion]:
    """A template's texts, newest first."""
    # By primary key.
    return await tx.fetch_all(
        LetterVersion,
        """
        SELECT version, subject, body, saved_at, saved_by FROM app.template_version
        WHERE template_id = %s AND workspace_id = %s ORDER BY version DESC LIMIT %s
        """,
        (template_id, tx.workspace_id, limit),
    )


async def insert_template(tx: Tx, template_id: UUID, draft: LetterDraft) -> bool:
    """Add a template without a text; False when the name is taken."""
    # Adds a template once a name; by the unique index template_name.
    added = await tx.execute(
        """
        INSERT INTO app.template (id, workspace_id, name, title, purpose) VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (workspace_id, name) WHERE archived_at IS NULL DO NOTHING
        """,
        (template_id, tx.workspace_id, draft.name, draft.title, draft.purpose),
    )
    return added == 1


async def update_template(tx: Tx, template_id: UUID, draft: LetterDraft, version: int) -> bool:
    """Write name, title, purpose and present version; False when it was saved by somebody else meanwhile."""
    # By primary key.
    updated = await tx.execute(
        """
        UPDATE app.template SET name = %s, title = %s, purpose = %s, version = %s
        WHERE id = %s AND workspace_id = %s AND archived_at IS NULL AND version IN (%s, %s)
        """,
        (draft.name, draft.title, draft.purpose, version, template_id, tx.workspace_id, version, version - 1),
    )
    return updated == 1


async def insert_version(tx: Tx, template_id: UUID, version: int, draft: LetterDraft, saved_by: UUID | None) -> None:
    """Add a text."""
    # One row.
    await tx.execute(
        """
        INSERT INTO app.template_version (template_id, version, workspace_id, subject, body, saved_by)
        VALUES (%s, %s, %s, %s, %s, %s)
        """,
        (template_id, version, tx.workspace_id, draft.subject, draft.body, saved_by),
    )


async def archive_template(tx: Tx, template_id: UUID) -> bool:
    """Take a template out of use; False when there is none."""
    # By primary key.
    archived = await tx.execute(
        "UPDATE app.template SET archived_at = app.now() WHERE id = %s AND workspace_id = %s AND archived_at IS NULL",
        (template_id, tx.workspace_id),
    )
    return archived == 1
