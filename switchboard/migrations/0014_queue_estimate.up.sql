-- As before, in words of which Postgres thinks that they hold for every second row, and no longer for one in 200: it
-- used to expect so few rows behind the policies of queues that it read a whole table rather than walk the due index.
CREATE OR REPLACE FUNCTION app.is_queue_loop() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(current_setting('app.scope', true) = 'queue', false);
