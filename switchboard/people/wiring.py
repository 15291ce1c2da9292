"""What the people room hears and does for segments, and what their conditions may speak of."""

from collections.abc import Iterable, Mapping

from switchboard.kernel.db import Database
from switchboard.kernel.events import Hub
from switchboard.kernel.jobs import JobHandler, JobsHandler
from switchboard.kernel.queues import Loop
from switchboard.people import crowds, segment_passes, suggesting
from switchboard.people.repository_vocabulary import CONTACT_COLUMNS, EVENT_KINDS, OWN_WORDS
from switchboard.people.segment_loop import SegmentLoop, hear, hear_alike
from switchboard.people.segment_vocabulary import Relation, Vocabulary

# These change what the leads of many contacts say, and name none of them.
OF_MANY = ("source.renamed", "stage.changed")


def subscribe(hub: Hub) -> None:
    """Hear the events about contacts, and those about many at once."""
    hub.subscribe(sorted(EVENT_KINDS), hear, alike=hear_alike, is_late=True)
    hub.subscribe(OF_MANY, segment_passes.hear_of_many)


def make_vocabulary(relations: Iterable[Relation]) -> Vocabulary:
    """All that conditions may speak of, with what the rooms above people offer."""
    return Vocabulary(CONTACT_COLUMNS, {**OWN_WORDS.relations, **{relation.name: relation for relation in relations}})


def job_handlers(vocabulary: Vocabulary) -> Mapping[str, JobHandler]:
    """The jobs of this room."""
    return {
        segment_passes.JOB: segment_passes.pass_handler(vocabulary),
        **crowds.job_handlers(vocabulary),
    }


def job_handlers_together() -> Mapping[str, JobsHandler]:
    """The jobs of this room of which many are done as one."""
    return {suggesting.JOB: suggesting.suggest}


def build_loops(database: Database, vocabulary: Vocabulary) -> list[Loop]:
    """The queues of this room."""
    return [SegmentLoop(database, vocabulary)]
