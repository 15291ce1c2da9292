-- Whose campaign a message belongs to; null for flows, answers and pages.
ALTER TABLE app.message ADD COLUMN IF NOT EXISTS campaign_id uuid;
ALTER TABLE app.outbox ADD COLUMN IF NOT EXISTS campaign_id uuid;

-- A campaign whose messages must not go out. What is claimed of it is parked: due at infinity, so never looked at again.
CREATE TABLE app.send_hold (
    campaign_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    since timestamptz NOT NULL DEFAULT app.now()
);
ALTER TABLE app.send_hold ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.send_hold FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.send_hold USING (workspace_id = app.workspace_id() OR app.is_queue_loop());

-- Only parked rows, of which there are none yet: the build reads what waits in the outbox once.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX outbox_parked ON app.outbox (campaign_id, message_id) WHERE due_at = 'infinity';

-- How much of its provider's rate a channel has left: one row a channel that has a rate, filled up as time goes by.
CREATE TABLE app.channel_pace (
    channel text PRIMARY KEY,
    tokens double precision NOT NULL,
    filled_at timestamptz NOT NULL DEFAULT app.now()
) WITH (fillfactor = 50);
