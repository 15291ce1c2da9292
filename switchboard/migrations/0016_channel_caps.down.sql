ALTER TABLE app.workspace DROP COLUMN channel_caps;
