CREATE TABLE app.stage (
    workspace_id uuid NOT NULL,
    key text NOT NULL,
    title text NOT NULL,
    position integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('open', 'won', 'lost')),
    PRIMARY KEY (workspace_id, key)
);
ALTER TABLE app.stage ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.stage FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.stage USING (workspace_id = app.workspace_id());

CREATE TABLE app.lead (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL REFERENCES app.contact (id) DEFERRABLE INITIALLY DEFERRED,
    source_id uuid NOT NULL,
    stage text NOT NULL,
    title text NOT NULL DEFAULT '',
    value_minor bigint,
    currency text CHECK (currency ~ '^[A-Z]{3}$'),
    utm jsonb NOT NULL DEFAULT '{}',
    fields jsonb NOT NULL DEFAULT '{}',
    signals integer NOT NULL DEFAULT 1,
    owner_id uuid,
    is_junk boolean NOT NULL DEFAULT false,
    junk_reason text,
    created_at timestamptz NOT NULL DEFAULT app.now(),
    heard_at timestamptz NOT NULL DEFAULT app.now(),
    updated_at timestamptz NOT NULL DEFAULT app.now(),
    respond_by timestamptz,
    accepted_at timestamptz,
    first_responded_at timestamptz,
    closed_at timestamptz,
    -- The open lead that went on instead when two contacts, each with one, turned out to be one person.
    joined_into uuid
) WITH (fillfactor = 80);
-- A contact has one open lead; the next signal joins it.
CREATE UNIQUE INDEX lead_open ON app.lead (workspace_id, contact_id) WHERE closed_at IS NULL;
CREATE INDEX lead_by_contact ON app.lead (contact_id, id DESC);
CREATE INDEX lead_list ON app.lead (workspace_id, id DESC);
CREATE INDEX lead_open_list ON app.lead (workspace_id, id DESC) WHERE closed_at IS NULL;
CREATE INDEX lead_closed_list ON app.lead (workspace_id, id DESC) WHERE closed_at IS NOT NULL AND NOT is_junk;
CREATE INDEX lead_junk_list ON app.lead (workspace_id, id DESC) WHERE is_junk;
CREATE INDEX lead_by_stage ON app.lead (workspace_id, stage, id DESC) WHERE NOT is_junk;
CREATE INDEX lead_by_owner ON app.lead (workspace_id, owner_id, id DESC);
CREATE INDEX lead_by_source ON app.lead (workspace_id, source_id, id DESC);
CREATE INDEX lead_unaccepted ON app.lead (workspace_id, id DESC) WHERE accepted_at IS NULL AND closed_at IS NULL;
CREATE INDEX lead_unanswered ON app.lead (workspace_id, respond_by) WHERE first_responded_at IS NULL AND closed_at IS NULL;
CREATE INDEX lead_answered ON app.lead (workspace_id, first_responded_at) INCLUDE (heard_at) WHERE first_responded_at IS NOT NULL;
ALTER TABLE app.lead ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.lead FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.lead USING (workspace_id = app.workspace_id());
