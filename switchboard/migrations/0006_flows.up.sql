CREATE TABLE app.flow (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    name text NOT NULL,
    title text NOT NULL,
    subject_kind text NOT NULL,
    version integer NOT NULL DEFAULT 1,
    is_active boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT app.now(),
    updated_at timestamptz NOT NULL DEFAULT app.now(),
    UNIQUE (workspace_id, name)
);
ALTER TABLE app.flow ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.flow FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.flow USING (workspace_id = app.workspace_id());

CREATE TABLE app.flow_version (
    flow_id uuid NOT NULL REFERENCES app.flow (id) ON DELETE CASCADE,
    version integer NOT NULL,
    workspace_id uuid NOT NULL,
    source text NOT NULL,
    saved_by uuid,
    saved_at timestamptz NOT NULL DEFAULT app.now(),
    PRIMARY KEY (flow_id, version)
);
ALTER TABLE app.flow_version ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.flow_version FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.flow_version USING (workspace_id = app.workspace_id());

-- One subject going through one version of a flow, while it goes. A run that has ended moves to run_ended.
-- ready: the step is to be done; waiting: it has begun and due_at ends it; woken: the event it awaited has come.
-- parked: due, but its flow is paused, or its contact was merged into one who goes through the same flow.
CREATE TABLE app.run (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    version integer NOT NULL,
    subject_kind text NOT NULL,
    subject_id uuid NOT NULL,
    contact_id uuid,
    lead_id uuid,
    step integer NOT NULL DEFAULT 0,
    revision integer NOT NULL DEFAULT 0,
    phase text NOT NULL DEFAULT 'ready' CHECK (phase IN ('ready', 'waiting', 'woken')),
    due_at timestamptz,
    awaits text,
    parked text CHECK (parked IN ('paused', 'merged')),
    rounds smallint NOT NULL DEFAULT 0,
    depth smallint NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    event_data jsonb NOT NULL DEFAULT '{}',
    started_at timestamptz NOT NULL DEFAULT app.now()
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX run_due ON app.run (due_at) WHERE due_at IS NOT NULL AND parked IS NULL;
-- A subject goes through a flow once at a time.
CREATE UNIQUE INDEX run_by_subject ON app.run (subject_id, flow_id);
CREATE INDEX run_by_contact ON app.run (workspace_id, contact_id) WHERE contact_id IS NOT NULL;
CREATE INDEX run_by_step ON app.run (flow_id, version, step, id);
CREATE INDEX run_troubled ON app.run (workspace_id, id) WHERE attempts > 0;
ALTER TABLE app.run ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.run FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.run USING (workspace_id = app.workspace_id() OR app.is_queue_loop());

CREATE TABLE app.run_ended (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    version integer NOT NULL,
    subject_kind text NOT NULL,
    subject_id uuid NOT NULL,
    contact_id uuid,
    lead_id uuid,
    step integer NOT NULL,
    depth smallint NOT NULL DEFAULT 0,
    outcome text NOT NULL CHECK (outcome IN ('finished', 'stopped', 'failed')),
    reason text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL DEFAULT app.now()
);
CREATE INDEX run_ended_by_contact ON app.run_ended (workspace_id, contact_id, ended_at DESC)
    WHERE contact_id IS NOT NULL;
CREATE INDEX run_ended_failed ON app.run_ended (workspace_id, ended_at DESC) WHERE outcome = 'failed';
ALTER TABLE app.run_ended ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.run_ended FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.run_ended USING (workspace_id = app.workspace_id());

-- When a subject last entered a flow: the row that makes a second entrance impossible, not merely unlikely.
CREATE TABLE app.flow_entry (
    flow_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    entered_at timestamptz NOT NULL DEFAULT app.now(),
    PRIMARY KEY (flow_id, subject_id)
);
ALTER TABLE app.flow_entry ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.flow_entry FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.flow_entry USING (workspace_id = app.workspace_id());

CREATE TABLE app.run_step (
    run_id uuid NOT NULL,
    revision integer NOT NULL,
    workspace_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT app.now(),
    step integer NOT NULL,
    outcome text NOT NULL,
    detail text NOT NULL DEFAULT '',
    PRIMARY KEY (run_id, revision, at)
) PARTITION BY RANGE (at);
ALTER TABLE app.run_step ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.run_step FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.run_step USING (workspace_id = app.workspace_id());
CREATE TABLE app.run_step_default PARTITION OF app.run_step DEFAULT;
ALTER TABLE app.run_step_default ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.run_step_default FORCE ROW LEVEL SECURITY;

-- How runs went, so that a flow's page never counts them. Rows are only added, and folded now and then: writers never
-- wait for each other. Step -1 stands for the whole flow.
CREATE TABLE app.flow_tally (
    workspace_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    version integer NOT NULL,
    step integer NOT NULL,
    outcome text NOT NULL,
    day date NOT NULL,
    runs bigint NOT NULL
);
CREATE INDEX flow_tally_by_step ON app.flow_tally (flow_id, version, step, outcome);
CREATE INDEX flow_tally_whole ON app.flow_tally (workspace_id, flow_id, day) WHERE step = -1;
ALTER TABLE app.flow_tally ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.flow_tally FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.flow_tally USING (workspace_id = app.workspace_id());
