DROP TABLE app.channel_pace;
UPDATE app.outbox SET due_at = app.now() WHERE due_at = 'infinity';
DROP INDEX app.outbox_parked;
DROP TABLE app.send_hold;
ALTER TABLE app.outbox DROP COLUMN campaign_id;
ALTER TABLE app.message DROP COLUMN campaign_id;
