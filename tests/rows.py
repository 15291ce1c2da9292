"""Rows of any table, by column name, for tests that compare whole tables."""

from typing import Any

from psycopg.rows import dict_row

from switchboard.kernel.db import Tx


async def read_rows(tx: Tx, sql: str) -> list[dict[str, Any]]:
    """What a statement answers with, in the transaction's workspace."""
    async with tx.connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql.encode())
        return await cursor.fetchall()
