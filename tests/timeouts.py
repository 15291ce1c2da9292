"""Rows that Postgres never gets done with in the time a statement is given."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.conftest import Urls


@contextmanager
def timing_out(urls: Urls, table: str, condition: str) -> Iterator[None]:
    """Inside, a statement that writes a row `NEW` of `table` for which `condition` holds fails as by its timeout."""
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute(
            f"""
            CREATE FUNCTION public.time_out() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF {condition} THEN
                    RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = 'query_canceled';
                END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER time_out BEFORE INSERT OR UPDATE ON {table}
            FOR EACH ROW EXECUTE FUNCTION public.time_out()
            """.encode()
        )
        try:
            yield
        finally:
            connection.execute(f"DROP TRIGGER time_out ON {table}; DROP FUNCTION public.time_out()".encode())
