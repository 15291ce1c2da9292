"""Versions ready to run, kept in memory: a version's text never changes, so it is read and compiled once a process."""

from collections import OrderedDict
from collections.abc import Iterable

from switchboard.flows import repository
from switchboard.flows.compiled import compile_flow
from switchboard.flows.definition import FLOW_FIELDS
from switchboard.flows.definition_parsing import parse_flow
from switchboard.flows.models import SourceText, Version, VersionKey
from switchboard.kernel.db import Tx
from switchboard.kernel.expressions import Expression, compile_expression

MOST_VERSIONS = 512


class VersionShelf:
    """The versions a process used lately."""

    def __init__(self) -> None:
        self._kept: OrderedDict[VersionKey, Version] = OrderedDict()

    async def load(self, tx: Tx, keys: Iterable[VersionKey]) -> dict[VersionKey, Version]:
        """These versions of the transaction's workspace; one query for those that are not kept yet."""
        wanted = list(dict.fromkeys(keys))
        missing = [key for key in wanted if key not in self._kept]
        found = {key: self._kept[key] for key in wanted if key in self._kept}
        if missing:
            compiled = [compile_version(text) for text in await repository.load_sources(tx, missing)]
            found |= {version.key: version for version in compiled}
        self._keep(found)
        return found

    def _keep(self, versions: dict[VersionKey, Version]) -> None:
        for key, version in versions.items():
            self._kept[key] = version
            self._kept.move_to_end(key)
        while len(self._kept) > MOST_VERSIONS:
            self._kept.popitem(last=False)


def compile_version(text: SourceText) -> Version:
    """The text of a saved version as steps to run."""
    flow = parse_flow(text.source)
    steps = tuple(compile_flow(flow))
    conditions = [str(step.config["condition"]) for step in steps if step.kind == "if"]
    names = {reference.name for text in conditions for reference in compile_condition(text).references}
    return Version(text.flow_id, text.version, flow, steps, "event" in names)


def compile_condition(text: str) -> Expression:
    """A condition of a flow; compiled ones are kept."""
    return compile_expression(text, FLOW_FIELDS)
