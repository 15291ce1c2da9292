-- What the migrations build, for reading and comparing. Made by `python -m tools.schema`.

CREATE SCHEMA app;

CREATE OR REPLACE FUNCTION app.drop_oldest_month(parent text, before date)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'app', 'pg_catalog', 'pg_temp'
 SET lock_timeout TO '200ms'
AS $function$
DECLARE
    child text;
    following date;
BEGIN
    IF parent NOT IN ('event', 'signal', 'signal_outcome', 'attempt', 'run_step') THEN
        RAISE EXCEPTION 'app.% is not partitioned by time', parent;
    END IF;
    IF NOT app.is_queue_loop() THEN
        RAISE EXCEPTION 'only a queue loop sees what the work of all workspaces needs';
    END IF;
    IF before > date_trunc('month', app.now() AT TIME ZONE 'UTC') - interval '1 month' THEN
        RAISE EXCEPTION 'this month and the one before it are always kept';
    END IF;
    SELECT c.relname, to_date(right(c.relname, 7), 'YYYY"m"MM') + interval '1 month' INTO child, following
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = ('app.' || parent)::regclass AND c.relname ~ '_y[0-9]{4}m[0-9]{2}$'
    ORDER BY c.relname LIMIT 1;
    IF child IS NULL OR following > before THEN
        RETURN 'nothing';
    END IF;
    IF app.is_log_in_use(parent, following) THEN
        RETURN 'in_use';
    END IF;
    BEGIN
        -- Of the parent alone: its other months need no lock, and are many.
        EXECUTE format('LOCK TABLE ONLY app.%I IN ACCESS EXCLUSIVE MODE', parent);
        -- Somebody may have asked meanwhile that an old signal is recognised again; from here on nobody can.
        IF app.is_log_in_use(parent, following) THEN
            RAISE EXCEPTION USING ERRCODE = 'lock_not_available';
        END IF;
        EXECUTE format('DROP TABLE app.%I', child);
    EXCEPTION WHEN lock_not_available OR deadlock_detected OR undefined_table THEN
        RETURN 'busy';
    END;
    INSERT INTO app.log_keeping AS l (log, dropped_before) VALUES (parent, following::timestamp AT TIME ZONE 'UTC')
    ON CONFLICT (log) DO UPDATE SET dropped_before = greatest(l.dropped_before, excluded.dropped_before);
    RETURN 'dropped';
END
$function$
;

CREATE OR REPLACE FUNCTION app.ensure_partition(parent text, day date)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'app', 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
;

CREATE OR REPLACE FUNCTION app.is_log_in_use(log text, before date)
 RETURNS boolean
 LANGUAGE sql
 STABLE
RETURN CASE WHEN (log = ANY (ARRAY['signal'::text, 'signal_outcome'::text])) THEN (EXISTS (SELECT FROM app.signal_due WHERE (signal_due.signal_id < (rpad(lpad(to_hex(((EXTRACT(epoch FROM ((is_log_in_use.before)::timestamp without time zone AT TIME ZONE 'UTC'::text)) * (1000)::numeric))::bigint), 12, '0'::text), 32, '0'::text))::uuid))) WHEN (log = 'attempt'::text) THEN (EXISTS (SELECT FROM app.outbox WHERE (outbox.message_id < (rpad(lpad(to_hex(((EXTRACT(epoch FROM ((is_log_in_use.before)::timestamp without time zone AT TIME ZONE 'UTC'::text)) * (1000)::numeric))::bigint), 12, '0'::text), 32, '0'::text))::uuid))) ELSE false END
;

CREATE OR REPLACE FUNCTION app.is_queue_loop()
 RETURNS boolean
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN COALESCE((current_setting('app.scope'::text, true) = 'queue'::text), false)
;

CREATE OR REPLACE FUNCTION app.now()
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN now()
;

CREATE OR REPLACE FUNCTION app.renew_furniture()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'app', 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    scope text := coalesce(current_setting('app.scope', true), '');
    changed jsonb := CASE WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
BEGIN
    -- Who changes a person or works for several workspaces has entered none, or another one by now.
    PERFORM set_config('app.scope', 'queue', true);
    IF TG_TABLE_NAME = 'user_account' THEN
        -- A person may be a member of several workspaces, and changes their name seldom.
        PERFORM FROM app.furniture ORDER BY workspace_id FOR UPDATE;
        UPDATE app.furniture SET revision = gen_random_uuid();
    ELSIF TG_TABLE_NAME <> 'workspace' THEN
        UPDATE app.furniture SET revision = gen_random_uuid() WHERE workspace_id = (changed ->> 'workspace_id')::uuid;
    ELSIF TG_OP = 'DELETE' THEN
        DELETE FROM app.furniture WHERE workspace_id = (changed ->> 'id')::uuid;
    ELSE
        INSERT INTO app.furniture (workspace_id) VALUES ((changed ->> 'id')::uuid)
        ON CONFLICT (workspace_id) DO UPDATE SET revision = gen_random_uuid();
    END IF;
    PERFORM set_config('app.scope', scope, true);
    RETURN NULL;
END
$function$
;

CREATE OR REPLACE FUNCTION app.search_ids()
 RETURNS uuid[]
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN (NULLIF(current_setting('app.search_ids'::text, true), ''::text))::uuid[]
;

CREATE OR REPLACE FUNCTION app.search_typo()
 RETURNS text
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN NULLIF(current_setting('app.search_typo'::text, true), ''::text)
;

CREATE OR REPLACE FUNCTION app.search_words()
 RETURNS tsquery
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN (NULLIF(current_setting('app.search_words'::text, true), ''::text))::tsquery
;

CREATE OR REPLACE FUNCTION app.user_id()
 RETURNS uuid
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN (NULLIF(current_setting('app.user_id'::text, true), ''::text))::uuid
;

CREATE OR REPLACE FUNCTION app.uuid7(at timestamp with time zone DEFAULT clock_timestamp())
 RETURNS uuid
 LANGUAGE sql
 PARALLEL SAFE
RETURN (encode(set_bit(set_bit(OVERLAY(uuid_send(gen_random_uuid()) PLACING SUBSTRING(int8send((floor((EXTRACT(epoch FROM at) * (1000)::numeric)))::bigint) FROM 3) FROM 1 FOR 6), (52)::bigint, 1), (53)::bigint, 1), 'hex'::text))::uuid
;

CREATE OR REPLACE FUNCTION app.workspace_id()
 RETURNS uuid
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN (NULLIF(current_setting('app.workspace_id'::text, true), ''::text))::uuid
;

CREATE TABLE app.address_book (
    kind text NOT NULL,
    address text NOT NULL,
    owner_workspace_id uuid NOT NULL,
    target_id uuid
);
ALTER TABLE app.address_book ADD CONSTRAINT address_book_kind_check CHECK ((kind = ANY (ARRAY['intake'::text, 'mail'::text])));
ALTER TABLE app.address_book ADD CONSTRAINT address_book_pkey PRIMARY KEY (kind, address);

CREATE TABLE app.assignment (
    subject_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    subject_kind text NOT NULL,
    contact_id uuid,
    state text NOT NULL,
    owner_id uuid,
    rota_id uuid,
    rule_id uuid,
    hand_ons integer DEFAULT 0 NOT NULL,
    passed_over uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    offered_at timestamp with time zone,
    accept_within interval,
    accept_by timestamp with time zone,
    accepted_at timestamp with time zone,
    waiting_since timestamp with time zone,
    updated_at timestamp with time zone DEFAULT app.now() NOT NULL
) WITH (fillfactor=80);
ALTER TABLE app.assignment ADD CONSTRAINT assignment_pkey PRIMARY KEY (subject_id);
ALTER TABLE app.assignment ADD CONSTRAINT assignment_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'offered'::text, 'accepted'::text, 'released'::text])));
CREATE INDEX assignment_by_contact ON app.assignment USING btree (workspace_id, contact_id, updated_at DESC) WHERE (contact_id IS NOT NULL);
CREATE INDEX assignment_load ON app.assignment USING btree (workspace_id, owner_id) WHERE (state = ANY (ARRAY['offered'::text, 'accepted'::text]));
CREATE INDEX assignment_waiting ON app.assignment USING btree (workspace_id, rota_id, waiting_since, subject_id) WHERE (state = 'waiting'::text);
ALTER TABLE app.assignment ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.assignment FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.assignment AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));
CREATE POLICY waiting ON app.assignment AS PERMISSIVE FOR SELECT TO PUBLIC USING (((state = 'waiting'::text) AND app.is_queue_loop()));

CREATE TABLE app.attachment (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    message_id uuid NOT NULL,
    name text NOT NULL,
    content_type text NOT NULL,
    size_bytes integer NOT NULL,
    content_id text,
    content bytea NOT NULL
);
ALTER TABLE app.attachment ADD CONSTRAINT attachment_message_id_fkey FOREIGN KEY (message_id) REFERENCES app.message(id) ON DELETE CASCADE;
ALTER TABLE app.attachment ADD CONSTRAINT attachment_pkey PRIMARY KEY (id);
CREATE INDEX attachment_by_message ON app.attachment USING btree (message_id);
ALTER TABLE app.attachment ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.attachment FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.attachment AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.attempt (
    message_id uuid NOT NULL,
    token bigint NOT NULL,
    workspace_id uuid NOT NULL,
    started_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone DEFAULT app.now() NOT NULL,
    outcome text NOT NULL,
    response text DEFAULT ''::text NOT NULL
) PARTITION BY RANGE (ended_at);
ALTER TABLE app.attempt ADD CONSTRAINT attempt_pkey PRIMARY KEY (message_id, token, ended_at);
ALTER TABLE app.attempt ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.attempt FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.attempt AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.attempt_default PARTITION OF app.attempt DEFAULT;
ALTER TABLE app.attempt_default ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.attempt_default FORCE ROW LEVEL SECURITY;

CREATE TABLE app.campaign (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    name text NOT NULL,
    title text NOT NULL,
    state text DEFAULT 'draft'::text NOT NULL,
    flow_id uuid NOT NULL,
    audience_kind text NOT NULL,
    audience_id uuid,
    root_id uuid NOT NULL,
    sends_to_missed_of uuid,
    missed_states text[] DEFAULT '{}'::text[] NOT NULL,
    start_kind text DEFAULT 'now'::text NOT NULL,
    start_at timestamp with time zone,
    local_date date,
    local_hour time without time zone,
    when_passed text DEFAULT 'now'::text NOT NULL,
    throttle_per_minute integer,
    priority text DEFAULT 'normal'::text NOT NULL,
    winner_rule text DEFAULT 'none'::text NOT NULL,
    winner_after interval,
    winner_due_at timestamp with time zone,
    winner smallint,
    pause_at_percent smallint DEFAULT 5 NOT NULL,
    seen_sent bigint DEFAULT 0 NOT NULL,
    seen_bad bigint DEFAULT 0 NOT NULL,
    cursor uuid,
    is_taken_in boolean DEFAULT false NOT NULL,
    spread_from timestamp with time zone,
    spread jsonb DEFAULT '{}'::jsonb NOT NULL,
    sweep text,
    sweep_cursor uuid,
    held_since timestamp with time zone,
    pause_reason text,
    started_at timestamp with time zone,
    paused_at timestamp with time zone,
    ended_at timestamp with time zone,
    archived_at timestamp with time zone,
    created_by uuid,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT app.now() NOT NULL
);
ALTER TABLE app.campaign ADD CONSTRAINT campaign_audience_kind_check CHECK ((audience_kind = ANY (ARRAY['segment'::text, 'import'::text, 'everybody'::text, 'missed'::text])));
ALTER TABLE app.campaign ADD CONSTRAINT campaign_pause_at_percent_check CHECK (((pause_at_percent >= 1) AND (pause_at_percent <= 100)));
ALTER TABLE app.campaign ADD CONSTRAINT campaign_pkey PRIMARY KEY (id);
ALTER TABLE app.campaign ADD CONSTRAINT campaign_priority_check CHECK ((priority = ANY (ARRAY['high'::text, 'normal'::text, 'low'::text])));
ALTER TABLE app.campaign ADD CONSTRAINT campaign_start_kind_check CHECK ((start_kind = ANY (ARRAY['now'::text, 'at'::text, 'local_hour'::text])));
ALTER TABLE app.campaign ADD CONSTRAINT campaign_state_check CHECK ((state = ANY (ARRAY['draft'::text, 'scheduled'::text, 'starting'::text, 'running'::text, 'paused'::text, 'finished'::text, 'cancelled'::text])));
ALTER TABLE app.campaign ADD CONSTRAINT campaign_sweep_check CHECK ((sweep = ANY (ARRAY['resume'::text, 'spread'::text, 'cancel'::text])));
ALTER TABLE app.campaign ADD CONSTRAINT campaign_throttle_per_minute_check CHECK ((throttle_per_minute > 0));
ALTER TABLE app.campaign ADD CONSTRAINT campaign_when_passed_check CHECK ((when_passed = ANY (ARRAY['now'::text, 'skip'::text, 'tomorrow'::text])));
ALTER TABLE app.campaign ADD CONSTRAINT campaign_winner_rule_check CHECK ((winner_rule = ANY (ARRAY['none'::text, 'manual'::text, 'answered'::text, 'opt_outs'::text])));
ALTER TABLE app.campaign ADD CONSTRAINT campaign_workspace_id_name_key UNIQUE (workspace_id, name);
CREATE INDEX campaign_by_root ON app.campaign USING btree (workspace_id, root_id);
CREATE INDEX campaign_list ON app.campaign USING btree (workspace_id, id DESC) WHERE (archived_at IS NULL);
ALTER TABLE app.campaign ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.campaign FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.campaign AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.campaign_recipient (
    campaign_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    variant smallint NOT NULL,
    state text NOT NULL,
    reason text,
    run_id uuid,
    message_id uuid,
    due_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT app.now() NOT NULL
) WITH (fillfactor=80, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0);
ALTER TABLE app.campaign_recipient ADD CONSTRAINT campaign_recipient_pkey PRIMARY KEY (campaign_id, contact_id);
ALTER TABLE app.campaign_recipient ADD CONSTRAINT campaign_recipient_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'queued'::text, 'sent'::text, 'answered'::text, 'bounced'::text, 'opted_out'::text, 'held'::text, 'dropped'::text, 'failed'::text, 'in_doubt'::text, 'excluded'::text, 'cancelled'::text])));
CREATE INDEX campaign_recipient_by_state ON app.campaign_recipient USING btree (campaign_id, state, contact_id);
ALTER TABLE app.campaign_recipient ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.campaign_recipient FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.campaign_recipient AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.campaign_tally (
    workspace_id uuid NOT NULL,
    campaign_id uuid NOT NULL,
    variant smallint NOT NULL,
    state text NOT NULL,
    recipients bigint NOT NULL
);
CREATE INDEX campaign_tally_by_state ON app.campaign_tally USING btree (campaign_id, variant, state);
ALTER TABLE app.campaign_tally ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.campaign_tally FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.campaign_tally AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.campaign_variant (
    campaign_id uuid NOT NULL,
    number smallint NOT NULL,
    workspace_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    flow_version integer,
    share_percent smallint NOT NULL
);
ALTER TABLE app.campaign_variant ADD CONSTRAINT campaign_variant_campaign_id_fkey FOREIGN KEY (campaign_id) REFERENCES app.campaign(id) ON DELETE CASCADE;
ALTER TABLE app.campaign_variant ADD CONSTRAINT campaign_variant_number_check CHECK (((number >= 1) AND (number <= 9)));
ALTER TABLE app.campaign_variant ADD CONSTRAINT campaign_variant_pkey PRIMARY KEY (campaign_id, number);
ALTER TABLE app.campaign_variant ADD CONSTRAINT campaign_variant_share_percent_check CHECK (((share_percent >= 1) AND (share_percent <= 100)));
ALTER TABLE app.campaign_variant ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.campaign_variant FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.campaign_variant AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.channel_break (
    channel text NOT NULL,
    began_at timestamp with time zone DEFAULT app.now() NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    failures integer DEFAULT 1 NOT NULL,
    detail text NOT NULL
);
ALTER TABLE app.channel_break ADD CONSTRAINT channel_break_pkey PRIMARY KEY (channel);

CREATE TABLE app.channel_pace (
    channel text NOT NULL,
    tokens double precision NOT NULL,
    filled_at timestamp with time zone DEFAULT app.now() NOT NULL
) WITH (fillfactor=50);
ALTER TABLE app.channel_pace ADD CONSTRAINT channel_pace_pkey PRIMARY KEY (channel);

CREATE TABLE app.consent (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    is_granted boolean NOT NULL,
    proof text NOT NULL,
    at timestamp with time zone DEFAULT app.now() NOT NULL
);
ALTER TABLE app.consent ADD CONSTRAINT consent_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES app.contact(id) ON DELETE CASCADE;
ALTER TABLE app.consent ADD CONSTRAINT consent_pkey PRIMARY KEY (id);
CREATE INDEX consent_by_contact ON app.consent USING btree (contact_id, channel, purpose, at DESC);
ALTER TABLE app.consent ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.consent FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.consent AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.contact (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    first_name text DEFAULT ''::text NOT NULL,
    last_name text DEFAULT ''::text NOT NULL,
    company text DEFAULT ''::text NOT NULL,
    time_zone text,
    country text,
    locale text,
    fields jsonb DEFAULT '{}'::jsonb NOT NULL,
    name_key text DEFAULT ''::text NOT NULL,
    company_key text DEFAULT ''::text NOT NULL,
    opted_out_at timestamp with time zone,
    merged_into uuid,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT app.now() NOT NULL
) WITH (fillfactor=85);
ALTER TABLE app.contact ADD CONSTRAINT contact_pkey PRIMARY KEY (id);
CREATE INDEX contact_by_company ON app.contact USING btree (workspace_id, company_key) WHERE ((merged_into IS NULL) AND (company_key <> ''::text));
CREATE INDEX contact_by_name ON app.contact USING btree (workspace_id, name_key) WHERE ((merged_into IS NULL) AND (name_key <> ''::text));
CREATE INDEX contact_list ON app.contact USING btree (workspace_id, id DESC) WHERE (merged_into IS NULL);
CREATE INDEX contact_merged ON app.contact USING btree (merged_into) WHERE (merged_into IS NOT NULL);
ALTER TABLE app.contact ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.contact FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.contact AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.contact_search (
    contact_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    words text NOT NULL
);
ALTER TABLE app.contact_search ADD CONSTRAINT contact_search_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES app.contact(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE app.contact_search ADD CONSTRAINT contact_search_pkey PRIMARY KEY (contact_id);
CREATE INDEX contact_search_typo ON app.contact_search USING gin (words public.gin_trgm_ops);
CREATE INDEX contact_search_words ON app.contact_search USING gin (array_to_tsvector(string_to_array(words, ' '::text)));
ALTER TABLE app.contact_search ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.contact_search FORCE ROW LEVEL SECURITY;
CREATE POLICY added ON app.contact_search AS PERMISSIVE FOR INSERT TO PUBLIC WITH CHECK ((workspace_id = app.workspace_id()));
CREATE POLICY changed ON app.contact_search AS PERMISSIVE FOR UPDATE TO PUBLIC USING ((workspace_id = app.workspace_id()));
CREATE POLICY found ON app.contact_search AS PERMISSIVE FOR SELECT TO PUBLIC USING (((workspace_id = app.workspace_id()) AND ((array_to_tsvector(string_to_array(words, ' '::text)) @@ app.search_words()) OR (contact_id = ANY (app.search_ids())) OR (words OPERATOR(public.%>) app.search_typo()))));

CREATE TABLE app.contact_tag (
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    tag text NOT NULL,
    added_at timestamp with time zone DEFAULT app.now() NOT NULL
);
ALTER TABLE app.contact_tag ADD CONSTRAINT contact_tag_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES app.contact(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE app.contact_tag ADD CONSTRAINT contact_tag_pkey PRIMARY KEY (workspace_id, tag, contact_id);
ALTER TABLE app.contact_tag ADD CONSTRAINT contact_tag_tag_check CHECK (((length(tag) >= 1) AND (length(tag) <= 60)));
CREATE INDEX contact_tag_by_contact ON app.contact_tag USING btree (contact_id, tag);
ALTER TABLE app.contact_tag ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.contact_tag FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.contact_tag AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.conversation (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    channel text NOT NULL,
    subject text DEFAULT ''::text NOT NULL,
    preview text DEFAULT ''::text NOT NULL,
    state text NOT NULL,
    owner_id uuid,
    lead_id uuid,
    reply_address text DEFAULT ''::text NOT NULL,
    snoozed_until timestamp with time zone,
    waiting_since timestamp with time zone,
    notified_at timestamp with time zone,
    answer_key uuid,
    absorbed_into uuid,
    last_message_at timestamp with time zone DEFAULT app.now() NOT NULL,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL
) WITH (fillfactor=80);
ALTER TABLE app.conversation ADD CONSTRAINT conversation_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES app.contact(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE app.conversation ADD CONSTRAINT conversation_pkey PRIMARY KEY (id);
ALTER TABLE app.conversation ADD CONSTRAINT conversation_state_check CHECK ((state = ANY (ARRAY['open'::text, 'snoozed'::text, 'closed'::text])));
CREATE INDEX conversation_by_contact ON app.conversation USING btree (contact_id);
CREATE INDEX conversation_by_owner ON app.conversation USING btree (workspace_id, owner_id, state, last_message_at DESC, id DESC) WHERE (absorbed_into IS NULL);
CREATE INDEX conversation_list ON app.conversation USING btree (workspace_id, state, last_message_at DESC, id DESC) WHERE (absorbed_into IS NULL);
CREATE UNIQUE INDEX conversation_of_contact ON app.conversation USING btree (workspace_id, contact_id, channel) WHERE (absorbed_into IS NULL);
CREATE INDEX conversation_unowned ON app.conversation USING btree (workspace_id, last_message_at DESC, id DESC) WHERE ((owner_id IS NULL) AND (state = 'open'::text) AND (absorbed_into IS NULL));
CREATE INDEX conversation_waiting ON app.conversation USING btree (workspace_id, waiting_since) WHERE ((waiting_since IS NOT NULL) AND (state = 'open'::text) AND (absorbed_into IS NULL));
ALTER TABLE app.conversation ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.conversation FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.conversation AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.decision (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    at timestamp with time zone DEFAULT app.now() NOT NULL,
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
    note text DEFAULT ''::text NOT NULL,
    candidates jsonb NOT NULL
);
ALTER TABLE app.decision ADD CONSTRAINT decision_pkey PRIMARY KEY (id);
CREATE INDEX decision_by_subject ON app.decision USING btree (subject_id, id DESC);
ALTER TABLE app.decision ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.decision FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.decision AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.draft (
    conversation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    body text NOT NULL,
    saved_at timestamp with time zone DEFAULT app.now() NOT NULL
);
ALTER TABLE app.draft ADD CONSTRAINT draft_body_check CHECK (((length(body) >= 1) AND (length(body) <= 100000)));
ALTER TABLE app.draft ADD CONSTRAINT draft_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES app.conversation(id) ON DELETE CASCADE;
ALTER TABLE app.draft ADD CONSTRAINT draft_pkey PRIMARY KEY (conversation_id, user_id);
ALTER TABLE app.draft ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.draft FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.draft AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.event (
    id uuid DEFAULT app.uuid7() NOT NULL,
    workspace_id uuid NOT NULL,
    at timestamp with time zone DEFAULT app.now() NOT NULL,
    kind text NOT NULL,
    contact_id uuid,
    lead_id uuid,
    subject_id uuid,
    actor_kind text NOT NULL,
    actor_id uuid,
    data jsonb DEFAULT '{}'::jsonb NOT NULL
) PARTITION BY RANGE (at);
ALTER TABLE app.event ADD CONSTRAINT event_pkey PRIMARY KEY (id, at);
CREATE INDEX event_by_contact ON ONLY app.event USING btree (workspace_id, contact_id, id DESC) WHERE (contact_id IS NOT NULL);
ALTER TABLE app.event ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.event FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.event AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.event_default PARTITION OF app.event DEFAULT;
ALTER TABLE app.event_default ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.event_default FORCE ROW LEVEL SECURITY;

CREATE TABLE app.flow (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    name text NOT NULL,
    title text NOT NULL,
    subject_kind text NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    is_active boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT app.now() NOT NULL
);
ALTER TABLE app.flow ADD CONSTRAINT flow_pkey PRIMARY KEY (id);
ALTER TABLE app.flow ADD CONSTRAINT flow_workspace_id_name_key UNIQUE (workspace_id, name);
ALTER TABLE app.flow ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.flow FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.flow AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR DELETE OR UPDATE ON app.flow DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();

CREATE TABLE app.flow_entry (
    flow_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    entered_at timestamp with time zone DEFAULT app.now() NOT NULL
);
ALTER TABLE app.flow_entry ADD CONSTRAINT flow_entry_pkey PRIMARY KEY (flow_id, subject_id);
ALTER TABLE app.flow_entry ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.flow_entry FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.flow_entry AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.flow_tally (
    workspace_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    version integer NOT NULL,
    step integer NOT NULL,
    outcome text NOT NULL,
    day date NOT NULL,
    runs bigint NOT NULL
);
CREATE INDEX flow_tally_by_step ON app.flow_tally USING btree (flow_id, version, step, outcome);
CREATE INDEX flow_tally_whole ON app.flow_tally USING btree (workspace_id, flow_id, day) WHERE (step = '-1'::integer);
ALTER TABLE app.flow_tally ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.flow_tally FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.flow_tally AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.flow_version (
    flow_id uuid NOT NULL,
    version integer NOT NULL,
    workspace_id uuid NOT NULL,
    source text NOT NULL,
    saved_by uuid,
    saved_at timestamp with time zone DEFAULT app.now() NOT NULL
);
ALTER TABLE app.flow_version ADD CONSTRAINT flow_version_flow_id_fkey FOREIGN KEY (flow_id) REFERENCES app.flow(id) ON DELETE CASCADE;
ALTER TABLE app.flow_version ADD CONSTRAINT flow_version_pkey PRIMARY KEY (flow_id, version);
ALTER TABLE app.flow_version ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.flow_version FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.flow_version AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.furniture (
    workspace_id uuid NOT NULL,
    revision uuid DEFAULT gen_random_uuid() NOT NULL
) WITH (fillfactor=50);
ALTER TABLE app.furniture ADD CONSTRAINT furniture_pkey PRIMARY KEY (workspace_id);
ALTER TABLE app.furniture ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.furniture FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.furniture AS PERMISSIVE FOR ALL TO PUBLIC USING (((workspace_id = app.workspace_id()) OR app.is_queue_loop()));

CREATE TABLE app.identity (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    kind text NOT NULL,
    value text NOT NULL,
    raw text NOT NULL,
    is_shared boolean DEFAULT false NOT NULL,
    rank smallint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL
);
ALTER TABLE app.identity ADD CONSTRAINT identity_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES app.contact(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE app.identity ADD CONSTRAINT identity_kind_check CHECK ((kind = ANY (ARRAY['email'::text, 'phone'::text, 'handle'::text])));
ALTER TABLE app.identity ADD CONSTRAINT identity_pkey PRIMARY KEY (id);
CREATE INDEX identity_by_contact ON app.identity USING btree (contact_id);
CREATE UNIQUE INDEX identity_key ON app.identity USING btree (workspace_id, kind, value) WHERE (NOT is_shared);
CREATE UNIQUE INDEX identity_shared_key ON app.identity USING btree (workspace_id, kind, value, contact_id) WHERE is_shared;
ALTER TABLE app.identity ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.identity FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.identity AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.import (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    source_id uuid NOT NULL,
    file_name text NOT NULL,
    size_bytes bigint NOT NULL,
    state text NOT NULL,
    encoding text,
    delimiter text,
    sample jsonb DEFAULT '{}'::jsonb NOT NULL,
    headers_key text,
    columns jsonb DEFAULT '{}'::jsonb NOT NULL,
    rows_total integer,
    rows_read integer DEFAULT 0 NOT NULL,
    is_read boolean DEFAULT false NOT NULL,
    starts_flows boolean DEFAULT false NOT NULL,
    rows_new integer DEFAULT 0 NOT NULL,
    rows_updated integer DEFAULT 0 NOT NULL,
    rows_duplicate integer DEFAULT 0 NOT NULL,
    rows_failed integer DEFAULT 0 NOT NULL,
    detail text,
    created_by uuid,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL,
    finished_at timestamp with time zone
);
ALTER TABLE app.import ADD CONSTRAINT import_pkey PRIMARY KEY (id);
ALTER TABLE app.import ADD CONSTRAINT import_source_id_fkey FOREIGN KEY (source_id) REFERENCES app.source(id) ON DELETE CASCADE;
ALTER TABLE app.import ADD CONSTRAINT import_state_check CHECK ((state = ANY (ARRAY['uploaded'::text, 'ready'::text, 'running'::text, 'done'::text, 'failed'::text, 'cancelled'::text])));
CREATE INDEX import_by_source ON app.import USING btree (source_id, headers_key, id DESC);
CREATE INDEX import_list ON app.import USING btree (workspace_id, id DESC);
ALTER TABLE app.import ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.import FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.import AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.import_chunk (
    import_id uuid NOT NULL,
    number integer NOT NULL,
    workspace_id uuid NOT NULL,
    content bytea NOT NULL
);
ALTER TABLE app.import_chunk ADD CONSTRAINT import_chunk_import_id_fkey FOREIGN KEY (import_id) REFERENCES app.import(id) ON DELETE CASCADE;
ALTER TABLE app.import_chunk ADD CONSTRAINT import_chunk_pkey PRIMARY KEY (import_id, number);
ALTER TABLE app.import_chunk ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.import_chunk FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.import_chunk AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.import_problem (
    import_id uuid NOT NULL,
    row_number integer NOT NULL,
    workspace_id uuid NOT NULL,
    reason text NOT NULL,
    cells jsonb NOT NULL
);
ALTER TABLE app.import_problem ADD CONSTRAINT import_problem_import_id_fkey FOREIGN KEY (import_id) REFERENCES app.import(id) ON DELETE CASCADE;
ALTER TABLE app.import_problem ADD CONSTRAINT import_problem_pkey PRIMARY KEY (import_id, row_number);
ALTER TABLE app.import_problem ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.import_problem FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.import_problem AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.inbound_mail (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    mail_from text NOT NULL,
    recipient text NOT NULL,
    raw bytea NOT NULL,
    header_id text NOT NULL,
    message_id uuid,
    outcome text,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL
);
ALTER TABLE app.inbound_mail ADD CONSTRAINT inbound_mail_outcome_check CHECK ((outcome = ANY (ARRAY['received'::text, 'automatic'::text, 'bounce'::text, 'own_mail'::text, 'duplicate'::text, 'no_sender'::text, 'to_notice'::text])));
ALTER TABLE app.inbound_mail ADD CONSTRAINT inbound_mail_pkey PRIMARY KEY (id);
CREATE INDEX inbound_mail_by_age ON app.inbound_mail USING btree (workspace_id, created_at);
CREATE INDEX inbound_mail_by_message ON app.inbound_mail USING btree (message_id) WHERE (message_id IS NOT NULL);
CREATE UNIQUE INDEX inbound_mail_once ON app.inbound_mail USING btree (workspace_id, header_id, recipient);
ALTER TABLE app.inbound_mail ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.inbound_mail FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.inbound_mail AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.job (
    id uuid DEFAULT app.uuid7() NOT NULL,
    workspace_id uuid NOT NULL,
    kind text NOT NULL,
    key text,
    payload jsonb DEFAULT '{}'::jsonb NOT NULL,
    priority smallint DEFAULT 5 NOT NULL,
    due_at timestamp with time zone DEFAULT app.now() NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    failed_at timestamp with time zone,
    last_error text,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL
) WITH (fillfactor=70, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0);
ALTER TABLE app.job ADD CONSTRAINT job_pkey PRIMARY KEY (id);
CREATE INDEX job_due ON app.job USING btree (priority, due_at) WHERE (failed_at IS NULL);
CREATE UNIQUE INDEX job_key ON app.job USING btree (workspace_id, kind, key) WHERE (key IS NOT NULL);
ALTER TABLE app.job ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.job FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.job AS PERMISSIVE FOR ALL TO PUBLIC USING (((workspace_id = app.workspace_id()) OR app.is_queue_loop()));

CREATE TABLE app.lead (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    source_id uuid NOT NULL,
    stage text NOT NULL,
    title text DEFAULT ''::text NOT NULL,
    value_minor bigint,
    currency text,
    utm jsonb DEFAULT '{}'::jsonb NOT NULL,
    fields jsonb DEFAULT '{}'::jsonb NOT NULL,
    signals integer DEFAULT 1 NOT NULL,
    owner_id uuid,
    is_junk boolean DEFAULT false NOT NULL,
    junk_reason text,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL,
    heard_at timestamp with time zone DEFAULT app.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT app.now() NOT NULL,
    respond_by timestamp with time zone,
    accepted_at timestamp with time zone,
    first_responded_at timestamp with time zone,
    closed_at timestamp with time zone,
    joined_into uuid
) WITH (fillfactor=80);
ALTER TABLE app.lead ADD CONSTRAINT lead_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES app.contact(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE app.lead ADD CONSTRAINT lead_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text));
ALTER TABLE app.lead ADD CONSTRAINT lead_pkey PRIMARY KEY (id);
CREATE INDEX lead_answered ON app.lead USING btree (workspace_id, first_responded_at) INCLUDE (heard_at) WHERE (first_responded_at IS NOT NULL);
CREATE INDEX lead_by_contact ON app.lead USING btree (contact_id, id DESC);
CREATE INDEX lead_by_owner ON app.lead USING btree (workspace_id, owner_id, id DESC);
CREATE INDEX lead_by_source ON app.lead USING btree (workspace_id, source_id, id DESC);
CREATE INDEX lead_by_stage ON app.lead USING btree (workspace_id, stage, id DESC) WHERE (NOT is_junk);
CREATE INDEX lead_closed_list ON app.lead USING btree (workspace_id, id DESC) WHERE ((closed_at IS NOT NULL) AND (NOT is_junk));
CREATE INDEX lead_junk_list ON app.lead USING btree (workspace_id, id DESC) WHERE is_junk;
CREATE INDEX lead_list ON app.lead USING btree (workspace_id, id DESC);
CREATE UNIQUE INDEX lead_open ON app.lead USING btree (workspace_id, contact_id) WHERE (closed_at IS NULL);
CREATE INDEX lead_open_list ON app.lead USING btree (workspace_id, id DESC) WHERE (closed_at IS NULL);
CREATE INDEX lead_unaccepted ON app.lead USING btree (workspace_id, id DESC) WHERE ((accepted_at IS NULL) AND (closed_at IS NULL));
CREATE INDEX lead_unanswered ON app.lead USING btree (workspace_id, respond_by) WHERE ((first_responded_at IS NULL) AND (closed_at IS NULL));
ALTER TABLE app.lead ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.lead FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.lead AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.letter_frame (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    texts text[] NOT NULL,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL
);
ALTER TABLE app.letter_frame ADD CONSTRAINT letter_frame_pkey PRIMARY KEY (workspace_id, id);
ALTER TABLE app.letter_frame ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.letter_frame FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.letter_frame AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.log_keeping (
    log text NOT NULL,
    kept_since timestamp with time zone,
    dropped_before timestamp with time zone
);
ALTER TABLE app.log_keeping ADD CONSTRAINT log_keeping_pkey PRIMARY KEY (log);

CREATE TABLE app.mailbox_mail (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    message_id uuid NOT NULL,
    mail_from text NOT NULL,
    recipient text NOT NULL,
    subject text NOT NULL,
    raw bytea NOT NULL,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL
);
ALTER TABLE app.mailbox_mail ADD CONSTRAINT mailbox_mail_pkey PRIMARY KEY (id);
CREATE INDEX mailbox_mail_list ON app.mailbox_mail USING btree (workspace_id, id DESC);
CREATE UNIQUE INDEX mailbox_mail_once ON app.mailbox_mail USING btree (message_id);
ALTER TABLE app.mailbox_mail ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.mailbox_mail FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.mailbox_mail AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.member (
    workspace_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role text NOT NULL,
    joined_at timestamp with time zone DEFAULT app.now() NOT NULL,
    left_at timestamp with time zone
);
ALTER TABLE app.member ADD CONSTRAINT member_pkey PRIMARY KEY (workspace_id, user_id);
ALTER TABLE app.member ADD CONSTRAINT member_role_check CHECK ((role = ANY (ARRAY['owner'::text, 'admin'::text, 'agent'::text, 'viewer'::text])));
ALTER TABLE app.member ADD CONSTRAINT member_user_id_fkey FOREIGN KEY (user_id) REFERENCES app.user_account(id);
ALTER TABLE app.member ADD CONSTRAINT member_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES app.workspace(id) ON DELETE CASCADE;
CREATE INDEX member_by_user ON app.member USING btree (user_id);
ALTER TABLE app.member ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.member FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON app.member AS PERMISSIVE FOR SELECT TO PUBLIC USING ((user_id = app.user_id()));
CREATE POLICY tenant ON app.member AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR DELETE OR UPDATE ON app.member DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();

CREATE TABLE app.merge (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    kept_id uuid NOT NULL,
    lost_id uuid NOT NULL,
    merged_by uuid,
    merged_at timestamp with time zone DEFAULT app.now() NOT NULL,
    undone_at timestamp with time zone,
    moved jsonb NOT NULL
);
ALTER TABLE app.merge ADD CONSTRAINT merge_kept_id_fkey FOREIGN KEY (kept_id) REFERENCES app.contact(id) ON DELETE CASCADE;
ALTER TABLE app.merge ADD CONSTRAINT merge_lost_id_fkey FOREIGN KEY (lost_id) REFERENCES app.contact(id) ON DELETE CASCADE;
ALTER TABLE app.merge ADD CONSTRAINT merge_pkey PRIMARY KEY (id);
CREATE INDEX merge_by_kept ON app.merge USING btree (kept_id);
CREATE INDEX merge_by_lost ON app.merge USING btree (lost_id);
ALTER TABLE app.merge ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.merge FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.merge AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.merge_suggestion (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    first_id uuid NOT NULL,
    second_id uuid NOT NULL,
    score smallint NOT NULL,
    reasons jsonb NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL
);
ALTER TABLE app.merge_suggestion ADD CONSTRAINT merge_suggestion_first_id_fkey FOREIGN KEY (first_id) REFERENCES app.contact(id) ON DELETE CASCADE;
ALTER TABLE app.merge_suggestion ADD CONSTRAINT merge_suggestion_first_id_second_id_key UNIQUE (first_id, second_id);
ALTER TABLE app.merge_suggestion ADD CONSTRAINT merge_suggestion_pkey PRIMARY KEY (id);
ALTER TABLE app.merge_suggestion ADD CONSTRAINT merge_suggestion_score_check CHECK (((score >= 0) AND (score <= 100)));
ALTER TABLE app.merge_suggestion ADD CONSTRAINT merge_suggestion_second_id_fkey FOREIGN KEY (second_id) REFERENCES app.contact(id) ON DELETE CASCADE;
ALTER TABLE app.merge_suggestion ADD CONSTRAINT merge_suggestion_state_check CHECK ((state = ANY (ARRAY['open'::text, 'dismissed'::text, 'merged'::text])));
CREATE INDEX merge_suggestion_open ON app.merge_suggestion USING btree (workspace_id, score DESC, id DESC) WHERE (state = 'open'::text);
CREATE INDEX merge_suggestion_second ON app.merge_suggestion USING btree (second_id);
ALTER TABLE app.merge_suggestion ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.merge_suggestion FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.merge_suggestion AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.message (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    direction text NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    state text NOT NULL,
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
    subject text DEFAULT ''::text NOT NULL,
    body_text text DEFAULT ''::text NOT NULL,
    body_html text,
    header_id text NOT NULL,
    in_reply_to text,
    reference_ids text[] DEFAULT '{}'::text[] NOT NULL,
    is_urgent boolean DEFAULT false NOT NULL,
    not_after timestamp with time zone,
    when_late text DEFAULT 'skip'::text NOT NULL,
    stop_reason text,
    sent_anyway_by uuid,
    seen_at timestamp with time zone,
    created_by uuid,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL,
    sent_at timestamp with time zone,
    campaign_id uuid,
    frame_id uuid,
    frame_pieces jsonb
) WITH (fillfactor=85);
ALTER TABLE app.message ADD CONSTRAINT message_direction_check CHECK ((direction = ANY (ARRAY['in'::text, 'out'::text])));
ALTER TABLE app.message ADD CONSTRAINT message_pkey PRIMARY KEY (id);
ALTER TABLE app.message ADD CONSTRAINT message_purpose_check CHECK ((purpose = ANY (ARRAY['marketing'::text, 'transactional'::text, 'reply'::text, 'page'::text])));
ALTER TABLE app.message ADD CONSTRAINT message_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'sending'::text, 'sent'::text, 'held'::text, 'dropped'::text, 'failed'::text, 'in_doubt'::text, 'bounced'::text, 'received'::text])));
ALTER TABLE app.message ADD CONSTRAINT message_when_late_check CHECK ((when_late = ANY (ARRAY['skip'::text, 'send'::text])));
CREATE INDEX message_by_contact ON app.message USING btree (workspace_id, contact_id, id DESC) WHERE (contact_id IS NOT NULL);
CREATE UNIQUE INDEX message_header_id ON app.message USING btree (workspace_id, header_id);
CREATE UNIQUE INDEX message_of_step ON app.message USING btree (run_id, run_revision) WHERE (run_id IS NOT NULL);
CREATE INDEX message_sent_to ON app.message USING btree (workspace_id, contact_id, sent_at) WHERE ((direction = 'out'::text) AND (sent_at IS NOT NULL) AND (purpose = 'marketing'::text));
CREATE INDEX message_to_go ON app.message USING btree (workspace_id, contact_id) WHERE ((direction = 'out'::text) AND (state = 'queued'::text) AND (purpose = 'marketing'::text));
CREATE INDEX message_troubled ON app.message USING btree (workspace_id, state, id DESC) WHERE (state = ANY (ARRAY['held'::text, 'dropped'::text, 'failed'::text, 'in_doubt'::text, 'bounced'::text]));
CREATE INDEX message_under_way ON app.message USING btree (workspace_id, contact_id) WHERE ((direction = 'out'::text) AND (state = 'sending'::text) AND (purpose = 'marketing'::text));
ALTER TABLE app.message ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.message FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.message AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.note (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    author_id uuid NOT NULL,
    body text NOT NULL,
    is_call boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL
);
ALTER TABLE app.note ADD CONSTRAINT note_body_check CHECK (((length(body) >= 1) AND (length(body) <= 20000)));
ALTER TABLE app.note ADD CONSTRAINT note_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES app.contact(id) ON DELETE CASCADE;
ALTER TABLE app.note ADD CONSTRAINT note_pkey PRIMARY KEY (id);
CREATE INDEX note_by_contact ON app.note USING btree (contact_id, id DESC);
ALTER TABLE app.note ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.note FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.note AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.outbox (
    message_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    channel text NOT NULL,
    lane smallint NOT NULL,
    due_at timestamp with time zone DEFAULT app.now() NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    token bigint DEFAULT 0 NOT NULL,
    lease_until timestamp with time zone,
    campaign_id uuid
) WITH (fillfactor=70, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0);
ALTER TABLE app.outbox ADD CONSTRAINT outbox_pkey PRIMARY KEY (message_id);
CREATE INDEX outbox_due ON app.outbox USING btree (lane, due_at) WHERE (lease_until IS NULL);
CREATE INDEX outbox_leased ON app.outbox USING btree (lease_until) WHERE (lease_until IS NOT NULL);
CREATE INDEX outbox_parked ON app.outbox USING btree (campaign_id, message_id) WHERE (due_at = 'infinity'::timestamp with time zone);
ALTER TABLE app.outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.outbox FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.outbox AS PERMISSIVE FOR ALL TO PUBLIC USING (((workspace_id = app.workspace_id()) OR app.is_queue_loop()));

CREATE TABLE app.rota (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    name text NOT NULL,
    time_zone text NOT NULL,
    strategy text NOT NULL,
    holiday_country text,
    supervisor_id uuid,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL,
    archived_at timestamp with time zone
);
ALTER TABLE app.rota ADD CONSTRAINT rota_pkey PRIMARY KEY (id);
ALTER TABLE app.rota ADD CONSTRAINT rota_strategy_check CHECK ((strategy = ANY (ARRAY['round_robin'::text, 'weighted'::text, 'least_loaded'::text, 'sticky'::text])));
CREATE UNIQUE INDEX rota_name ON app.rota USING btree (workspace_id, lower(name)) WHERE (archived_at IS NULL);
ALTER TABLE app.rota ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.rota FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.rota AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR DELETE OR UPDATE ON app.rota DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();

CREATE TABLE app.rota_holiday (
    rota_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    day date NOT NULL,
    name text NOT NULL
);
ALTER TABLE app.rota_holiday ADD CONSTRAINT rota_holiday_pkey PRIMARY KEY (rota_id, day);
ALTER TABLE app.rota_holiday ADD CONSTRAINT rota_holiday_rota_id_fkey FOREIGN KEY (rota_id) REFERENCES app.rota(id) ON DELETE CASCADE;
ALTER TABLE app.rota_holiday ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.rota_holiday FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.rota_holiday AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR DELETE OR UPDATE ON app.rota_holiday DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();

CREATE TABLE app.rota_member (
    rota_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    user_id uuid NOT NULL,
    "position" integer NOT NULL,
    weight integer DEFAULT 1 NOT NULL,
    capacity integer,
    assigned bigint DEFAULT 0 NOT NULL,
    last_assigned_at timestamp with time zone,
    last_turn bigint DEFAULT 0 NOT NULL,
    credit bigint DEFAULT 0 NOT NULL
) WITH (fillfactor=50);
ALTER TABLE app.rota_member ADD CONSTRAINT rota_member_capacity_check CHECK ((capacity >= 0));
ALTER TABLE app.rota_member ADD CONSTRAINT rota_member_pkey PRIMARY KEY (rota_id, user_id);
ALTER TABLE app.rota_member ADD CONSTRAINT rota_member_rota_id_fkey FOREIGN KEY (rota_id) REFERENCES app.rota(id) ON DELETE CASCADE;
ALTER TABLE app.rota_member ADD CONSTRAINT rota_member_weight_check CHECK (((weight >= 1) AND (weight <= 100)));
CREATE INDEX rota_member_by_user ON app.rota_member USING btree (workspace_id, user_id);
ALTER TABLE app.rota_member ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.rota_member FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.rota_member AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.rota_override (
    id uuid NOT NULL,
    rota_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    user_id uuid NOT NULL,
    is_on boolean NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    reason text DEFAULT ''::text NOT NULL
);
ALTER TABLE app.rota_override ADD CONSTRAINT rota_override_check CHECK ((starts_at < ends_at));
ALTER TABLE app.rota_override ADD CONSTRAINT rota_override_pkey PRIMARY KEY (id);
ALTER TABLE app.rota_override ADD CONSTRAINT rota_override_rota_id_fkey FOREIGN KEY (rota_id) REFERENCES app.rota(id) ON DELETE CASCADE;
CREATE INDEX rota_override_by_rota ON app.rota_override USING btree (rota_id, ends_at);
ALTER TABLE app.rota_override ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.rota_override FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.rota_override AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR DELETE OR UPDATE ON app.rota_override DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();

CREATE TABLE app.rota_shift (
    id uuid NOT NULL,
    rota_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    user_id uuid NOT NULL,
    weekday smallint NOT NULL,
    starts time without time zone NOT NULL,
    ends time without time zone NOT NULL
);
ALTER TABLE app.rota_shift ADD CONSTRAINT rota_shift_pkey PRIMARY KEY (id);
ALTER TABLE app.rota_shift ADD CONSTRAINT rota_shift_rota_id_fkey FOREIGN KEY (rota_id) REFERENCES app.rota(id) ON DELETE CASCADE;
ALTER TABLE app.rota_shift ADD CONSTRAINT rota_shift_weekday_check CHECK (((weekday >= 1) AND (weekday <= 7)));
CREATE INDEX rota_shift_by_rota ON app.rota_shift USING btree (rota_id);
ALTER TABLE app.rota_shift ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.rota_shift FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.rota_shift AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR DELETE OR UPDATE ON app.rota_shift DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();

CREATE TABLE app.routing_rule (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    "position" integer NOT NULL,
    name text NOT NULL,
    condition text NOT NULL,
    rota_id uuid,
    user_id uuid,
    is_enabled boolean DEFAULT true NOT NULL,
    is_default boolean DEFAULT false NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    updated_at timestamp with time zone DEFAULT app.now() NOT NULL
);
ALTER TABLE app.routing_rule ADD CONSTRAINT routing_rule_check CHECK ((num_nonnulls(rota_id, user_id) = 1));
ALTER TABLE app.routing_rule ADD CONSTRAINT routing_rule_pkey PRIMARY KEY (id);
ALTER TABLE app.routing_rule ADD CONSTRAINT routing_rule_rota_id_fkey FOREIGN KEY (rota_id) REFERENCES app.rota(id);
CREATE INDEX routing_rule_by_rota ON app.routing_rule USING btree (rota_id);
CREATE UNIQUE INDEX routing_rule_default ON app.routing_rule USING btree (workspace_id) WHERE is_default;
CREATE INDEX routing_rule_order ON app.routing_rule USING btree (workspace_id, "position");
ALTER TABLE app.routing_rule ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.routing_rule FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.routing_rule AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR DELETE OR UPDATE ON app.routing_rule DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();

CREATE TABLE app.run (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    version integer NOT NULL,
    subject_kind text NOT NULL,
    subject_id uuid NOT NULL,
    contact_id uuid,
    lead_id uuid,
    step integer DEFAULT 0 NOT NULL,
    revision integer DEFAULT 0 NOT NULL,
    phase text DEFAULT 'ready'::text NOT NULL,
    due_at timestamp with time zone,
    awaits text,
    parked text,
    rounds smallint DEFAULT 0 NOT NULL,
    depth smallint DEFAULT 0 NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    last_error text,
    event_data jsonb DEFAULT '{}'::jsonb NOT NULL,
    started_at timestamp with time zone DEFAULT app.now() NOT NULL,
    campaign_id uuid
) WITH (fillfactor=80, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0);
ALTER TABLE app.run ADD CONSTRAINT run_parked_check CHECK ((parked = ANY (ARRAY['paused'::text, 'merged'::text])));
ALTER TABLE app.run ADD CONSTRAINT run_phase_check CHECK ((phase = ANY (ARRAY['ready'::text, 'waiting'::text, 'woken'::text])));
ALTER TABLE app.run ADD CONSTRAINT run_pkey PRIMARY KEY (id);
CREATE INDEX run_by_contact ON app.run USING btree (workspace_id, contact_id) WHERE (contact_id IS NOT NULL);
CREATE INDEX run_by_step ON app.run USING btree (flow_id, version, step, id);
CREATE UNIQUE INDEX run_by_subject ON app.run USING btree (subject_id, flow_id);
CREATE INDEX run_due_campaign ON app.run USING btree (due_at) WHERE ((due_at IS NOT NULL) AND (parked IS NULL) AND (campaign_id IS NOT NULL));
CREATE INDEX run_due_single ON app.run USING btree (due_at) WHERE ((due_at IS NOT NULL) AND (parked IS NULL) AND (campaign_id IS NULL));
CREATE INDEX run_troubled ON app.run USING btree (workspace_id, id) WHERE (attempts > 0);
ALTER TABLE app.run ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.run FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.run AS PERMISSIVE FOR ALL TO PUBLIC USING (((workspace_id = app.workspace_id()) OR app.is_queue_loop()));

CREATE TABLE app.run_ended (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    flow_id uuid NOT NULL,
    version integer NOT NULL,
    subject_kind text NOT NULL,
    subject_id uuid NOT NULL,
    contact_id uuid,
    lead_id uuid,
    step integer NOT NULL,
    depth smallint DEFAULT 0 NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone DEFAULT app.now() NOT NULL,
    campaign_id uuid
);
ALTER TABLE app.run_ended ADD CONSTRAINT run_ended_outcome_check CHECK ((outcome = ANY (ARRAY['finished'::text, 'stopped'::text, 'failed'::text])));
ALTER TABLE app.run_ended ADD CONSTRAINT run_ended_pkey PRIMARY KEY (id);
CREATE INDEX run_ended_by_contact ON app.run_ended USING btree (workspace_id, contact_id, ended_at DESC) WHERE (contact_id IS NOT NULL);
CREATE INDEX run_ended_by_end ON app.run_ended USING btree (workspace_id, ended_at);
CREATE INDEX run_ended_failed ON app.run_ended USING btree (workspace_id, ended_at DESC) WHERE (outcome = 'failed'::text);
ALTER TABLE app.run_ended ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.run_ended FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.run_ended AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.run_step (
    run_id uuid NOT NULL,
    revision integer NOT NULL,
    workspace_id uuid NOT NULL,
    at timestamp with time zone DEFAULT app.now() NOT NULL,
    step integer NOT NULL,
    outcome text NOT NULL,
    detail text DEFAULT ''::text NOT NULL
) PARTITION BY RANGE (at);
ALTER TABLE app.run_step ADD CONSTRAINT run_step_pkey PRIMARY KEY (run_id, revision, at);
ALTER TABLE app.run_step ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.run_step FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.run_step AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.run_step_default PARTITION OF app.run_step DEFAULT;
ALTER TABLE app.run_step_default ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.run_step_default FORCE ROW LEVEL SECURITY;

CREATE TABLE app.segment (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    name text NOT NULL,
    title text NOT NULL,
    condition text,
    reads text[] DEFAULT '{}'::text[] NOT NULL,
    reads_clock boolean DEFAULT false NOT NULL,
    state text NOT NULL,
    generation integer DEFAULT 1 NOT NULL,
    changed_in xid8 DEFAULT pg_current_xact_id() NOT NULL,
    checked bigint DEFAULT 0 NOT NULL,
    members bigint DEFAULT 0 NOT NULL,
    looked_at timestamp with time zone,
    problem text,
    created_by uuid,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL,
    updated_at timestamp with time zone DEFAULT app.now() NOT NULL,
    archived_at timestamp with time zone
) WITH (fillfactor=80);
ALTER TABLE app.segment ADD CONSTRAINT segment_pkey PRIMARY KEY (id);
ALTER TABLE app.segment ADD CONSTRAINT segment_state_check CHECK ((state = ANY (ARRAY['building'::text, 'live'::text])));
CREATE INDEX segment_list ON app.segment USING btree (workspace_id, id DESC) WHERE (archived_at IS NULL);
CREATE UNIQUE INDEX segment_name ON app.segment USING btree (workspace_id, name) WHERE (archived_at IS NULL);
CREATE INDEX segment_reading ON app.segment USING btree (workspace_id) WHERE ((condition IS NOT NULL) AND (archived_at IS NULL));
ALTER TABLE app.segment ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.segment FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.segment AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR DELETE OR UPDATE OF condition, reads, archived_at ON app.segment DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();

CREATE TABLE app.segment_dirty (
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    noun text NOT NULL,
    is_backfill boolean DEFAULT false NOT NULL,
    at timestamp with time zone DEFAULT app.now() NOT NULL
) WITH (autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0);
CREATE INDEX segment_dirty_due ON app.segment_dirty USING btree (at);
ALTER TABLE app.segment_dirty ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.segment_dirty FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.segment_dirty AS PERMISSIVE FOR ALL TO PUBLIC USING (((workspace_id = app.workspace_id()) OR app.is_queue_loop()));

CREATE TABLE app.segment_member (
    segment_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    added_at timestamp with time zone DEFAULT app.now() NOT NULL,
    is_first boolean DEFAULT false NOT NULL
);
ALTER TABLE app.segment_member ADD CONSTRAINT segment_member_pkey PRIMARY KEY (segment_id, contact_id);
CREATE INDEX segment_member_by_contact ON app.segment_member USING btree (contact_id, segment_id);
CREATE INDEX segment_member_entered ON app.segment_member USING btree (segment_id, added_at DESC, contact_id DESC) WHERE (NOT is_first);
ALTER TABLE app.segment_member ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.segment_member FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.segment_member AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.segment_tally (
    segment_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    members bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0);
CREATE INDEX segment_tally_by_segment ON app.segment_tally USING btree (segment_id);
ALTER TABLE app.segment_tally ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.segment_tally FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.segment_tally AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.send_hold (
    campaign_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    since timestamp with time zone DEFAULT app.now() NOT NULL
);
ALTER TABLE app.send_hold ADD CONSTRAINT send_hold_pkey PRIMARY KEY (campaign_id);
ALTER TABLE app.send_hold ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.send_hold FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.send_hold AS PERMISSIVE FOR ALL TO PUBLIC USING (((workspace_id = app.workspace_id()) OR app.is_queue_loop()));

CREATE TABLE app.session (
    token_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    active_workspace_id uuid NOT NULL,
    csrf_token text NOT NULL,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL,
    seen_at timestamp with time zone DEFAULT app.now() NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
ALTER TABLE app.session ADD CONSTRAINT session_pkey PRIMARY KEY (token_hash);
ALTER TABLE app.session ADD CONSTRAINT session_user_id_fkey FOREIGN KEY (user_id) REFERENCES app.user_account(id) ON DELETE CASCADE;
CREATE INDEX session_by_user ON app.session USING btree (user_id);
CREATE INDEX session_expired ON app.session USING btree (expires_at);

CREATE TABLE app.signal (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    source_id uuid NOT NULL,
    received_at timestamp with time zone DEFAULT app.now() NOT NULL,
    payload json NOT NULL,
    import_id uuid,
    import_row integer
) PARTITION BY RANGE (received_at);
ALTER TABLE app.signal ADD CONSTRAINT signal_pkey PRIMARY KEY (id, received_at);
CREATE INDEX signal_by_source ON ONLY app.signal USING btree (source_id, id DESC);
ALTER TABLE app.signal ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.signal FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.signal AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.signal_default PARTITION OF app.signal DEFAULT;
ALTER TABLE app.signal_default ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.signal_default FORCE ROW LEVEL SECURITY;

CREATE TABLE app.signal_due (
    signal_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    source_id uuid NOT NULL,
    received_at timestamp with time zone NOT NULL,
    due_at timestamp with time zone DEFAULT app.now() NOT NULL,
    import_id uuid,
    import_row integer,
    attempts integer DEFAULT 0 NOT NULL
) WITH (fillfactor=70, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_cost_delay=0);
ALTER TABLE app.signal_due ADD CONSTRAINT signal_due_pkey PRIMARY KEY (signal_id);
CREATE INDEX signal_due_order ON app.signal_due USING btree (((import_id IS NOT NULL)), due_at);
ALTER TABLE app.signal_due ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.signal_due FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.signal_due AS PERMISSIVE FOR ALL TO PUBLIC USING (((workspace_id = app.workspace_id()) OR app.is_queue_loop()));

CREATE TABLE app.signal_key (
    source_id uuid NOT NULL,
    key uuid NOT NULL,
    workspace_id uuid NOT NULL,
    signal_id uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
ALTER TABLE app.signal_key ADD CONSTRAINT signal_key_pkey PRIMARY KEY (source_id, key);
CREATE INDEX signal_key_expired ON app.signal_key USING btree (expires_at);
ALTER TABLE app.signal_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.signal_key FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.signal_key AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.signal_outcome (
    signal_id uuid NOT NULL,
    received_at timestamp with time zone NOT NULL,
    workspace_id uuid NOT NULL,
    source_id uuid NOT NULL,
    at timestamp with time zone DEFAULT app.now() NOT NULL,
    outcome text NOT NULL,
    contact_id uuid,
    lead_id uuid,
    problems jsonb DEFAULT '[]'::jsonb NOT NULL
) PARTITION BY RANGE (received_at);
ALTER TABLE app.signal_outcome ADD CONSTRAINT signal_outcome_outcome_check CHECK ((outcome = ANY (ARRAY['opened'::text, 'joined'::text, 'junk'::text, 'test'::text, 'failed'::text])));
ALTER TABLE app.signal_outcome ADD CONSTRAINT signal_outcome_pkey PRIMARY KEY (signal_id, received_at, at);
CREATE INDEX signal_outcome_by_lead ON ONLY app.signal_outcome USING btree (lead_id) WHERE (lead_id IS NOT NULL);
CREATE INDEX signal_outcome_failed ON ONLY app.signal_outcome USING btree (source_id, at DESC) WHERE (outcome = 'failed'::text);
ALTER TABLE app.signal_outcome ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.signal_outcome FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.signal_outcome AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.signal_outcome_default PARTITION OF app.signal_outcome DEFAULT;
ALTER TABLE app.signal_outcome_default ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.signal_outcome_default FORCE ROW LEVEL SECURITY;

CREATE TABLE app.source (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    name text NOT NULL,
    format text NOT NULL,
    token text NOT NULL,
    signing_secret text,
    mapping jsonb DEFAULT '{}'::jsonb NOT NULL,
    mapping_version integer DEFAULT 1 NOT NULL,
    settings jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL,
    paused_at timestamp with time zone
);
ALTER TABLE app.source ADD CONSTRAINT source_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX source_name ON app.source USING btree (workspace_id, lower(name));
CREATE UNIQUE INDEX source_token ON app.source USING btree (token);
ALTER TABLE app.source ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.source FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.source AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR DELETE OR UPDATE ON app.source DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();

CREATE TABLE app.stage (
    workspace_id uuid NOT NULL,
    key text NOT NULL,
    title text NOT NULL,
    "position" integer NOT NULL,
    kind text NOT NULL
);
ALTER TABLE app.stage ADD CONSTRAINT stage_kind_check CHECK ((kind = ANY (ARRAY['open'::text, 'won'::text, 'lost'::text])));
ALTER TABLE app.stage ADD CONSTRAINT stage_pkey PRIMARY KEY (workspace_id, key);
ALTER TABLE app.stage ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.stage FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.stage AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR DELETE OR UPDATE ON app.stage DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();

CREATE TABLE app.suppression (
    workspace_id uuid NOT NULL,
    kind text NOT NULL,
    value text NOT NULL,
    reason text NOT NULL,
    message_id uuid,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL
);
ALTER TABLE app.suppression ADD CONSTRAINT suppression_pkey PRIMARY KEY (workspace_id, kind, value);
ALTER TABLE app.suppression ADD CONSTRAINT suppression_reason_check CHECK ((reason = ANY (ARRAY['unsubscribed'::text, 'bounced'::text, 'complained'::text, 'manual'::text])));
CREATE INDEX suppression_list ON app.suppression USING btree (workspace_id, created_at DESC, value DESC);
ALTER TABLE app.suppression ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.suppression FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.suppression AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.template (
    id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    name text NOT NULL,
    title text DEFAULT ''::text NOT NULL,
    channel text DEFAULT 'email'::text NOT NULL,
    purpose text NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL,
    archived_at timestamp with time zone
);
ALTER TABLE app.template ADD CONSTRAINT template_pkey PRIMARY KEY (id);
ALTER TABLE app.template ADD CONSTRAINT template_purpose_check CHECK ((purpose = ANY (ARRAY['marketing'::text, 'transactional'::text])));
CREATE UNIQUE INDEX template_name ON app.template USING btree (workspace_id, name) WHERE (archived_at IS NULL);
ALTER TABLE app.template ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.template FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.template AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR DELETE OR UPDATE ON app.template DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();

CREATE TABLE app.template_version (
    template_id uuid NOT NULL,
    version integer NOT NULL,
    workspace_id uuid NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    saved_by uuid,
    saved_at timestamp with time zone DEFAULT app.now() NOT NULL
);
ALTER TABLE app.template_version ADD CONSTRAINT template_version_pkey PRIMARY KEY (template_id, version);
ALTER TABLE app.template_version ADD CONSTRAINT template_version_template_id_fkey FOREIGN KEY (template_id) REFERENCES app.template(id) ON DELETE CASCADE;
ALTER TABLE app.template_version ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.template_version FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.template_version AS PERMISSIVE FOR ALL TO PUBLIC USING ((workspace_id = app.workspace_id()));

CREATE TABLE app.throttle (
    key text NOT NULL,
    full_again_at timestamp with time zone NOT NULL
);
ALTER TABLE app.throttle ADD CONSTRAINT throttle_pkey PRIMARY KEY (key);
CREATE INDEX throttle_stale ON app.throttle USING btree (full_again_at);

CREATE TABLE app.user_account (
    id uuid NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL,
    disabled_at timestamp with time zone
);
ALTER TABLE app.user_account ADD CONSTRAINT user_account_email_key UNIQUE (email);
ALTER TABLE app.user_account ADD CONSTRAINT user_account_pkey PRIMARY KEY (id);
CREATE CONSTRAINT TRIGGER furniture AFTER DELETE OR UPDATE OF email, name, disabled_at ON app.user_account DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();

CREATE TABLE app.worker (
    id uuid NOT NULL,
    queues text[] NOT NULL,
    started_at timestamp with time zone DEFAULT app.now() NOT NULL,
    seen_at timestamp with time zone DEFAULT app.now() NOT NULL
);
ALTER TABLE app.worker ADD CONSTRAINT worker_pkey PRIMARY KEY (id);

CREATE TABLE app.workspace (
    id uuid NOT NULL,
    name text NOT NULL,
    time_zone text DEFAULT 'UTC'::text NOT NULL,
    default_region text DEFAULT 'US'::text NOT NULL,
    mail_from text NOT NULL,
    first_response_minutes integer DEFAULT 15 NOT NULL,
    quiet_start time without time zone DEFAULT '21:00:00'::time without time zone NOT NULL,
    quiet_end time without time zone DEFAULT '08:00:00'::time without time zone NOT NULL,
    cap_messages integer DEFAULT 3 NOT NULL,
    cap_days integer DEFAULT 7 NOT NULL,
    is_consent_required boolean DEFAULT false NOT NULL,
    supervisor_id uuid,
    created_at timestamp with time zone DEFAULT app.now() NOT NULL,
    channel_caps jsonb DEFAULT '{}'::jsonb NOT NULL
);
ALTER TABLE app.workspace ADD CONSTRAINT workspace_pkey PRIMARY KEY (id);
ALTER TABLE app.workspace ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.workspace FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.workspace AS PERMISSIVE FOR ALL TO PUBLIC USING ((id = app.workspace_id()));
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR DELETE OR UPDATE ON app.workspace DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();
