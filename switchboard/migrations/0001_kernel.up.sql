-- Everything of ours lives in the schema app, so that any Postgres 15 or newer can host it beside other things.
CREATE SCHEMA IF NOT EXISTS app;

-- The one clock. Tests replace the body of this function to move time for SQL and Python alike.
CREATE FUNCTION app.now() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN pg_catalog.now();

-- The workspace this transaction works for; null where none was named, and then no tenant row is visible.
CREATE FUNCTION app.workspace_id() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('app.workspace_id', true), '')::uuid;

-- The signed-in user, who may see their own memberships across workspaces.
CREATE FUNCTION app.user_id() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('app.user_id', true), '')::uuid;

-- True in the loops that claim due work: they see the queue tables of all workspaces, and nothing else.
CREATE FUNCTION app.is_queue_loop() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(current_setting('app.scope', true), '') = 'queue';

-- UUID version 7 (RFC 9562): 48 bits of Unix milliseconds, then random.
CREATE FUNCTION app.uuid7(at timestamptz DEFAULT clock_timestamp()) RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN encode(
    set_bit(
        set_bit(
            overlay(
                uuid_send(gen_random_uuid())
                PLACING substring(int8send(floor(extract(epoch FROM at) * 1000)::bigint) FROM 3)
                FROM 1 FOR 6
            ),
            52, 1
        ),
        53, 1
    ),
    'hex'
)::uuid;

CREATE TABLE app.event (
    id uuid NOT NULL DEFAULT app.uuid7(),
    workspace_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT app.now(),
    kind text NOT NULL,
    contact_id uuid,
    lead_id uuid,
    subject_id uuid,
    actor_kind text NOT NULL,
    actor_id uuid,
    data jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE INDEX event_by_contact ON app.event (workspace_id, contact_id, id DESC) WHERE contact_id IS NOT NULL;
ALTER TABLE app.event ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.event FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.event USING (workspace_id = app.workspace_id());

CREATE TABLE app.event_default PARTITION OF app.event DEFAULT;
ALTER TABLE app.event_default ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.event_default FORCE ROW LEVEL SECURITY;

-- Makes the monthly partition of one table that holds the given day, unless it is there already.
CREATE FUNCTION app.ensure_partition(parent text, day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = app, pg_catalog, pg_temp AS $$
DECLARE
    first date := date_trunc('month', day)::date;
    child text := format('%s_y%sm%s', parent, to_char(first, 'YYYY'), to_char(first, 'MM'));
BEGIN
    IF parent NOT IN ('event', 'signal', 'signal_outcome', 'attempt', 'run_step') THEN
        RAISE EXCEPTION 'app.% is not partitioned by time', parent;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('app.ensure_partition'));
    IF to_regclass('app.' || child) IS NOT NULL THEN
        RETURN;
    END IF;
    BEGIN
        EXECUTE format('CREATE TABLE app.%I PARTITION OF app.%I FOR VALUES FROM (%L) TO (%L)',
            child, parent, first::text || ' 00:00:00+00', (first + interval '1 month')::date::text || ' 00:00:00+00');
    EXCEPTION WHEN check_violation THEN
        -- Rows of that month lie in the default partition already; they stay there, which is only less tidy.
        RETURN;
    END;
    -- A partition is reached only through its parent, whose policy applies: alone it shows nothing.
    EXECUTE format('ALTER TABLE app.%I ENABLE ROW LEVEL SECURITY', child);
    EXECUTE format('ALTER TABLE app.%I FORCE ROW LEVEL SECURITY', child);
END
$$;

-- Everything that runs later and has no table of its own. Finished jobs are deleted.
CREATE TABLE app.job (
    id uuid PRIMARY KEY DEFAULT app.uuid7(),
    workspace_id uuid NOT NULL,
    kind text NOT NULL,
    key text,
    payload jsonb NOT NULL DEFAULT '{}',
    priority smallint NOT NULL DEFAULT 5,
    due_at timestamptz NOT NULL DEFAULT app.now(),
    attempts integer NOT NULL DEFAULT 0,
    failed_at timestamptz,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT app.now()
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX job_due ON app.job (priority, due_at) WHERE failed_at IS NULL;
CREATE UNIQUE INDEX job_key ON app.job (workspace_id, kind, key) WHERE key IS NOT NULL;
ALTER TABLE app.job ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.job FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.job USING (workspace_id = app.workspace_id() OR app.is_queue_loop());

-- One row a limited key (GCRA): the instant at which the key has its full allowance again.
CREATE TABLE app.throttle (
    key text PRIMARY KEY,
    full_again_at timestamptz NOT NULL
);
CREATE INDEX throttle_stale ON app.throttle (full_again_at);

-- Processes that work queues say so here every few seconds; no row means that nobody does.
CREATE TABLE app.worker (
    id uuid PRIMARY KEY,
    queues text[] NOT NULL,
    started_at timestamptz NOT NULL DEFAULT app.now(),
    seen_at timestamptz NOT NULL DEFAULT app.now()
);
