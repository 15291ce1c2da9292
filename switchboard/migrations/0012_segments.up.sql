-- Words that members, files and flows put on people.
CREATE TABLE app.contact_tag (
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL REFERENCES app.contact (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    tag text NOT NULL CHECK (length(tag) BETWEEN 1 AND 60),
    added_at timestamptz NOT NULL DEFAULT app.now(),
    PRIMARY KEY (workspace_id, tag, contact_id)
);
CREATE INDEX contact_tag_by_contact ON app.contact_tag (contact_id, tag);
ALTER TABLE app.contact_tag ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.contact_tag FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.contact_tag USING (workspace_id = app.workspace_id());

-- A named set of contacts: those who meet a condition, or, without one, a list that is kept by hand.
-- reads: the nouns of the events after which a contact may belong or not; reads_clock: time alone may change it, too.
-- problem: why the condition cannot be asked; nobody enters or leaves until it is changed.
-- changed_in: the transaction that wrote the condition. Whoever began before it ended did not know of the condition.
CREATE TABLE app.segment (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    name text NOT NULL,
    title text NOT NULL,
    condition text,
    reads text[] NOT NULL DEFAULT '{}',
    reads_clock boolean NOT NULL DEFAULT false,
    state text NOT NULL CHECK (state IN ('building', 'live')),
    generation integer NOT NULL DEFAULT 1,
    changed_in xid8 NOT NULL DEFAULT pg_current_xact_id(),
    checked bigint NOT NULL DEFAULT 0,
    members bigint NOT NULL DEFAULT 0,
    looked_at timestamptz,
    problem text,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT app.now(),
    updated_at timestamptz NOT NULL DEFAULT app.now(),
    archived_at timestamptz
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX segment_name ON app.segment (workspace_id, name) WHERE archived_at IS NULL;
CREATE INDEX segment_list ON app.segment (workspace_id, id DESC) WHERE archived_at IS NULL;
CREATE INDEX segment_reading ON app.segment (workspace_id) WHERE condition IS NOT NULL AND archived_at IS NULL;
ALTER TABLE app.segment ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.segment FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.segment USING (workspace_id = app.workspace_id());

-- is_first: there since the segment was filled, so nobody has entered it.
CREATE TABLE app.segment_member (
    segment_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    added_at timestamptz NOT NULL DEFAULT app.now(),
    is_first boolean NOT NULL DEFAULT false,
    PRIMARY KEY (segment_id, contact_id)
);
CREATE INDEX segment_member_by_contact ON app.segment_member (contact_id, segment_id);
CREATE INDEX segment_member_entered ON app.segment_member (segment_id, added_at DESC, contact_id DESC)
    WHERE NOT is_first;
ALTER TABLE app.segment_member ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.segment_member FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.segment_member USING (workspace_id = app.workspace_id());

-- By how many a segment grew or shrank, so that its size is never counted. Rows are only added, and folded into
-- segment.members now and then: writers never wait for each other.
CREATE TABLE app.segment_tally (
    segment_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    members bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX segment_tally_by_segment ON app.segment_tally (segment_id);
ALTER TABLE app.segment_tally ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.segment_tally FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.segment_tally USING (workspace_id = app.workspace_id());

-- Contacts with whom something happened that a segment reads. There is no key: a row is added by each change, so that
-- nobody waits for the loop that takes rows away, and no change hides behind one that is being looked at.
CREATE TABLE app.segment_dirty (
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    noun text NOT NULL,
    is_backfill boolean NOT NULL DEFAULT false,
    at timestamptz NOT NULL DEFAULT app.now()
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX segment_dirty_due ON app.segment_dirty (at);
ALTER TABLE app.segment_dirty ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.segment_dirty FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.segment_dirty USING (workspace_id = app.workspace_id() OR app.is_queue_loop());
