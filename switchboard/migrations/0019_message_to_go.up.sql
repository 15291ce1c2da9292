-- no-transaction
-- lock-timeout: 10min
-- statement-timeout: 1h
-- What is going out of a contact's advertising counts against the frequency cap: the few messages that are still to go,
-- of which the outbox knows whether they are taken. A build that was broken off leaves an invalid index behind, so it
-- starts over.
DROP INDEX CONCURRENTLY IF EXISTS app.message_to_go;
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS message_to_go ON app.message (workspace_id, contact_id)
    WHERE direction = 'out' AND state = 'queued' AND purpose = 'marketing';
