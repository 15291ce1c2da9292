"""The statements that find contacts by words, and keep the words."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from uuid import UUID

import psycopg

from switchboard.kernel.db import STATEMENT_TIMEOUT_MILLISECONDS, Tx
from switchboard.kernel.ids import HIGHEST_ID, LOWEST_ID

TYPO_LIKENESS = 0.65
MOST_COMPARED = 2_000
# An answer to what was typed wrong is worth this, even where half of all people have a part of it.
TYPO_MILLISECONDS = 300
# So many of the newest contacts are looked at for each search; what one of so many of them has is frequent.
WALKED_FIRST, FREQUENT = 1_000, 200


async def upsert_words(tx: Tx, words: Mapping[UUID, str]) -> None:
    """Write the words of contacts that may have some already."""
    # Lets this transaction see the rows it is about to write; no table is read.
    await tx.execute("SELECT set_config('app.search_ids', %s::uuid[]::text, true)", (list(words),))
    # By primary key.
    await tx.execute(
        """
        INSERT INTO app.contact_search AS s (contact_id, workspace_id, words)
        SELECT contact_id, %s, words FROM unnest(%s::uuid[], %s::text[]) AS new (contact_id, words)
        ON CONFLICT (contact_id) DO UPDATE SET words = excluded.words WHERE s.words <> excluded.words
        """,
        (tx.workspace_id, list(words), list(words.values())),
    )
    # And no longer, lest a later search of this transaction finds them unasked; no table is read.
    await tx.execute("SELECT set_config('app.search_ids', '', true)")


async def find_by_words(tx: Tx, words: Collection[str], before: UUID | None, limit: int) -> list[UUID]:
    """Contacts that have a word beginning with each of these, newest first.

    A frequent beginning is best found by walking the newest contacts, a rare one by its index. The planner cannot know
    which it is, and the wrong way reads everybody; so the newest few are looked at first.
    """
    query = " & ".join(f"'{word}':*" for word in words)
    below = before or HIGHEST_ID
    # Says what is searched for, and that only walks are wanted at first; no table is read.
    await tx.execute(
        """
        SELECT set_config('app.search_words', %s, true), set_config('enable_bitmapscan', 'off', true),
            set_config('enable_seqscan', 'off', true)
        """,
        (query,),
    )
    found, is_enough = await _find_among_newest(tx, below, limit, WALKED_FIRST)
    if not is_enough and len(found) * FREQUENT >= WALKED_FIRST:
        found, is_enough = await _find_among_newest(tx, below, limit, 2 * limit * WALKED_FIRST // len(found))
    if not is_enough:
        found = await _find_among_all(tx, below, limit)
    # Ends the search; no table is read.
    await tx.execute(
        """
        SET LOCAL app.search_words = ''; SET LOCAL enable_bitmapscan TO DEFAULT; SET LOCAL enable_seqscan TO DEFAULT;
        SET LOCAL plan_cache_mode TO DEFAULT
        """
    )
    return found


async def _find_among_newest(tx: Tx, below: UUID, limit: int, walked: int) -> tuple[list[UUID], bool]:
    """What is found, and whether nothing is missing: it is as much as is wanted, or these were everybody."""
    # So many entries of the index contact_list.
    beyond: UUID | None = await tx.fetch_value(
        """
        SELECT id FROM app.contact WHERE workspace_id = %s AND merged_into IS NULL AND id < %s
        ORDER BY id DESC OFFSET %s LIMIT 1
        """,
        (tx.workspace_id, below, walked),
    )
    # The same range of contact_list and of the primary key of contact_search.
    rows = await tx.fetch_tuples(
        """
        SELECT s.contact_id FROM app.contact_search s JOIN app.contact c ON c.id = s.contact_id
        WHERE s.workspace_id = %(workspace)s AND c.workspace_id = %(workspace)s AND c.merged_into IS NULL
          AND s.contact_id > %(beyond)s AND c.id > %(beyond)s AND s.contact_id < %(below)s AND c.id < %(below)s
        ORDER BY s.contact_id DESC LIMIT %(limit)s
        """,
        {"workspace": tx.workspace_id, "beyond": beyond or LOWEST_ID, "below": below, "limit": limit},
    )
    return [row[0] for row in rows], beyond is None or len(rows) == limit


async def _find_among_all(tx: Tx, below: UUID, limit: int) -> list[UUID]:
    # Says that an index of words serves best, and that the plan of another search will not do; no table is read.
    await tx.execute("SET LOCAL enable_bitmapscan TO DEFAULT; SET LOCAL plan_cache_mode = force_custom_plan")
    # The policy of contact_search does the search by its indexes, first and whole. Contacts merged away are left out by
    # primary key, one by one: the planner believes in thousands of rows and would read all contacts beside them.
    rows = await tx.fetch_tuples(
        """
        WITH found AS MATERIALIZED (
            SELECT contact_id FROM app.contact_search WHERE workspace_id = %s AND contact_id < %s
        )
        SELECT ordered.contact_id FROM (SELECT contact_id FROM found ORDER BY contact_id DESC) AS ordered
        CROSS JOIN LATERAL (
            SELECT FROM app.contact c WHERE c.id = ordered.contact_id AND c.merged_into IS NULL OFFSET 0
        ) AS kept
        ORDER BY ordered.contact_id DESC LIMIT %s
        """,
        (tx.workspace_id, below, limit),
    )
    return [row[0] for row in rows]


async def find_by_likeness(tx: Tx, text: str, limit: int) -> list[UUID]:
    """Contacts whose words are nearly these, the nearest first.

    None where Postgres lacks pg_trgm, or where so many are a little alike that it would take long to compare them.
    """
    # One row of the catalog.
    if not await tx.fetch_value("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm')"):
        return []
    with suppress(psycopg.errors.QueryCanceled):
        async with tx.savepoint():
            return await _find_alike(tx, text, limit)
    return []


async def _find_alike(tx: Tx, text: str, limit: int) -> list[UUID]:
    # Says what is searched for, how alike it must be, and how long it may take; no table is read.
    await tx.execute(
        """
        SELECT set_config('app.search_typo', %s, true), set_config('pg_trgm.word_similarity_threshold', %s, true),
            set_config('statement_timeout', %s, true)
        """,
        (text, str(TYPO_LIKENESS), str(TYPO_MILLISECONDS)),
    )
    # The policy of contact_search does the search by its indexes. It is done first: the planner cannot know how few
    # rows are alike, and would rather read all of them in the order of the answer. Of very many, some are compared.
    rows = await tx.fetch_tuples(
        """
        WITH alike AS MATERIALIZED (
            SELECT contact_id, word_similarity(%s, words) AS likeness FROM app.contact_search WHERE workspace_id = %s
            LIMIT %s
        )
        SELECT alike.contact_id FROM alike CROSS JOIN LATERAL (
            SELECT FROM app.contact c WHERE c.id = alike.contact_id AND c.merged_into IS NULL OFFSET 0
        ) AS kept
        ORDER BY alike.likeness DESC, alike.contact_id DESC LIMIT %s
        """,
        (text, tx.workspace_id, MOST_COMPARED, limit),
    )
    # Ends the search; no table is read.
    await tx.execute(f"SET LOCAL app.search_typo = ''; SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MILLISECONDS}")
    return [row[0] for row in rows]
