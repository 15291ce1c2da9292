"""Every table with a tenant's rows has row-level security, forced on its owner too, and a policy.

A test asks the same of a migrated database; this one answers in a moment and names the line.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tools.gates.source import Finding, Source

_TABLE = re.compile(
    r"^CREATE\s+(?:UNLOGGED\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>[\w.]+)\s*"
    r"(?:\((?P<columns>.*?)^\)|PARTITION\s+OF\s+(?P<parent>[\w.]+))",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_COLUMN = re.compile(
    r"^ALTER\s+TABLE\s+(?:ONLY\s+)?(?P<name>[\w.]+)\s[^;]*?ADD\s+(?:COLUMN\s+)?(?:IF\s+NOT\s+EXISTS\s+)?workspace_id\s",
    re.IGNORECASE | re.MULTILINE,
)
_TENANT = re.compile(r"^\s*workspace_id\s", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _TenantTable:
    name: str
    source: Source
    line: int
    is_partition: bool


def check(tree: Sequence[Source]) -> Iterator[Finding]:
    migrations = [source for source in tree if source.path.match("migrations/*.up.sql")]
    text = "\n".join(source.text for source in migrations)
    for table in _find_tables(migrations):
        for wanted, message in _find_wants(table):
            if not re.search(wanted, text, re.IGNORECASE):
                yield table.source.find(table.line, f"{table.name} holds rows of a tenant, but {message}")


def _find_tables(migrations: Sequence[Source]) -> Iterator[_TenantTable]:
    """Tables with a workspace_id, and the partitions of such tables, which can be asked past their parent."""
    names: set[str] = set()
    for source in migrations:
        for match in [*_TABLE.finditer(source.text), *_COLUMN.finditer(source.text)]:
            parts = match.groupdict()
            is_partition = parts.get("parent") in names
            is_tenant = "columns" not in parts or _TENANT.search(parts["columns"] or "") is not None
            if is_tenant or is_partition:
                names.add(match["name"])
                line = source.text.count("\n", 0, match.start()) + 1
                yield _TenantTable(match["name"], source, line, is_partition)


def _find_wants(table: _TenantTable) -> Iterator[tuple[str, str]]:
    alter = rf"ALTER\s+TABLE\s+(ONLY\s+)?{re.escape(table.name)}\s+"
    yield rf"{alter}ENABLE\s+ROW\s+LEVEL\s+SECURITY", "row-level security is not enabled"
    yield rf"{alter}FORCE\s+ROW\s+LEVEL\s+SECURITY", "row-level security is not forced on its owner"
    if not table.is_partition:
        yield rf"CREATE\s+POLICY\s+\w+\s+ON\s+{re.escape(table.name)}\s", "it has no policy"
