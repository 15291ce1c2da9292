"""The names that routing rules know. Rooms above give their facts these names and types.

Money is in minor units, so `lead.value >= 100000` is a thousand euros or more.
"""

from switchboard.kernel.expressions import Fields, FieldType
from switchboard.people.models import CONTACT_FIELDS

LEAD_FACTS: Fields = {
    "id": FieldType.STRING,
    "title": FieldType.STRING,
    "stage": FieldType.STRING,
    "value": FieldType.INT,
    "currency": FieldType.STRING,
    "utm": FieldType.STRING_MAP,
    "fields": FieldType.STRING_MAP,
    "signals": FieldType.INT,
    "junk": FieldType.BOOL,
    "created_at": FieldType.TIMESTAMP,
}
SOURCE_FACTS: Fields = {
    "id": FieldType.STRING,
    "name": FieldType.STRING,
    "format": FieldType.STRING,
}
RULE_FIELDS: Fields = {
    f"{group}.{name}": kind
    for group, fields in (("lead", LEAD_FACTS), ("contact", CONTACT_FIELDS), ("source", SOURCE_FACTS))
    for name, kind in fields.items()
}
