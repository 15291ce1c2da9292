-- Since when each log is kept, by the settings, and before which month its rows are gone. No row: nothing ever went.
CREATE TABLE app.log_keeping (
    log text PRIMARY KEY,
    kept_since timestamptz,
    dropped_before timestamptz
);

-- Whether work under way still needs rows of one log from before a day: a signal that nobody has recognised yet, or a
-- message that still waits in the outbox. Ids begin with the time at which they were made, so one look at the primary
-- key of each queue tells. The caller must see the queues of all workspaces.
CREATE FUNCTION app.is_log_in_use(log text, before date) RETURNS boolean
LANGUAGE sql STABLE
RETURN CASE
    WHEN log IN ('signal', 'signal_outcome') THEN EXISTS (
        SELECT FROM app.signal_due WHERE signal_id < rpad(
            lpad(to_hex((extract(epoch FROM before::timestamp AT TIME ZONE 'UTC') * 1000)::bigint), 12, '0'), 32, '0'
        )::uuid
    )
    WHEN log = 'attempt' THEN EXISTS (
        SELECT FROM app.outbox WHERE message_id < rpad(
            lpad(to_hex((extract(epoch FROM before::timestamp AT TIME ZONE 'UTC') * 1000)::bigint), 12, '0'), 32, '0'
        )::uuid
    )
    ELSE false
END;

-- Drops the oldest month of a log that ends at a day or before it: 'dropped', 'in_use', 'busy' when its readers and
-- writers leave no gap, or 'nothing'. It runs as the owner, whose tables they are, for a loop that sees all queues.
CREATE FUNCTION app.drop_oldest_month(parent text, before date) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = app, pg_catalog, pg_temp
SET lock_timeout = '200ms' AS $$
DECLARE
    child text;
    following date;
BEGIN
    IF parent NOT IN ('event', 'signal', 'signal_outcome', 'attempt', 'run_step') THEN
        RAISE EXCEPTION 'app.% is not partitioned by time', parent;
    END IF;
    IF NOT app.is_queue_loop() THEN
        RAISE EXCEPTION 'only a queue loop sees what the work of all workspaces needs';
    END IF;
    IF before > date_trunc('month', app.now() AT TIME ZONE 'UTC') - interval '1 month' THEN
        RAISE EXCEPTION 'this month and the one before it are always kept';
    END IF;
    SELECT c.relname, to_date(right(c.relname, 7), 'YYYY"m"MM') + interval '1 month' INTO child, following
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = ('app.' || parent)::regclass AND c.relname ~ '_y[0-9]{4}m[0-9]{2}$'
    ORDER BY c.relname LIMIT 1;
    IF child IS NULL OR following > before THEN
        RETURN 'nothing';
    END IF;
    IF app.is_log_in_use(parent, following) THEN
        RETURN 'in_use';
    END IF;
    BEGIN
        -- Of the parent alone: its other months need no lock, and are many.
        EXECUTE format('LOCK TABLE ONLY app.%I IN ACCESS EXCLUSIVE MODE', parent);
        -- Somebody may have asked meanwhile that an old signal is recognised again; from here on nobody can.
        IF app.is_log_in_use(parent, following) THEN
            RAISE EXCEPTION USING ERRCODE = 'lock_not_available';
        END IF;
        EXECUTE format('DROP TABLE app.%I', child);
    EXCEPTION WHEN lock_not_available OR deadlock_detected OR undefined_table THEN
        RETURN 'busy';
    END;
    INSERT INTO app.log_keeping AS l (log, dropped_before) VALUES (parent, following::timestamp AT TIME ZONE 'UTC')
    ON CONFLICT (log) DO UPDATE SET dropped_before = greatest(l.dropped_before, excluded.dropped_before);
    RETURN 'dropped';
END
$$;
