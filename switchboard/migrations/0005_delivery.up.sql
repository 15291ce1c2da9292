CREATE TABLE app.template (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    -- What flows call it by; the title is for people.
    name text NOT NULL,
    title text NOT NULL DEFAULT '',
    channel text NOT NULL DEFAULT 'email',
    purpose text NOT NULL CHECK (purpose IN ('marketing', 'transactional')),
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT app.now(),
    archived_at timestamptz
);
CREATE UNIQUE INDEX template_name ON app.template (workspace_id, name) WHERE archived_at IS NULL;
ALTER TABLE app.template ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.template FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.template USING (workspace_id = app.workspace_id());

CREATE TABLE app.template_version (
    template_id uuid NOT NULL REFERENCES app.template (id) ON DELETE CASCADE,
    version integer NOT NULL,
    workspace_id uuid NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    saved_by uuid,
    saved_at timestamptz NOT NULL DEFAULT app.now(),
    PRIMARY KEY (template_id, version)
);
ALTER TABLE app.template_version ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.template_version FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.template_version USING (workspace_id = app.workspace_id());

-- One thing to or from one person over one channel. The text of an outgoing one is filled in as it is sent.
CREATE TABLE app.message (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    direction text NOT NULL CHECK (direction IN ('in', 'out')),
    channel text NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('marketing', 'transactional', 'reply', 'page')),
    state text NOT NULL CHECK (state IN ('queued', 'sending', 'sent', 'held', 'dropped', 'failed', 'in_doubt', 'bounced', 'received')),
    reason text,
    detail text,
    contact_id uuid,
    lead_id uuid,
    user_id uuid,
    conversation_id uuid,
    run_id uuid,
    run_revision integer,
    template_id uuid,
    template_version integer,
    address text NOT NULL,
    subject text NOT NULL DEFAULT '',
    body_text text NOT NULL DEFAULT '',
    body_html text,
    header_id text NOT NULL,
    in_reply_to text,
    reference_ids text[] NOT NULL DEFAULT '{}',
    is_urgent boolean NOT NULL DEFAULT false,
    not_after timestamptz,
    when_late text NOT NULL DEFAULT 'skip' CHECK (when_late IN ('skip', 'send')),
    -- Why it was called back while it was under way: should it come back unsent, it is dropped for this.
    stop_reason text,
    -- Who sent an answer that was held because its recipient wants no mail.
    sent_anyway_by uuid,
    -- When a person took note that it did not go out: the home page shows it no more.
    seen_at timestamptz,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT app.now(),
    sent_at timestamptz
) WITH (fillfactor = 85);
-- A step of a run writes its message once, however often the step is tried.
CREATE UNIQUE INDEX message_of_step ON app.message (run_id, run_revision) WHERE run_id IS NOT NULL;
CREATE UNIQUE INDEX message_header_id ON app.message (workspace_id, header_id);
CREATE INDEX message_by_contact ON app.message (workspace_id, contact_id, id DESC) WHERE contact_id IS NOT NULL;
CREATE INDEX message_sent_to ON app.message (workspace_id, contact_id, sent_at)
    WHERE direction = 'out' AND sent_at IS NOT NULL AND purpose = 'marketing';
-- Mail to a contact that is just going out counts for the frequency cap like mail that went.
CREATE INDEX message_under_way ON app.message (workspace_id, contact_id)
    WHERE direction = 'out' AND state = 'sending' AND purpose = 'marketing';
CREATE INDEX message_troubled ON app.message (workspace_id, state, id DESC) WHERE state IN ('held', 'dropped', 'failed', 'in_doubt', 'bounced');
ALTER TABLE app.message ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.message FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.message USING (workspace_id = app.workspace_id());

-- What is due to go out. Lane 0 is a page or a one-time code, 1 a person's reply, 5 a flow, 9 a campaign.
CREATE TABLE app.outbox (
    message_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    channel text NOT NULL,
    lane smallint NOT NULL,
    due_at timestamptz NOT NULL DEFAULT app.now(),
    attempts integer NOT NULL DEFAULT 0,
    token bigint NOT NULL DEFAULT 0,
    lease_until timestamptz
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX outbox_due ON app.outbox (lane, due_at) WHERE lease_until IS NULL;
CREATE INDEX outbox_leased ON app.outbox (lease_until) WHERE lease_until IS NOT NULL;
ALTER TABLE app.outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.outbox FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.outbox USING (workspace_id = app.workspace_id() OR app.is_queue_loop());

CREATE TABLE app.attempt (
    message_id uuid NOT NULL,
    token bigint NOT NULL,
    workspace_id uuid NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL DEFAULT app.now(),
    outcome text NOT NULL,
    response text NOT NULL DEFAULT '',
    PRIMARY KEY (message_id, token, ended_at)
) PARTITION BY RANGE (ended_at);
ALTER TABLE app.attempt ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.attempt FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.attempt USING (workspace_id = app.workspace_id());
CREATE TABLE app.attempt_default PARTITION OF app.attempt DEFAULT;
ALTER TABLE app.attempt_default ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.attempt_default FORCE ROW LEVEL SECURITY;

-- A channel whose server refuses us takes a break, all workspaces together: no message pays for that with its attempts.
CREATE TABLE app.channel_break (
    channel text PRIMARY KEY,
    began_at timestamptz NOT NULL DEFAULT app.now(),
    ends_at timestamptz NOT NULL,
    failures integer NOT NULL DEFAULT 1,
    detail text NOT NULL
);

-- Addresses nothing is ever sent to again, whatever the channel or flow.
CREATE TABLE app.suppression (
    workspace_id uuid NOT NULL,
    kind text NOT NULL,
    value text NOT NULL,
    reason text NOT NULL CHECK (reason IN ('unsubscribed', 'bounced', 'complained', 'manual')),
    message_id uuid,
    created_at timestamptz NOT NULL DEFAULT app.now(),
    PRIMARY KEY (workspace_id, kind, value)
);
CREATE INDEX suppression_list ON app.suppression (workspace_id, created_at DESC, value DESC);
ALTER TABLE app.suppression ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.suppression FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.suppression USING (workspace_id = app.workspace_id());

-- The local mailbox: mail that was delivered here instead of to the world.
CREATE TABLE app.mailbox_mail (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    message_id uuid NOT NULL,
    mail_from text NOT NULL,
    recipient text NOT NULL,
    subject text NOT NULL,
    raw bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app.now()
);
CREATE UNIQUE INDEX mailbox_mail_once ON app.mailbox_mail (message_id);
CREATE INDEX mailbox_mail_list ON app.mailbox_mail (workspace_id, id DESC);
ALTER TABLE app.mailbox_mail ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.mailbox_mail FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.mailbox_mail USING (workspace_id = app.workspace_id());
