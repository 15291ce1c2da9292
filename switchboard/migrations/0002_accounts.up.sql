CREATE TABLE app.workspace (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    time_zone text NOT NULL DEFAULT 'UTC',
    default_region text NOT NULL DEFAULT 'US',
    mail_from text NOT NULL,
    first_response_minutes integer NOT NULL DEFAULT 15,
    quiet_start time NOT NULL DEFAULT '21:00',
    quiet_end time NOT NULL DEFAULT '08:00',
    cap_messages integer NOT NULL DEFAULT 3,
    cap_days integer NOT NULL DEFAULT 7,
    is_consent_required boolean NOT NULL DEFAULT false,
    supervisor_id uuid,
    created_at timestamptz NOT NULL DEFAULT app.now()
);
ALTER TABLE app.workspace ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.workspace FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.workspace USING (id = app.workspace_id());

-- Users stand outside the workspaces: one person may be a member of several.
CREATE TABLE app.user_account (
    id uuid PRIMARY KEY,
    email text NOT NULL UNIQUE,
    name text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app.now(),
    disabled_at timestamptz
);

CREATE TABLE app.member (
    workspace_id uuid NOT NULL REFERENCES app.workspace (id) ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES app.user_account (id),
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'agent', 'viewer')),
    joined_at timestamptz NOT NULL DEFAULT app.now(),
    left_at timestamptz,
    PRIMARY KEY (workspace_id, user_id)
);
CREATE INDEX member_by_user ON app.member (user_id);
ALTER TABLE app.member ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.member FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.member USING (workspace_id = app.workspace_id());
CREATE POLICY own ON app.member FOR SELECT USING (user_id = app.user_id());

-- Looked up by the hash of the cookie before any workspace is known, so it stands outside row security.
CREATE TABLE app.session (
    token_hash bytea PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES app.user_account (id) ON DELETE CASCADE,
    active_workspace_id uuid NOT NULL,
    csrf_token text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT app.now(),
    seen_at timestamptz NOT NULL DEFAULT app.now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX session_expired ON app.session (expires_at);
CREATE INDEX session_by_user ON app.session (user_id);

-- Which workspace a public address belongs to: intake tokens and mail addresses, hashed or not personal.
CREATE TABLE app.address_book (
    kind text NOT NULL CHECK (kind IN ('intake', 'mail')),
    address text NOT NULL,
    owner_workspace_id uuid NOT NULL,
    target_id uuid,
    PRIMARY KEY (kind, address)
);
