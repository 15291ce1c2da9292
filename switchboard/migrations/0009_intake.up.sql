CREATE TABLE app.source (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    name text NOT NULL,
    format text NOT NULL,
    token text NOT NULL,
    signing_secret text,
    mapping jsonb NOT NULL DEFAULT '{}',
    mapping_version integer NOT NULL DEFAULT 1,
    settings jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT app.now(),
    paused_at timestamptz
);
CREATE UNIQUE INDEX source_name ON app.source (workspace_id, lower(name));
CREATE UNIQUE INDEX source_token ON app.source (token);
ALTER TABLE app.source ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.source FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.source USING (workspace_id = app.workspace_id());

-- One accepted fact, as received. Never updated: what became of it stands in signal_outcome.
CREATE TABLE app.signal (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    source_id uuid NOT NULL,
    received_at timestamptz NOT NULL DEFAULT app.now(),
    payload json NOT NULL,
    import_id uuid,
    import_row integer,
    PRIMARY KEY (id, received_at)
) PARTITION BY RANGE (received_at);
CREATE INDEX signal_by_source ON app.signal (source_id, id DESC);
ALTER TABLE app.signal ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.signal FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.signal USING (workspace_id = app.workspace_id());
CREATE TABLE app.signal_default PARTITION OF app.signal DEFAULT;
ALTER TABLE app.signal_default ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.signal_default FORCE ROW LEVEL SECURITY;

-- The keys of what was accepted already: the same signal twice is one signal, until the key expires.
CREATE TABLE app.signal_key (
    source_id uuid NOT NULL,
    key uuid NOT NULL,
    workspace_id uuid NOT NULL,
    signal_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (source_id, key)
);
CREATE INDEX signal_key_expired ON app.signal_key (expires_at);
ALTER TABLE app.signal_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.signal_key FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.signal_key USING (workspace_id = app.workspace_id());

-- Signals that nobody has recognised yet; gone once they are.
CREATE TABLE app.signal_due (
    signal_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    source_id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL DEFAULT app.now(),
    import_id uuid,
    import_row integer,
    attempts integer NOT NULL DEFAULT 0
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
-- Live signals stand before those of a file, so that a person who asks now never waits for an import.
CREATE INDEX signal_due_order ON app.signal_due ((import_id IS NOT NULL), due_at);
ALTER TABLE app.signal_due ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.signal_due FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.signal_due USING (workspace_id = app.workspace_id() OR app.is_queue_loop());

CREATE TABLE app.signal_outcome (
    signal_id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    workspace_id uuid NOT NULL,
    source_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT app.now(),
    outcome text NOT NULL CHECK (outcome IN ('opened', 'joined', 'junk', 'test', 'failed')),
    contact_id uuid,
    lead_id uuid,
    problems jsonb NOT NULL DEFAULT '[]',
    PRIMARY KEY (signal_id, received_at, at)
) PARTITION BY RANGE (received_at);
CREATE INDEX signal_outcome_by_lead ON app.signal_outcome (lead_id) WHERE lead_id IS NOT NULL;
CREATE INDEX signal_outcome_failed ON app.signal_outcome (source_id, at DESC) WHERE outcome = 'failed';
ALTER TABLE app.signal_outcome ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.signal_outcome FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.signal_outcome USING (workspace_id = app.workspace_id());
CREATE TABLE app.signal_outcome_default PARTITION OF app.signal_outcome DEFAULT;
ALTER TABLE app.signal_outcome_default ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.signal_outcome_default FORCE ROW LEVEL SECURITY;

CREATE TABLE app.import (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    source_id uuid NOT NULL REFERENCES app.source (id) ON DELETE CASCADE,
    file_name text NOT NULL,
    size_bytes bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('uploaded', 'ready', 'running', 'done', 'failed', 'cancelled')),
    encoding text,
    delimiter text,
    sample jsonb NOT NULL DEFAULT '{}',
    headers_key text,
    columns jsonb NOT NULL DEFAULT '{}',
    rows_total integer,
    rows_read integer NOT NULL DEFAULT 0,
    is_read boolean NOT NULL DEFAULT false,
    starts_flows boolean NOT NULL DEFAULT false,
    rows_new integer NOT NULL DEFAULT 0,
    rows_updated integer NOT NULL DEFAULT 0,
    rows_duplicate integer NOT NULL DEFAULT 0,
    rows_failed integer NOT NULL DEFAULT 0,
    detail text,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT app.now(),
    finished_at timestamptz
);
CREATE INDEX import_list ON app.import (workspace_id, id DESC);
CREATE INDEX import_by_source ON app.import (source_id, headers_key, id DESC);
ALTER TABLE app.import ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.import FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.import USING (workspace_id = app.workspace_id());

CREATE TABLE app.import_chunk (
    import_id uuid NOT NULL REFERENCES app.import (id) ON DELETE CASCADE,
    number integer NOT NULL,
    workspace_id uuid NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (import_id, number)
);
ALTER TABLE app.import_chunk ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.import_chunk FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.import_chunk USING (workspace_id = app.workspace_id());

CREATE TABLE app.import_problem (
    import_id uuid NOT NULL REFERENCES app.import (id) ON DELETE CASCADE,
    row_number integer NOT NULL,
    workspace_id uuid NOT NULL,
    reason text NOT NULL,
    cells jsonb NOT NULL,
    PRIMARY KEY (import_id, row_number)
);
ALTER TABLE app.import_problem ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.import_problem FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.import_problem USING (workspace_id = app.workspace_id());
