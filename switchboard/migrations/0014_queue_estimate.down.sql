CREATE OR REPLACE FUNCTION app.is_queue_loop() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(current_setting('app.scope', true), '') = 'queue';
