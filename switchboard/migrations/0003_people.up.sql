CREATE TABLE app.contact (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    name text NOT NULL DEFAULT '',
    first_name text NOT NULL DEFAULT '',
    last_name text NOT NULL DEFAULT '',
    company text NOT NULL DEFAULT '',
    time_zone text,
    country text,
    locale text,
    fields jsonb NOT NULL DEFAULT '{}',
    name_key text NOT NULL DEFAULT '',
    company_key text NOT NULL DEFAULT '',
    opted_out_at timestamptz,
    merged_into uuid,
    created_at timestamptz NOT NULL DEFAULT app.now(),
    updated_at timestamptz NOT NULL DEFAULT app.now()
) WITH (fillfactor = 85);
CREATE INDEX contact_list ON app.contact (workspace_id, id DESC) WHERE merged_into IS NULL;
CREATE INDEX contact_merged ON app.contact (merged_into) WHERE merged_into IS NOT NULL;
-- Who may be the same person is asked only of those whose names sound alike, or who share company and initials.
CREATE INDEX contact_by_name ON app.contact (workspace_id, name_key) WHERE merged_into IS NULL AND name_key <> '';
CREATE INDEX contact_by_company ON app.contact (workspace_id, company_key) WHERE merged_into IS NULL AND company_key <> '';
ALTER TABLE app.contact ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.contact FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.contact USING (workspace_id = app.workspace_id());

-- What a transaction searches for: words, or the contacts whose row it writes.
CREATE FUNCTION app.search_words() RETURNS tsquery
LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('app.search_words', true), '')::tsquery;

CREATE FUNCTION app.search_ids() RETURNS uuid[]
LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('app.search_ids', true), '')::uuid[];

-- What a contact is found by: lower-case words of letters and digits, one blank between them.
CREATE TABLE app.contact_search (
    contact_id uuid PRIMARY KEY REFERENCES app.contact (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    workspace_id uuid NOT NULL,
    words text NOT NULL
);
CREATE INDEX contact_search_words ON app.contact_search USING gin (array_to_tsvector(string_to_array(words, ' ')));
ALTER TABLE app.contact_search ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.contact_search FORCE ROW LEVEL SECURITY;
-- Postgres keeps text search off an index wherever a row security policy must be checked first, because its operators
-- are not leak-proof. So the search itself is part of the policy: then both are checked by the same index scan.
CREATE POLICY found ON app.contact_search FOR SELECT USING (
    workspace_id = app.workspace_id()
    AND (
        array_to_tsvector(string_to_array(words, ' ')) @@ app.search_words()
        OR contact_id = ANY (app.search_ids())
    )
);
CREATE POLICY added ON app.contact_search FOR INSERT WITH CHECK (workspace_id = app.workspace_id());
CREATE POLICY changed ON app.contact_search FOR UPDATE USING (workspace_id = app.workspace_id());

CREATE TABLE app.identity (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL REFERENCES app.contact (id) DEFERRABLE INITIALLY DEFERRED,
    kind text NOT NULL CHECK (kind IN ('email', 'phone', 'handle')),
    value text NOT NULL,
    raw text NOT NULL,
    is_shared boolean NOT NULL DEFAULT false,
    rank smallint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT app.now()
);
-- One address identifies one contact, unless people are known to share it (a family phone, a front desk).
CREATE UNIQUE INDEX identity_key ON app.identity (workspace_id, kind, value) WHERE NOT is_shared;
CREATE UNIQUE INDEX identity_shared_key ON app.identity (workspace_id, kind, value, contact_id) WHERE is_shared;
CREATE INDEX identity_by_contact ON app.identity (contact_id);
ALTER TABLE app.identity ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.identity FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.identity USING (workspace_id = app.workspace_id());

-- What a person agreed to or refused, with the proof; the newest row of a channel and purpose counts.
CREATE TABLE app.consent (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL REFERENCES app.contact (id) ON DELETE CASCADE,
    channel text NOT NULL,
    purpose text NOT NULL,
    is_granted boolean NOT NULL,
    proof text NOT NULL,
    at timestamptz NOT NULL DEFAULT app.now()
);
CREATE INDEX consent_by_contact ON app.consent (contact_id, channel, purpose, at DESC);
ALTER TABLE app.consent ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.consent FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.consent USING (workspace_id = app.workspace_id());

CREATE TABLE app.merge (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    kept_id uuid NOT NULL REFERENCES app.contact (id) ON DELETE CASCADE,
    lost_id uuid NOT NULL REFERENCES app.contact (id) ON DELETE CASCADE,
    merged_by uuid,
    merged_at timestamptz NOT NULL DEFAULT app.now(),
    undone_at timestamptz,
    moved jsonb NOT NULL
);
CREATE INDEX merge_by_kept ON app.merge (kept_id);
CREATE INDEX merge_by_lost ON app.merge (lost_id);
ALTER TABLE app.merge ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.merge FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.merge USING (workspace_id = app.workspace_id());

CREATE TABLE app.merge_suggestion (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    first_id uuid NOT NULL REFERENCES app.contact (id) ON DELETE CASCADE,
    second_id uuid NOT NULL REFERENCES app.contact (id) ON DELETE CASCADE,
    score smallint NOT NULL CHECK (score BETWEEN 0 AND 100),
    reasons jsonb NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'dismissed', 'merged')),
    created_at timestamptz NOT NULL DEFAULT app.now(),
    UNIQUE (first_id, second_id)
);
CREATE INDEX merge_suggestion_open ON app.merge_suggestion (workspace_id, score DESC, id DESC) WHERE state = 'open';
CREATE INDEX merge_suggestion_second ON app.merge_suggestion (second_id);
ALTER TABLE app.merge_suggestion ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.merge_suggestion FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.merge_suggestion USING (workspace_id = app.workspace_id());

CREATE TABLE app.note (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL REFERENCES app.contact (id) ON DELETE CASCADE,
    author_id uuid NOT NULL,
    body text NOT NULL CHECK (length(body) BETWEEN 1 AND 20000),
    is_call boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT app.now()
);
CREATE INDEX note_by_contact ON app.note (contact_id, id DESC);
ALTER TABLE app.note ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.note FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.note USING (workspace_id = app.workspace_id());
