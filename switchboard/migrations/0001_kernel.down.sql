DROP TABLE app.throttle;
DROP TABLE app.job;
DROP TABLE app.event;
DROP FUNCTION app.ensure_partition(text, date);
DROP FUNCTION app.uuid7(timestamptz);
DROP FUNCTION app.is_queue_loop();
DROP FUNCTION app.user_id();
DROP FUNCTION app.workspace_id();
DROP FUNCTION app.now();
