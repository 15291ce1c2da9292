-- The most marketing messages to one contact over single channels, as {"email": {"messages": 1, "days": 1}}; the cap
-- over all of them stands in cap_messages and cap_days.
ALTER TABLE app.workspace ADD COLUMN channel_caps jsonb NOT NULL DEFAULT '{}';
