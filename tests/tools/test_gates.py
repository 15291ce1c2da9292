"""Each gate finds its bad samples, at their lines, and nothing in the good ones: no check that cannot fail."""

from pathlib import Path, PurePosixPath

import pytest

from tools.gates import GATES, read_tree, run_gates
from tools.gates.source import Source

ROOM = "switchboard/leads/service.py"
REPOSITORY = "switchboard/leads/repository.py"
TEMPLATE = "switchboard/leads/templates/list.html"
UP = "switchboard/migrations/0001_kernel.up.sql"

TABLE = "CREATE TABLE app.lead (\n    id uuid,\n    workspace_id uuid\n);\n"
ENABLE = "ALTER TABLE app.lead ENABLE ROW LEVEL SECURITY;\n"
FORCE = "ALTER TABLE app.lead FORCE ROW LEVEL SECURITY;\n"
POLICY = "CREATE POLICY tenant ON app.lead USING (true);\n"
PARTITION = "CREATE TABLE app.lead_default PARTITION OF app.lead DEFAULT;\n"
CHOICE = "SELECT id FROM app.a ORDER BY id LIMIT 5 FOR UPDATE SKIP LOCKED"
GUARDED = TABLE + ENABLE + FORCE + POLICY
GUARDED_PARTITION = PARTITION + (ENABLE + FORCE).replace("app.lead", "app.lead_default")

# The words are cut in two so that this file passes its own gate.
UNFINISHED = "TO" + "DO"
HOST = "py" + "pi.org"
HOME_PATH = "/ro" + "ot/switchboard"
AUTHOR = "Chat" + "GPT"


def function(lines: int, name: str = "f") -> str:
    """A function of so many lines, not counting its docstring."""
    return f'def {name}() -> None:\n    """Says\n    why.\n    """\n' + "    f()\n" * lines


def check(gate: str, path: str, text: str) -> list[int]:
    """Lines of the findings of one gate in one file."""
    source = Source(Path(), PurePosixPath(path), text)
    return [report.finding.line for report in run_gates([source]) if report.gate == gate]


BAD = [
    ("tasks", ROOM, "import asyncio\nasyncio.create_task(f())\n", [2]),
    ("tasks", ROOM, "from asyncio import create_task as start\nstart(f())\n", [2]),
    ("tasks", ROOM, "import asyncio\nasyncio.get_running_loop().create_task(f())\n", [2]),
    ("tasks", ROOM, "from starlette.background import BackgroundTask\nBackgroundTask(f)\n", [2]),
    ("tasks", ROOM, "import threading\nthreading.Thread(target=f).start()\n", [2]),
    ("choice", REPOSITORY, f"# Which?\nX = 'DELETE FROM app.a WHERE id IN ({CHOICE})'\n", [2]),
    (
        "choice",
        REPOSITORY,
        f"# Which?\nX = f'UPDATE app.a SET b = {{1}} FROM ({CHOICE}) AS x WHERE a.id = x.id'\n",
        [2],
    ),
    ("clock", ROOM, "from datetime import UTC, datetime\nx = datetime.now(UTC)\n", [2]),
    ("clock", ROOM, "import datetime as dt\nx = field(default_factory=dt.datetime.now)\n", [2]),
    ("clock", "switchboard/kernel/ids.py", "from time import time\nx = time()\n", [2]),
    ("clock", REPOSITORY, "f(\n    'SELECT id FROM lead WHERE due_at < now()')\n", [2]),
    ("clock", REPOSITORY, "x = 'UPDATE app.lead SET at = pg_catalog.now()'\ny = 'SELECT current_date'\n", [1, 2]),
    ("clock", "switchboard/migrations/0002_x.up.sql", "CREATE TABLE a (\n    at timestamptz DEFAULT now()\n);\n", [2]),
    ("environment", ROOM, "import os\nx = os.environ['A']\n", [2]),
    ("environment", ROOM, "from os import getenv\nx = getenv('A')\n", [2]),
    ("html", ROOM, "x = '<b>Hello</b>'\n", [1]),
    ("html", ROOM, 'def f() -> str:\n    return f"""\n    <a href="{x}">"""\n', [3]),
    ("module-name", "switchboard/leads/utils.py", "", [1]),
    ("module-name", "switchboard/leads/lead_manager.py", "", [1]),
    ("module-name", "tests/common/test_x.py", "", [1]),
    ("print", ROOM, "print('hello')\n", [1]),
    ("print", ROOM, "import sys\nsys.stdout.write('hello')\n", [2]),
    ("print", "switchboard/entrypoints/cli.py", "print('hello')\n", [1]),
    ("row-security", UP, TABLE + FORCE + POLICY, [1]),
    ("row-security", UP, TABLE + ENABLE + POLICY, [1]),
    ("row-security", UP, TABLE + ENABLE + FORCE, [1]),
    ("row-security", UP, GUARDED + PARTITION, [8, 8]),
    ("row-security", UP, "ALTER TABLE app.lead\n    ADD COLUMN workspace_id uuid;\n", [1, 1, 1]),
    ("size", ROOM, "x = 1\n" * 501, [1]),
    ("size", "tests/leads/test_x.py", function(3) + function(61, "g"), [8]),
    ("sql-comment", REPOSITORY, "def f(conn):\n    return conn.execute('SELECT 1')\n", [2]),
    ("sql-comment", REPOSITORY, "# Which?\n\nX = '''\nSELECT 1\n'''\n", [3]),
    ("sql-comment", REPOSITORY, "x = 1  # One.\nX = 'SELECT 1'\n", [2]),
    ("sql-comment", "switchboard/leads/open.sql", "SELECT 1;\n", [1]),
    ("sql-place", ROOM, "X = 'SELECT id FROM lead'\n", [1]),
    ("sql-place", ROOM, "X = f'''\n    UPDATE {table} SET x = 1'''\n", [1]),
    ("sql-place", ROOM, "X = sql.SQL('WITH due AS (SELECT 1) DELETE FROM x')\n", [1]),
    ("sql-place", ROOM, "conn.execute('select 1')\n", [1]),
    ("sql-place", "switchboard/entrypoints/pages.py", "X = 'INSERT INTO lead VALUES (1)'\n", [1]),
    ("template", TEMPLATE, "<p>\n{{ name | safe }}</p>\n", [2]),
    ("template", TEMPLATE, "{% autoescape false %}{% endautoescape %}\n", [1]),
    ("template", TEMPLATE, '<p\n  style="color: red">\n', [2]),
    ("template", TEMPLATE, '<a class="b" onclick="f()">\n', [1]),
    ("template", TEMPLATE, "<a hx-on:click='f()'>\n<a hx-vals='js:{x: f()}'>\n", [1, 2]),
    ("template", TEMPLATE, "<script>f()</script>\n", [1]),
    ("template", TEMPLATE, "<style>p {}</style>\n", [1]),
    ("template", TEMPLATE, '<a href="javascript:f()">\n', [1]),
    ("template", TEMPLATE, "{% for lead in conn.execute('x') %}{% endfor %}\n", [1]),
    ("template", "switchboard/leads/templates/list.jinja", "x\n", [1]),
    ("template", ROOM, "from markupsafe import Markup\nx = Markup('a')\n", [2]),
    ("template", ROOM, "import jinja2\nx = jinja2.Environment()\n", [2]),
    ("template", ROOM, "from jinja2 import Environment\nx = Environment(autoescape=False)\n", [2]),
    ("transaction", ROOM, "conn.commit()\n", [1]),
    ("transaction", ROOM, "async def f():\n    await conn.rollback()\n", [2]),
    ("transaction", ROOM, "connect(url, autocommit=True)\n", [1]),
    ("transaction", ROOM, "conn.execute('COMMIT')\n", [1]),
    ("word", "README.md", f"One\n{UNFINISHED}: two\n", [2]),
    ("word", "Makefile", f"pip install -i https://{HOST}/simple\n", [1]),
    ("word", "docs/guide/start.md", f"cd {HOME_PATH}\n", [1]),
    ("word", ROOM, f"# Written with {AUTHOR}.\n", [1]),
]

GOOD = [
    ("tasks", ROOM, "import asyncio\nasync with asyncio.TaskGroup() as group:\n    group.create_task(f())\n"),
    ("tasks", "switchboard/kernel/queues.py", "import asyncio\nasyncio.create_task(f())\n"),
    (
        "choice",
        REPOSITORY,
        f"# Which?\nX = 'WITH x AS MATERIALIZED ({CHOICE}) DELETE FROM app.a USING x WHERE a.id = x.id'\n",
    ),
    ("choice", REPOSITORY, f"# Which?\nX = 'SELECT x.id FROM app.b CROSS JOIN LATERAL ({CHOICE}) AS x'\n"),
    (
        "choice",
        REPOSITORY,
        "# Which?\nX = 'SELECT id FROM app.a WHERE id IN (SELECT id FROM app.b LIMIT 1) FOR UPDATE'\n",
    ),
    ("clock", "switchboard/kernel/clock.py", "from datetime import UTC, datetime\nx = datetime.now(UTC)\n"),
    ("clock", ROOM, "import time\nfrom switchboard.kernel import clock\nx = (time.monotonic(), clock.now())\n"),
    ("clock", REPOSITORY, "x = 'SELECT app.now()'\ny = 'Said as of now()'\n"),
    ("clock", "switchboard/migrations/0002_x.up.sql", "-- Not now().\nALTER TABLE a ALTER at SET DEFAULT app.now();\n"),
    ("environment", "switchboard/kernel/settings.py", "import os\nx = os.environ\n"),
    ("environment", "tests/kernel/test_settings.py", "import os\nx = os.environ\n"),
    ("environment", ROOM, "import os\nx = os.fspath(p)\n"),
    ("html", ROOM, '"""Shows <b>text</b>."""\nx = "a < b and c > d, <id@host>, <file>, <name>"\n'),
    ("html", "tests/leads/test_pages.py", "x = '<b>Hello</b>'\n"),
    ("module-name", "switchboard/leads/commonwealth.py", ""),
    ("print", ROOM, "import typer\ntyper.echo('hello')\nlog.info('printed')\n"),
    ("print", "bench/__main__.py", "print('hello')\n"),
    ("print", "switchboard/leads/command_line.py", "import sys\nsys.stdout.write('{}')\n"),
    ("row-security", UP, GUARDED + GUARDED_PARTITION),
    ("row-security", UP, "CREATE TABLE app.throttle (\n    key text\n);\n"),
    ("row-security", UP, "CREATE TABLE app.book (\n    owner_workspace_id uuid\n);\n"),
    ("size", ROOM, function(8) * 8),
    ("size", "tests/leads/test_x.py", function(60) + "x = 1\n" * 400),
    ("sql-comment", REPOSITORY, "def f(conn):\n    # Which leads are open? lead_open.\n    conn.execute('SELECT 1')\n"),
    ("sql-comment", REPOSITORY, "def f(conn):\n    # Which?\n    return g(\n        conn.execute('SELECT 1')\n    )\n"),
    ("sql-comment", REPOSITORY, "X = (\n    # Which?\n    '''\n    SELECT 1''',\n)\n"),
    ("sql-comment", "switchboard/leads/open.sql", "-- Which leads are open? lead_open.\nSELECT 1;\n"),
    ("sql-place", REPOSITORY, "X = 'SELECT id FROM lead'\n"),
    ("sql-place", "switchboard/kernel/queues.py", "X = 'SELECT id FROM lead'\n"),
    ("sql-place", "switchboard/ops/health_queries.py", "X = 'SELECT id FROM lead'\n"),
    ("sql-place", "tests/leads/test_x.py", "X = 'SELECT id FROM lead'\n"),
    ("sql-place", ROOM, "X = 'Select a lead'\nY = 'Update {n} leads'\nZ = 'With care'\nservice.execute(job)\n"),
    ("template", TEMPLATE, '<script src="/static/app.js" type="module"></script>\n<p class="style">{{ name }}</p>\n'),
    ("template", TEMPLATE, '<script type="application/json">{{ data | tojson }}</script>\n'),
    ("template", TEMPLATE, '<a href="?style=1">{{ only }} on = 1 {{ safe }} {{ page.query }}</a>\n'),
    ("template", ROOM, "import jinja2\nx = jinja2.Environment(loader=y, autoescape=True)\n"),
    ("transaction", "switchboard/kernel/db.py", "conn.commit()\n"),
    ("transaction", ROOM, "with conn.transaction():\n    pass\nx = 'COMMITTED'\n"),
    ("word", "README.md", "Write a to-do list, see /home, and read work/main.\n"),
    ("word", "switchboard/entrypoints/static/htmx.min.js", f"{UNFINISHED}\n"),
]


@pytest.mark.parametrize(("gate", "path", "text", "lines"), BAD)
def test_the_bad_sample_is_found(gate: str, path: str, text: str, lines: list[int]) -> None:
    assert check(gate, path, text) == lines


@pytest.mark.parametrize(("gate", "path", "text"), GOOD)
def test_the_good_sample_passes(gate: str, path: str, text: str) -> None:
    assert check(gate, path, text) == []


def test_every_gate_has_a_bad_and_a_good_sample() -> None:
    on_disk = {"migration"}
    assert {gate for gate, *_ in BAD} | on_disk == set(GATES)
    assert {gate for gate, *_ in GOOD} | on_disk == set(GATES)


def test_functions_that_are_often_long_are_found() -> None:
    assert check("size", ROOM, "".join(function(9, f"f{n}") for n in range(9))) == [1]
    mostly_short = "".join(function(1, f"f{n}") for n in range(8))
    assert check("size", ROOM, mostly_short + function(31, "g") + function(31, "h")) == [1]
    assert check("size", "tests/leads/test_x.py", "".join(function(9, f"f{n}") for n in range(9))) == []


def test_a_protocols_bare_methods_do_not_make_the_median_small() -> None:
    bare = "".join(f"def p{n}() -> None: ...\n" for n in range(50))
    assert check("size", ROOM, bare + function(9)) == [1]


def migration_findings(root: Path) -> list[str]:
    folder = root / "switchboard" / "migrations"
    paths = [PurePosixPath(path.relative_to(root).as_posix()) for path in sorted(folder.iterdir())]
    tree = [Source(root, path, (root / path).read_text()) for path in paths]
    return [str(report) for report in run_gates(tree) if report.gate == "migration"]


def test_a_migration_without_its_way_back_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "switchboard" / "migrations"
    folder.mkdir(parents=True)
    (folder / "0001_kernel.up.sql").write_text("SELECT 1;\n")
    assert migration_findings(tmp_path) == [
        "switchboard/migrations/0001_kernel.down.sql:1: migration: "
        "0001_kernel.down.sql is missing: every migration has an up and a down half."
    ]
    (folder / "0001_kernel.down.sql").write_text("SELECT 1;\n")
    assert migration_findings(tmp_path) == []


def escapes(path: str, text: str) -> list[str]:
    return [str(report) for report in run_gates([Source(Path(), PurePosixPath(path), text)])]


def test_a_line_with_a_reason_passes() -> None:
    assert escapes(ROOM, "import os\nx = os.environ  # gate: environment the child inherits it\n") == []
    assert escapes(ROOM, "import os\n# gate: environment the child inherits it\nx = os.environ\n") == []
    assert escapes(TEMPLATE, "{{ body | safe }} {# gate: template nh3 cleaned it before #}\n") == []
    assert escapes(UP, "-- gate: row-security rows of all tenants meet here\n" + TABLE) == []


def test_an_escape_without_a_reason_does_not_count() -> None:
    assert escapes(ROOM, "import os\nx = os.environ  # gate: environment ok\n") == [
        f"{ROOM}:2: environment: os.environ: make it a setting (kernel/settings.py)",
        f"{ROOM}:2: escape: give the reason after the gate's name",
    ]


def test_an_escape_covers_its_own_gate_and_line_only() -> None:
    text = "import os\nx = os.environ  # gate: clock the child inherits it\ny = os.environ\n"
    assert [line.split(": ")[1] for line in escapes(ROOM, text)] == ["environment", "escape", "environment"]


def test_an_escape_that_lets_nothing_through_is_found() -> None:
    assert escapes(ROOM, "x = 1  # gate: clock no clock here at all\n") == [
        f"{ROOM}:1: escape: lets nothing through clock: remove it"
    ]
    assert escapes(ROOM, "x = 1  # gate: nonsense because of this\n") == [
        f"{ROOM}:1: escape: there is no gate nonsense"
    ]


def test_a_string_is_no_escape() -> None:
    assert escapes(ROOM, "x = '# gate: clock no clock here at all'\n") == []


def test_a_file_that_is_no_python_is_found_and_the_others_still_looked_at() -> None:
    tree = [Source(Path(), PurePosixPath(ROOM), "def f(\n"), Source(Path(), PurePosixPath(REPOSITORY), "print(1)\n")]
    assert [report.gate for report in run_gates(tree)] == ["print", "syntax"]


def test_this_repository_is_read_from_git() -> None:
    paths = {str(source.path) for source in read_tree(Path(__file__).parents[2])}
    assert {"README.md", "tools/gates/__init__.py", "switchboard/migrations/0001_kernel.up.sql"} <= paths
    assert not any(path.startswith((".venv/", ".git/")) for path in paths)
