"""The statements that find contacts by words, and keep the words."""

from collections.abc import Collection, Mapping
from uuid import UUID

from switchboard.kernel.db import Tx
from switchboard.kernel.ids import HIGHEST_ID

TYPO_LIKENESS = 0.65


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
    """Contacts that have a word beginning with each of these, newest first."""
    query = " & ".join(f"'{word}':*" for word in words)
    # Says what is searched for, and that the plan of another search will not do: a frequent word is best found by
    # walking the newest contacts, a rare one by its index. No table is read.
    await tx.execute(
        "SELECT set_config('app.search_words', %s, true), set_config('plan_cache_mode', 'force_custom_plan', true)",
        (query,),
    )
    # The policy of contact_search does the search by its indexes; contacts merged away are left out by primary key.
    rows = await tx.fetch_tuples(
        """
        SELECT s.contact_id FROM app.contact_search s JOIN app.contact c ON c.id = s.contact_id
        WHERE s.workspace_id = %s AND c.merged_into IS NULL AND s.contact_id < %s
        ORDER BY s.contact_id DESC LIMIT %s
        """,
        (tx.workspace_id, before or HIGHEST_ID, limit),
    )
    # Ends the search; no table is read.
    await tx.execute("SELECT set_config('app.search_words', '', true)")
    return [row[0] for row in rows]


async def find_by_likeness(tx: Tx, text: str, limit: int) -> list[UUID]:
    """Contacts whose words are nearly these, the nearest first; none where Postgres lacks pg_trgm."""
    # One row of the catalog.
    if not await tx.fetch_value("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm')"):
        return []
    # Says what is searched for and how alike it must be; no table is read.
    await tx.execute(
        """
        SELECT set_config('app.search_typo', %s, true), set_config('pg_trgm.word_similarity_threshold', %s, true)
        """,
        (text, str(TYPO_LIKENESS)),
    )
    # The policy of contact_search does the search by its indexes. It is done first and whole: the planner cannot know
    # how few rows are alike, and would rather read all of them in the order of the answer.
    rows = await tx.fetch_tuples(
        """
        WITH alike AS MATERIALIZED (
            SELECT contact_id, word_similarity(%s, words) AS likeness FROM app.contact_search WHERE workspace_id = %s
        )
        SELECT alike.contact_id FROM alike JOIN app.contact c ON c.id = alike.contact_id
        WHERE c.merged_into IS NULL ORDER BY alike.likeness DESC, alike.contact_id DESC LIMIT %s
        """,
        (text, tx.workspace_id, limit),
    )
    # Ends the search; no table is read.
    await tx.execute("SELECT set_config('app.search_typo', '', true)")
    return [row[0] for row in rows]
