"""The names that routing rules know. Rooms above give their facts these names and types."""

from switchboard.kernel.expressions import Fields, FieldType

LEAD_FACTS: Fields = {
    "lead.id": FieldType.STRING,
    "lead.title": FieldType.STRING,
    "lead.stage": FieldType.STRING,
    "lead.value": FieldType.FLOAT,
    "lead.currency": FieldType.STRING,
    "lead.utm": FieldType.STRING_MAP,
    "lead.fields": FieldType.STRING_MAP,
    "lead.signals": FieldType.INT,
    "lead.is_junk": FieldType.BOOL,
    "lead.created_at": FieldType.TIMESTAMP,
}
CONTACT_FACTS: Fields = {
    "contact.id": FieldType.STRING,
    "contact.name": FieldType.STRING,
    "contact.first_name": FieldType.STRING,
    "contact.last_name": FieldType.STRING,
    "contact.company": FieldType.STRING,
    "contact.email": FieldType.STRING,
    "contact.phone": FieldType.STRING,
    "contact.country": FieldType.STRING,
    "contact.time_zone": FieldType.STRING,
    "contact.locale": FieldType.STRING,
    "contact.fields": FieldType.STRING_MAP,
    "contact.opted_out": FieldType.BOOL,
}
SOURCE_FACTS: Fields = {
    "source.id": FieldType.STRING,
    "source.name": FieldType.STRING,
    "source.format": FieldType.STRING,
}
RULE_FIELDS: Fields = {**LEAD_FACTS, **CONTACT_FACTS, **SOURCE_FACTS}
