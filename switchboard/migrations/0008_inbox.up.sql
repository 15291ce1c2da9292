CREATE TABLE app.conversation (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL REFERENCES app.contact (id) DEFERRABLE INITIALLY DEFERRED,
    channel text NOT NULL,
    subject text NOT NULL DEFAULT '',
    state text NOT NULL CHECK (state IN ('open', 'snoozed', 'closed')),
    owner_id uuid,
    snoozed_until timestamptz,
    waiting_since timestamptz,
    last_message_at timestamptz NOT NULL DEFAULT app.now(),
    created_at timestamptz NOT NULL DEFAULT app.now()
) WITH (fillfactor = 80);
CREATE INDEX conversation_list ON app.conversation (workspace_id, state, last_message_at DESC, id DESC);
CREATE INDEX conversation_waiting ON app.conversation (workspace_id, waiting_since) WHERE waiting_since IS NOT NULL AND state = 'open';
CREATE INDEX conversation_by_contact ON app.conversation (contact_id, last_message_at DESC);
ALTER TABLE app.conversation ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.conversation FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.conversation USING (workspace_id = app.workspace_id());

-- Mail as it came in, kept whole; the job that reads it is made in the same transaction.
CREATE TABLE app.inbound_mail (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    mail_from text NOT NULL,
    recipient text NOT NULL,
    raw bytea NOT NULL,
    header_id text NOT NULL,
    message_id uuid,
    outcome text,
    created_at timestamptz NOT NULL DEFAULT app.now()
);
CREATE UNIQUE INDEX inbound_mail_once ON app.inbound_mail (workspace_id, header_id, recipient);
ALTER TABLE app.inbound_mail ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.inbound_mail FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.inbound_mail USING (workspace_id = app.workspace_id());

CREATE TABLE app.attachment (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    message_id uuid NOT NULL REFERENCES app.message (id) ON DELETE CASCADE,
    name text NOT NULL,
    content_type text NOT NULL,
    size_bytes integer NOT NULL,
    content_id text,
    content bytea NOT NULL
);
CREATE INDEX attachment_by_message ON app.attachment (message_id);
ALTER TABLE app.attachment ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.attachment FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.attachment USING (workspace_id = app.workspace_id());
