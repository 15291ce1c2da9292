"""What conditions of segments may say of a contact's leads, as SQL. The names are those that rules and flows use."""

from switchboard.kernel.expressions import FieldType
from switchboard.people.segment_vocabulary import Column, Relation

LEADS = Relation(
    name="leads",
    one="lead",
    # By the index lead_by_contact.
    rows="app.lead AS {row} WHERE {row}.contact_id = {contact}.id AND {row}.workspace_id = %(workspace)s",
    columns={
        "title": Column(FieldType.STRING, "{row}.title", is_known=True),
        "stage": Column(FieldType.STRING, "{row}.stage", is_known=True),
        # By the primary key of stage.
        "outcome": Column(
            FieldType.STRING,
            "(SELECT nullif(s.kind, 'open') FROM app.stage s"
            " WHERE s.workspace_id = {row}.workspace_id AND s.key = {row}.stage)",
            nouns=frozenset({"stage"}),
        ),
        # By the primary key of user_account.
        "owner": Column(FieldType.STRING, "(SELECT u.email FROM app.user_account u WHERE u.id = {row}.owner_id)"),
        # By the primary key of source.
        "source": Column(
            FieldType.STRING,
            "(SELECT s.name FROM app.source s WHERE s.id = {row}.source_id)",
            nouns=frozenset({"source"}),
        ),
        "value": Column(FieldType.INT, "{row}.value_minor"),
        "currency": Column(FieldType.STRING, "{row}.currency"),
        "signals": Column(FieldType.INT, "{row}.signals", is_known=True),
        "junk": Column(FieldType.BOOL, "{row}.is_junk", is_known=True),
        "is_open": Column(FieldType.BOOL, "({row}.closed_at IS NULL)", is_known=True),
        "fields": Column(FieldType.STRING_MAP, "{row}.fields", is_known=True),
        "utm": Column(FieldType.STRING_MAP, "{row}.utm", is_known=True),
        "created_at": Column(FieldType.TIMESTAMP, "{row}.created_at", is_known=True),
        "heard_at": Column(FieldType.TIMESTAMP, "{row}.heard_at", is_known=True),
        "accepted_at": Column(FieldType.TIMESTAMP, "{row}.accepted_at"),
        "first_responded_at": Column(
            FieldType.TIMESTAMP,
            "{row}.first_responded_at",
            # A reply, or a call that was noted, answers the lead; nothing is told of the lead itself then.
            nouns=frozenset({"message", "note"}),
        ),
        "closed_at": Column(FieldType.TIMESTAMP, "{row}.closed_at"),
    },
    nouns=frozenset({"lead"}),
)
