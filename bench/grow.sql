-- What else lies in the hot tables of a large workspace: old signals with their keys, sleeping runs, and messages that
-- wait for their time. Keys are spread as evenly as digests are, in an order in which they are quickly entered.
-- Parameters: workspace, source, flow, first and last number, and how many there will be in all.
WITH numbers AS MATERIALIZED (
    SELECT n, app.uuid7() AS id, gen_random_uuid() AS stranger_id, (lpad(to_hex(
        (-9223372036854775808 + (n - 1) * (18446744073709551615 / %(size)s::numeric))::bigint), 16, '0')
        || left(md5(n::text), 16))::uuid AS key
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
), signals AS (
    INSERT INTO app.signal (id, workspace_id, source_id, payload)
    SELECT id, %(workspace)s, %(source)s, json_build_object('email', 'person' || n || '@bench.example') FROM numbers
), keys AS (
    INSERT INTO app.signal_key (source_id, key, workspace_id, signal_id, expires_at)
    SELECT %(source)s, key, %(workspace)s, id, now() + interval '2 days' FROM numbers
), runs AS (
    INSERT INTO app.run (id, workspace_id, flow_id, version, subject_kind, subject_id, contact_id, phase, due_at)
    SELECT id, %(workspace)s, %(flow)s, 1, 'contact', stranger_id, stranger_id, 'waiting',
        now() + interval '1 day' * (1 + n %% 7)
    FROM numbers
)
INSERT INTO app.outbox (message_id, workspace_id, channel, lane, due_at)
SELECT id, %(workspace)s, 'email', 5, now() + interval '1 day' * (1 + n %% 7) FROM numbers
