-- People as years of work leave them, set by set: who they are, their lead, their conversation, messages and history.
-- Parameters: workspace, source, first and last number, begin and end of all numbers, oldest and newest (how many days
-- ago the first and the last of all came), messages for each.
-- One statement, so that it needs no names of its own for what it makes on the way.
WITH person AS MATERIALIZED (
    SELECT n, at, app.uuid7(at) AS contact_id, app.uuid7(at) AS lead_id, app.uuid7(at) AS conversation_id,
        firsts.name AS first_name, lasts.name || syllables.text AS last_name,
        'person' || n || '@bench.example' AS email, '+1' || (4150000000 + n) AS phone,
        'Company ' || n %% 20000 AS company,
        CASE WHEN n %% 10 < 6 THEN (ARRAY['won', 'lost'])[1 + n %% 2]
             ELSE (ARRAY['new', 'contacted', 'qualified', 'proposal'])[1 + n %% 4] END AS stage,
        n %% 10 < 6 AS is_closed, n %% 200 = 7 AS is_unanswered, n %% 4 = 0 AS has_conversation,
        owners.ids[1 + n %% cardinality(owners.ids)] AS owner_id
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n,
        LATERAL (SELECT now() - interval '1 day' * (%(oldest)s - (%(oldest)s - %(newest)s)
            * (n - %(begin)s) / (1.0 + %(end)s - %(begin)s))) AS moment (at),
        LATERAL (SELECT (ARRAY['Amelia', 'Noah', 'Leila', 'Mateo', 'Yuki', 'Priya', 'Lukas', 'Zofia', 'Omar',
            'Ingrid'])[1 + n %% 10]) AS firsts (name),
        LATERAL (SELECT (ARRAY['Bennett', 'Nakamura', 'Okafor', 'Schmidt', 'Haddad', 'Sharma', 'Dubois', 'Mensah',
            'Tanaka', 'Varga'])[1 + n / 10 %% 10]) AS lasts (name),
        LATERAL (SELECT CASE WHEN n %% 7 = 0 THEN '' ELSE chr((97 + n / 100 %% 26)::integer)
            || chr((97 + n / 2600 %% 26)::integer) || 'son' END) AS syllables (text),
        (SELECT array_agg(user_id) FROM app.member WHERE workspace_id = %(workspace)s) AS owners (ids)
), contacts AS (
    INSERT INTO app.contact (id, workspace_id, name, first_name, last_name, company, name_key, company_key, created_at,
                             updated_at)
    SELECT contact_id, %(workspace)s, first_name || ' ' || last_name, first_name, last_name, company,
        lower(last_name) || ' ' || lower(first_name), lower(company) || '|' || n %% 100, at, at
    FROM person
), words AS (
    INSERT INTO app.contact_search (contact_id, workspace_id, words)
    SELECT contact_id, %(workspace)s, lower(concat_ws(' ', first_name, last_name, company, 'person' || n,
        'bench example', substr(phone, 2), substr(phone, 3))) FROM person
), addresses AS (
    INSERT INTO app.identity (id, workspace_id, contact_id, kind, value, raw, created_at)
    SELECT app.uuid7(at), %(workspace)s, contact_id, kind, value, value, at
    FROM person, LATERAL (VALUES ('email', email), ('phone', phone)) AS address (kind, value)
), leads AS (
    INSERT INTO app.lead (id, workspace_id, contact_id, source_id, stage, title, owner_id, created_at, heard_at,
                          updated_at, respond_by, accepted_at, first_responded_at, closed_at)
    SELECT lead_id, %(workspace)s, contact_id, %(source)s, stage, 'I would like ' || n %% 90 || ' seats', owner_id, at, at,
        at, at + interval '15 minutes',
        CASE WHEN is_closed OR NOT is_unanswered THEN at + interval '3 minutes' END,
        CASE WHEN is_closed OR NOT is_unanswered THEN at + interval '9 minutes' END,
        CASE WHEN is_closed THEN at + interval '1 hour' END
    FROM person
), assignments AS (
    INSERT INTO app.assignment (subject_id, workspace_id, subject_kind, contact_id, state, owner_id, offered_at,
                                accepted_at, updated_at)
    SELECT lead_id, %(workspace)s, 'lead', contact_id, CASE WHEN is_closed THEN 'released' ELSE 'accepted' END, owner_id,
        at, at, at
    FROM person
), conversations AS (
    INSERT INTO app.conversation (id, workspace_id, contact_id, channel, subject, preview, state, owner_id, lead_id,
                                  last_message_at, created_at)
    SELECT conversation_id, %(workspace)s, contact_id, 'email', 'Your quote', 'Thank you, that helps.',
        CASE WHEN n %% 40 = 0 THEN 'open' ELSE 'closed' END, owner_id, lead_id, at, at
    FROM person WHERE has_conversation
), messages AS (
    INSERT INTO app.message (id, workspace_id, direction, channel, purpose, state, contact_id, lead_id, conversation_id,
                             address, subject, body_text, header_id, created_at, sent_at)
    SELECT app.uuid7(at), %(workspace)s, CASE WHEN m = 1 THEN 'in' ELSE 'out' END, 'email', 'transactional',
        CASE WHEN m = 1 THEN 'received' ELSE 'sent' END, contact_id, lead_id,
        CASE WHEN has_conversation THEN conversation_id END, email, 'Your quote',
        repeat('Thank you for asking. ', 10), '<' || n || '.' || m || '@bench.example>', at, at
    FROM person, generate_series(1, %(messages)s) AS m
)
INSERT INTO app.event (id, workspace_id, at, kind, contact_id, lead_id, subject_id, actor_kind)
SELECT app.uuid7(at), %(workspace)s, at, kind, contact_id, lead_id, lead_id, 'system'
FROM person, LATERAL (VALUES ('lead.created'), ('lead.accepted')) AS history (kind)
