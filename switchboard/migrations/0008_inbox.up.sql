-- The messages with one contact over one channel, as a thing to be done: open, put off, or done.
CREATE TABLE app.conversation (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL REFERENCES app.contact (id) DEFERRABLE INITIALLY DEFERRED,
    channel text NOT NULL,
    subject text NOT NULL DEFAULT '',
    preview text NOT NULL DEFAULT '',
    state text NOT NULL CHECK (state IN ('open', 'snoozed', 'closed')),
    owner_id uuid,
    lead_id uuid,
    -- Where the contact wants the answer; empty until they have written.
    reply_address text NOT NULL DEFAULT '',
    snoozed_until timestamptz,
    waiting_since timestamptz,
    -- When the owner was last told by mail that somebody waits here.
    notified_at timestamptz,
    -- The form whose answer was sent last: the same form posted twice is one answer.
    answer_key uuid,
    -- The conversation that went on instead when two contacts, each with one, turned out to be one person.
    absorbed_into uuid,
    last_message_at timestamptz NOT NULL DEFAULT app.now(),
    created_at timestamptz NOT NULL DEFAULT app.now()
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX conversation_of_contact ON app.conversation (workspace_id, contact_id, channel) WHERE absorbed_into IS NULL;
CREATE INDEX conversation_list ON app.conversation (workspace_id, state, last_message_at DESC, id DESC) WHERE absorbed_into IS NULL;
CREATE INDEX conversation_by_owner ON app.conversation (workspace_id, owner_id, state, last_message_at DESC, id DESC) WHERE absorbed_into IS NULL;
CREATE INDEX conversation_unowned ON app.conversation (workspace_id, last_message_at DESC, id DESC)
    WHERE owner_id IS NULL AND state = 'open' AND absorbed_into IS NULL;
CREATE INDEX conversation_waiting ON app.conversation (workspace_id, waiting_since)
    WHERE waiting_since IS NOT NULL AND state = 'open' AND absorbed_into IS NULL;
CREATE INDEX conversation_by_contact ON app.conversation (contact_id);
ALTER TABLE app.conversation ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.conversation FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.conversation USING (workspace_id = app.workspace_id());

-- What a member has written and not sent yet.
CREATE TABLE app.draft (
    conversation_id uuid NOT NULL REFERENCES app.conversation (id) ON DELETE CASCADE,
    user_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    body text NOT NULL CHECK (length(body) BETWEEN 1 AND 100000),
    saved_at timestamptz NOT NULL DEFAULT app.now(),
    PRIMARY KEY (conversation_id, user_id)
);
ALTER TABLE app.draft ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.draft FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.draft USING (workspace_id = app.workspace_id());

-- Mail as it came in, kept whole; the job that reads it is made in the same transaction.
CREATE TABLE app.inbound_mail (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    mail_from text NOT NULL,
    recipient text NOT NULL,
    raw bytea NOT NULL,
    header_id text NOT NULL,
    message_id uuid,
    outcome text CHECK (
        outcome IN ('received', 'automatic', 'bounce', 'own_mail', 'duplicate', 'no_sender', 'to_notice')
    ),
    created_at timestamptz NOT NULL DEFAULT app.now()
);
CREATE UNIQUE INDEX inbound_mail_once ON app.inbound_mail (workspace_id, header_id, recipient);
CREATE INDEX inbound_mail_by_message ON app.inbound_mail (message_id) WHERE message_id IS NOT NULL;
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
