CREATE TABLE app.rota (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    name text NOT NULL,
    time_zone text NOT NULL,
    strategy text NOT NULL CHECK (strategy IN ('round_robin', 'weighted', 'least_loaded', 'sticky')),
    holiday_country text,
    supervisor_id uuid,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT app.now(),
    archived_at timestamptz
);
CREATE UNIQUE INDEX rota_name ON app.rota (workspace_id, lower(name)) WHERE archived_at IS NULL;
ALTER TABLE app.rota ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.rota FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.rota USING (workspace_id = app.workspace_id());

CREATE TABLE app.rota_member (
    rota_id uuid NOT NULL REFERENCES app.rota (id) ON DELETE CASCADE,
    workspace_id uuid NOT NULL,
    user_id uuid NOT NULL,
    position integer NOT NULL,
    weight integer NOT NULL DEFAULT 1 CHECK (weight BETWEEN 1 AND 100),
    capacity integer CHECK (capacity >= 0),
    assigned bigint NOT NULL DEFAULT 0,
    last_assigned_at timestamptz,
    last_turn bigint NOT NULL DEFAULT 0,
    credit bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (rota_id, user_id)
) WITH (fillfactor = 50);
CREATE INDEX rota_member_by_user ON app.rota_member (workspace_id, user_id);
ALTER TABLE app.rota_member ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.rota_member FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.rota_member USING (workspace_id = app.workspace_id());

-- Weekly shifts in the rota's zone; weekday 1 is Monday; an end before the start goes past midnight.
CREATE TABLE app.rota_shift (
    id uuid PRIMARY KEY,
    rota_id uuid NOT NULL REFERENCES app.rota (id) ON DELETE CASCADE,
    workspace_id uuid NOT NULL,
    user_id uuid NOT NULL,
    weekday smallint NOT NULL CHECK (weekday BETWEEN 1 AND 7),
    starts time NOT NULL,
    ends time NOT NULL
);
CREATE INDEX rota_shift_by_rota ON app.rota_shift (rota_id);
ALTER TABLE app.rota_shift ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.rota_shift FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.rota_shift USING (workspace_id = app.workspace_id());

CREATE TABLE app.rota_override (
    id uuid PRIMARY KEY,
    rota_id uuid NOT NULL REFERENCES app.rota (id) ON DELETE CASCADE,
    workspace_id uuid NOT NULL,
    user_id uuid NOT NULL,
    is_on boolean NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    reason text NOT NULL DEFAULT '',
    CHECK (starts_at < ends_at)
);
CREATE INDEX rota_override_by_rota ON app.rota_override (rota_id, ends_at);
ALTER TABLE app.rota_override ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.rota_override FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.rota_override USING (workspace_id = app.workspace_id());

CREATE TABLE app.rota_holiday (
    rota_id uuid NOT NULL REFERENCES app.rota (id) ON DELETE CASCADE,
    workspace_id uuid NOT NULL,
    day date NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (rota_id, day)
);
ALTER TABLE app.rota_holiday ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.rota_holiday FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.rota_holiday USING (workspace_id = app.workspace_id());

CREATE TABLE app.routing_rule (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    position integer NOT NULL,
    name text NOT NULL,
    condition text NOT NULL,
    rota_id uuid REFERENCES app.rota (id),
    user_id uuid,
    is_enabled boolean NOT NULL DEFAULT true,
    is_default boolean NOT NULL DEFAULT false,
    version integer NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT app.now(),
    CHECK (num_nonnulls(rota_id, user_id) = 1)
);
-- The rule that takes what no other rule does; a workspace has at most one.
CREATE UNIQUE INDEX routing_rule_default ON app.routing_rule (workspace_id) WHERE is_default;
CREATE INDEX routing_rule_order ON app.routing_rule (workspace_id, position);
CREATE INDEX routing_rule_by_rota ON app.routing_rule (rota_id);
ALTER TABLE app.routing_rule ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.routing_rule FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.routing_rule USING (workspace_id = app.workspace_id());

-- Who has a subject (a lead, later an incident) now. One row a subject, while it is open.
CREATE TABLE app.assignment (
    subject_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    subject_kind text NOT NULL,
    contact_id uuid,
    state text NOT NULL CHECK (state IN ('waiting', 'offered', 'accepted', 'released')),
    owner_id uuid,
    rota_id uuid,
    rule_id uuid,
    hand_ons integer NOT NULL DEFAULT 0,
    passed_over uuid[] NOT NULL DEFAULT '{}',
    offered_at timestamptz,
    accept_within interval,
    accept_by timestamptz,
    accepted_at timestamptz,
    waiting_since timestamptz,
    updated_at timestamptz NOT NULL DEFAULT app.now()
) WITH (fillfactor = 80);
CREATE INDEX assignment_waiting ON app.assignment (workspace_id, rota_id, waiting_since, subject_id) WHERE state = 'waiting';
CREATE INDEX assignment_load ON app.assignment (workspace_id, owner_id) WHERE state IN ('offered', 'accepted');
CREATE INDEX assignment_by_contact ON app.assignment (workspace_id, contact_id, updated_at DESC)
    WHERE contact_id IS NOT NULL;
ALTER TABLE app.assignment ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.assignment FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.assignment USING (workspace_id = app.workspace_id());
-- The loop that finds somebody for those who wait sees whose they are, and enters the workspace to do more.
CREATE POLICY waiting ON app.assignment FOR SELECT USING (state = 'waiting' AND app.is_queue_loop());

-- Why this person: the rule and the candidates as they were at that time.
CREATE TABLE app.decision (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT app.now(),
    trigger text NOT NULL,
    rule_id uuid,
    rule_name text,
    rule_version integer,
    rule_text text,
    rota_id uuid,
    rota_name text,
    strategy text,
    state text NOT NULL,
    chosen_id uuid,
    note text NOT NULL DEFAULT '',
    candidates jsonb NOT NULL
);
CREATE INDEX decision_by_subject ON app.decision (subject_id, id DESC);
ALTER TABLE app.decision ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.decision FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.decision USING (workspace_id = app.workspace_id());
