-- Whose campaign a run belongs to; null for runs that an event began.
ALTER TABLE app.run ADD COLUMN IF NOT EXISTS campaign_id uuid;
ALTER TABLE app.run_ended ADD COLUMN IF NOT EXISTS campaign_id uuid;

-- A flow with an audience and a start. What it does next stands in its row, so that any process can go on with it.
CREATE TABLE app.campaign (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    name text NOT NULL,
    title text NOT NULL,
    state text NOT NULL DEFAULT 'draft'
        CHECK (state IN ('draft', 'scheduled', 'starting', 'running', 'paused', 'finished', 'cancelled')),
    flow_id uuid NOT NULL,
    audience_kind text NOT NULL CHECK (audience_kind IN ('segment', 'import', 'everybody', 'missed')),
    audience_id uuid,
    -- The first campaign of a family of repeats: who got one of them gets none of the others.
    root_id uuid NOT NULL,
    sends_to_missed_of uuid,
    missed_states text[] NOT NULL DEFAULT '{}',
    start_kind text NOT NULL DEFAULT 'now' CHECK (start_kind IN ('now', 'at', 'local_hour')),
    start_at timestamptz,
    local_date date,
    local_hour time,
    when_passed text NOT NULL DEFAULT 'now' CHECK (when_passed IN ('now', 'skip', 'tomorrow')),
    throttle_per_minute integer CHECK (throttle_per_minute > 0),
    priority text NOT NULL DEFAULT 'normal' CHECK (priority IN ('high', 'normal', 'low')),
    winner_rule text NOT NULL DEFAULT 'none' CHECK (winner_rule IN ('none', 'manual', 'answered', 'opt_outs')),
    winner_after interval,
    winner_due_at timestamptz,
    winner smallint,
    -- Deliverability: of the mail since the last look, how much may come back before the campaign pauses itself.
    pause_at_percent smallint NOT NULL DEFAULT 5 CHECK (pause_at_percent BETWEEN 1 AND 100),
    seen_sent bigint NOT NULL DEFAULT 0,
    seen_bad bigint NOT NULL DEFAULT 0,
    -- Where the taking in of the audience stands, and how many go at each moment that it is spread from.
    cursor uuid,
    is_taken_in boolean NOT NULL DEFAULT false,
    spread_from timestamptz,
    spread jsonb NOT NULL DEFAULT '{}',
    -- A walk over those taken in already: to let them go on, to spread them anew, to cancel.
    sweep text CHECK (sweep IN ('resume', 'spread', 'cancel')),
    sweep_cursor uuid,
    -- Its runs rest while this is set: it is paused, or is being spread anew.
    held_since timestamptz,
    pause_reason text,
    started_at timestamptz,
    paused_at timestamptz,
    ended_at timestamptz,
    archived_at timestamptz,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT app.now(),
    updated_at timestamptz NOT NULL DEFAULT app.now(),
    UNIQUE (workspace_id, name)
);
CREATE INDEX campaign_list ON app.campaign (workspace_id, id DESC) WHERE archived_at IS NULL;
CREATE INDEX campaign_by_root ON app.campaign (workspace_id, root_id);
ALTER TABLE app.campaign ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.campaign FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.campaign USING (workspace_id = app.workspace_id());

-- What a campaign sends: one flow, or several of which each gets its share, and the rest of 100 the winner.
CREATE TABLE app.campaign_variant (
    campaign_id uuid NOT NULL REFERENCES app.campaign (id) ON DELETE CASCADE,
    number smallint NOT NULL CHECK (number BETWEEN 1 AND 9),
    workspace_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    -- The version that its runs take, since the campaign has started.
    flow_version integer,
    share_percent smallint NOT NULL CHECK (share_percent BETWEEN 1 AND 100),
    PRIMARY KEY (campaign_id, number)
);
ALTER TABLE app.campaign_variant ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.campaign_variant FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.campaign_variant USING (workspace_id = app.workspace_id());

-- The ledger: what became of each recipient. A contact is in a campaign once.
CREATE TABLE app.campaign_recipient (
    campaign_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    variant smallint NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'queued', 'sent', 'answered', 'bounced', 'opted_out', 'held', 'dropped',
        'failed', 'in_doubt', 'excluded', 'cancelled')),
    reason text,
    run_id uuid,
    message_id uuid,
    due_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT app.now(),
    PRIMARY KEY (campaign_id, contact_id)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX campaign_recipient_by_state ON app.campaign_recipient (campaign_id, state, contact_id);
ALTER TABLE app.campaign_recipient ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.campaign_recipient FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.campaign_recipient USING (workspace_id = app.workspace_id());

-- How many recipients stand in each state, so that a campaign's page never counts them. Rows are only added, and folded
-- now and then: writers never wait for each other. The state `under_way` counts runs that have not ended.
CREATE TABLE app.campaign_tally (
    workspace_id uuid NOT NULL,
    campaign_id uuid NOT NULL,
    variant smallint NOT NULL,
    state text NOT NULL,
    recipients bigint NOT NULL
);
CREATE INDEX campaign_tally_by_state ON app.campaign_tally (campaign_id, variant, state);
ALTER TABLE app.campaign_tally ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.campaign_tally FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.campaign_tally USING (workspace_id = app.workspace_id());
