import pytest

from switchboard.kernel.migration_ledger import Connection
from switchboard.kernel.migrations import connect, migrate_up
from switchboard.kernel.schema_text import dump_schema
from tests.kernel.scratch_postgres import ScratchPostgres

BASE = """
    CREATE SCHEMA app;
    CREATE FUNCTION app.five() RETURNS int LANGUAGE sql RETURN 5;
    CREATE FUNCTION app.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TABLE app.thing (id int PRIMARY KEY, at timestamptz NOT NULL, name text);
    CREATE TABLE app.log (at timestamptz) PARTITION BY RANGE (at);
"""


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("CREATE SCHEMA other", "CREATE SCHEMA other;"),
        ("CREATE TYPE app.mood AS ENUM ('b', 'a')", "CREATE TYPE app.mood AS ENUM ('b', 'a');"),
        (
            "CREATE DOMAIN app.small AS int CHECK (VALUE < 9)",
            "CREATE DOMAIN app.small AS integer CONSTRAINT small_check CHECK ((VALUE < 9));",
        ),
        ("ALTER TABLE app.thing ADD COLUMN x int DEFAULT app.five()", "    x integer DEFAULT app.five()"),
        ('ALTER TABLE app.thing ADD COLUMN x text COLLATE "C"', '    x text COLLATE "C"'),
        (
            "ALTER TABLE app.thing ADD COLUMN x int GENERATED ALWAYS AS IDENTITY",
            "    x integer GENERATED ALWAYS AS IDENTITY NOT NULL",
        ),
        (
            "ALTER TABLE app.thing ADD COLUMN x int GENERATED ALWAYS AS (id + 1) STORED",
            "    x integer GENERATED ALWAYS AS ((id + 1)) STORED",
        ),
        ("ALTER TABLE app.thing ALTER name SET NOT NULL", "    name text NOT NULL"),
        (
            "ALTER TABLE app.thing ADD CHECK (id > 0)",
            "ALTER TABLE app.thing ADD CONSTRAINT thing_id_check CHECK ((id > 0));",
        ),
        (
            "ALTER TABLE app.thing ADD UNIQUE (name)",
            "ALTER TABLE app.thing ADD CONSTRAINT thing_name_key UNIQUE (name);",
        ),
        (
            "CREATE INDEX i ON app.thing (name) WHERE id = 1",
            "CREATE INDEX i ON app.thing USING btree (name) WHERE (id = 1);",
        ),
        ("ALTER TABLE app.thing ENABLE ROW LEVEL SECURITY", "ALTER TABLE app.thing ENABLE ROW LEVEL SECURITY;"),
        ("ALTER TABLE app.thing FORCE ROW LEVEL SECURITY", "ALTER TABLE app.thing FORCE ROW LEVEL SECURITY;"),
        (
            "CREATE POLICY p ON app.thing FOR SELECT USING (id = app.five())",
            "CREATE POLICY p ON app.thing AS PERMISSIVE FOR SELECT TO PUBLIC USING ((id = app.five()));",
        ),
        (
            "CREATE TRIGGER t BEFORE INSERT ON app.thing FOR EACH ROW EXECUTE FUNCTION app.note()",
            "CREATE TRIGGER t BEFORE INSERT ON app.thing FOR EACH ROW EXECUTE FUNCTION app.note();",
        ),
        (
            "CREATE STATISTICS app.s (dependencies) ON id, name FROM app.thing",
            "CREATE STATISTICS app.s (dependencies) ON id, name FROM app.thing;",
        ),
        (
            "CREATE SEQUENCE app.number",
            "CREATE SEQUENCE app.number AS bigint START 1 INCREMENT 1 MINVALUE 1 MAXVALUE 9223372036854775807 CACHE 1;",
        ),
        ("ALTER TABLE app.thing SET (fillfactor = 70)", ") WITH (fillfactor=70);"),
        (
            "CREATE TABLE app.log_default PARTITION OF app.log DEFAULT",
            "CREATE TABLE app.log_default PARTITION OF app.log DEFAULT;",
        ),
        ("CREATE UNLOGGED TABLE app.loose (id int)", "CREATE UNLOGGED TABLE app.loose ("),
        ("CREATE VIEW app.seen AS SELECT id FROM app.thing", "CREATE VIEW app.seen ("),
        ("CREATE OR REPLACE FUNCTION app.five() RETURNS int LANGUAGE sql RETURN 6", "RETURN 6"),
    ],
)
def test_every_kind_of_change_shows(postgres: ScratchPostgres, change: str, line: str) -> None:
    with connect(postgres.new_database()) as conn:
        conn.execute(BASE.encode())
        before = dump_schema(conn).splitlines()
        conn.execute(change.encode())
        after = [text.rstrip(",") for text in dump_schema(conn).splitlines()]
    assert line not in before
    assert line in after


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE app.log_y2026m11 PARTITION OF app.log FOR VALUES FROM ('2026-11-01') TO ('2026-12-01')",
        "CREATE EXTENSION pg_trgm",
        "GRANT SELECT ON app.thing TO application",
        "INSERT INTO app.thing VALUES (1, now(), '')",
    ],
)
def test_what_comes_and_goes_does_not_show(postgres: ScratchPostgres, change: str) -> None:
    with connect(postgres.new_database()) as conn:
        conn.execute(BASE.encode())
        conn.execute("CREATE INDEX log_at ON app.log (at)")
        before = dump_schema(conn)
        conn.execute(change.encode())
        assert dump_schema(conn) == before


def test_the_callers_search_path_is_left_alone(postgres: ScratchPostgres) -> None:
    with connect(postgres.new_database()) as conn, conn.transaction():
        dump_schema(conn)
        assert conn.execute("SHOW search_path").fetchone() == ('"$user", public',)


def find_unguarded(conn: Connection) -> list[str]:
    """Tables with a tenant's rows that lack row security, its force, or a policy of their own or of the parent."""
    # Which tables have a workspace_id and are open? Catalogs only.
    rows = conn.execute(
        """
        SELECT c.oid::regclass::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'p')
          AND a.attname = 'workspace_id' AND NOT a.attisdropped
          AND NOT (c.relrowsecurity AND c.relforcerowsecurity
                   AND (c.relispartition OR EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)))
        ORDER BY 1
        """
    ).fetchall()
    return [row[0] for row in rows]


def test_every_tenants_table_is_guarded(embedded_18: ScratchPostgres) -> None:
    url = embedded_18.new_database()
    migrate_up(url)
    with connect(url) as conn:
        conn.execute("SELECT app.ensure_partition('event', '2026-11-20')")
        assert find_unguarded(conn) == []
        conn.execute("DROP POLICY tenant ON app.job")
        conn.execute("ALTER TABLE app.contact NO FORCE ROW LEVEL SECURITY")
        conn.execute("ALTER TABLE app.event_default DISABLE ROW LEVEL SECURITY")
        assert find_unguarded(conn) == ["app.contact", "app.event_default", "app.job"]
