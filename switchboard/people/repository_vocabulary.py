"""What the people room lets conditions of segments speak of, as SQL."""

from switchboard.kernel.expressions import FieldType
from switchboard.people.segment_vocabulary import Column, Relation, Vocabulary
from switchboard.people.wording import WORDINGS

# What a step of a flow said is told for people to read; nothing depends on it, and there is very much of it.
EVENT_KINDS = frozenset(WORDINGS) - {"run.stepped"}


def _address(kind: str) -> str:
    # The first address of a kind, as a contact's page shows it; by the index identity_by_contact.
    return (
        "(SELECT i.value FROM app.identity i WHERE i.contact_id = {row}.id"
        f" AND i.kind = '{kind}' ORDER BY i.rank, i.id LIMIT 1)"
    )


CONTACT_COLUMNS = {
    "name": Column(FieldType.STRING, "{row}.name", is_known=True),
    "first_name": Column(FieldType.STRING, "{row}.first_name", is_known=True),
    "last_name": Column(FieldType.STRING, "{row}.last_name", is_known=True),
    "company": Column(FieldType.STRING, "{row}.company", is_known=True),
    "email": Column(FieldType.STRING, _address("email")),
    "phone": Column(FieldType.STRING, _address("phone")),
    "country": Column(FieldType.STRING, "{row}.country"),
    "time_zone": Column(FieldType.STRING, "{row}.time_zone"),
    "locale": Column(FieldType.STRING, "{row}.locale"),
    "fields": Column(FieldType.STRING_MAP, "{row}.fields", is_known=True),
    "opted_out": Column(FieldType.BOOL, "({row}.opted_out_at IS NOT NULL)", is_known=True),
    "opted_out_at": Column(FieldType.TIMESTAMP, "{row}.opted_out_at"),
    "created_at": Column(FieldType.TIMESTAMP, "{row}.created_at", is_known=True),
}
TAGS = Relation(
    name="contact.tags",
    # By the primary key of contact_tag, or the index contact_tag_by_contact.
    rows="app.contact_tag AS {row} WHERE {row}.contact_id = {contact}.id AND {row}.workspace_id = %(workspace)s",
    columns={"": Column(FieldType.STRING, "{row}.tag", is_known=True)},
)
CONSENTS = Relation(
    name="consents",
    # What was said last to each channel and purpose; by the index consent_by_contact.
    rows="""(
        SELECT DISTINCT ON (k.channel, k.purpose) k.channel, k.purpose, k.is_granted, k.at FROM app.consent k
        WHERE k.contact_id = {contact}.id AND k.workspace_id = %(workspace)s
        ORDER BY k.channel, k.purpose, k.at DESC, k.id DESC
    ) AS {row} WHERE true""",
    columns={
        "channel": Column(FieldType.STRING, "{row}.channel", is_known=True),
        "purpose": Column(FieldType.STRING, "{row}.purpose", is_known=True),
        "is_granted": Column(FieldType.BOOL, "{row}.is_granted", is_known=True),
        "at": Column(FieldType.TIMESTAMP, "{row}.at", is_known=True),
    },
    nouns=frozenset({"consent"}),
)
EVENTS = Relation(
    name="events",
    # With those of contacts merged into this one, by the indexes event_by_contact and contact_merged.
    rows="""app.event AS {row} WHERE {row}.workspace_id = %(workspace)s AND {row}.contact_id = ANY (ARRAY(
        SELECT {contact}.id UNION ALL SELECT lost.id FROM app.contact lost WHERE lost.merged_into = {contact}.id
    ))""",
    columns={
        "kind": Column(FieldType.STRING, "{row}.kind", is_known=True),
        "at": Column(FieldType.TIMESTAMP, "{row}.at", is_known=True),
        "data": Column(FieldType.STRING_MAP, "{row}.data", is_known=True),
        "actor": Column(FieldType.STRING, "{row}.actor_kind", is_known=True),
    },
    kinds=EVENT_KINDS,
)

OWN_WORDS = Vocabulary(CONTACT_COLUMNS, {relation.name: relation for relation in (TAGS, CONSENTS, EVENTS)})
