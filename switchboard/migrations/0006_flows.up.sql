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
CREATE TABLE app.run (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    version integer NOT NULL,
    subject_kind text NOT NULL,
    subject_id uuid NOT NULL,
    contact_id uuid,
    step integer NOT NULL DEFAULT 0,
    revision integer NOT NULL DEFAULT 0,
    due_at timestamptz,
    awaits text,
    attempts integer NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT app.now()
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX run_due ON app.run (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX run_by_subject ON app.run (subject_id);
CREATE INDEX run_by_contact ON app.run (workspace_id, contact_id) WHERE contact_id IS NOT NULL;
CREATE INDEX run_by_step ON app.run (flow_id, version, step);
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
    step integer NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('finished', 'stopped', 'failed')),
    reason text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL DEFAULT app.now()
);
CREATE INDEX run_ended_by_subject ON app.run_ended (subject_id, ended_at DESC);
CREATE INDEX run_ended_by_flow ON app.run_ended (flow_id, ended_at DESC);
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

-- Counters kept per batch of steps, so that a flow's page never counts runs.
CREATE TABLE app.flow_tally (
    flow_id uuid NOT NULL,
    version integer NOT NULL,
    step integer NOT NULL,
    outcome text NOT NULL,
    workspace_id uuid NOT NULL,
    runs bigint NOT NULL,
    PRIMARY KEY (flow_id, version, step, outcome)
) WITH (fillfactor = 50);
ALTER TABLE app.flow_tally ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.flow_tally FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.flow_tally USING (workspace_id = app.workspace_id());
