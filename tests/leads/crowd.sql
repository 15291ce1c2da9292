-- Fills the workspace %(workspace)s with leads of as many contacts: 60 in 100 open, 30 closed, 10 junk; few unanswered.
WITH person AS (
    SELECT n, app.uuid7(app.now() - n * interval '3 minutes') AS id FROM generate_series(1, %(leads)s) AS n
), made AS (
    INSERT INTO app.contact (id, workspace_id, name)
    SELECT id, %(workspace)s, 'Person ' || n FROM person
)
INSERT INTO app.lead (id, workspace_id, contact_id, source_id, stage, title, value_minor, currency, owner_id, is_junk,
    junk_reason, created_at, respond_by, accepted_at, first_responded_at, closed_at)
SELECT app.uuid7(app.now() - n * interval '3 minutes'), %(workspace)s, id, (%(sources)s::uuid[])[1 + n %% 3],
    CASE WHEN n %% 10 < 7 THEN (ARRAY['new', 'contacted', 'qualified', 'proposal'])[1 + n %% 4]
         ELSE (ARRAY['won', 'lost'])[1 + n %% 2] END,
    'Wants thing ' || n, n * 100, 'EUR',
    CASE WHEN n %% 5 > 0 THEN (%(members)s::uuid[])[1 + n %% 3] END,
    n %% 10 = 6, CASE WHEN n %% 10 = 6 THEN 'Spam' END,
    app.now() - n * interval '3 minutes', app.now() - n * interval '3 minutes' + 15 * interval '1 minute',
    CASE WHEN n %% 5 > 0 THEN app.now() - n * interval '3 minutes' + 5 * interval '1 minute' END,
    CASE WHEN n %% 50 > 0 THEN app.now() - n * interval '3 minutes' + 10 * interval '1 minute' END,
    CASE WHEN n %% 10 >= 6 THEN app.now() - n * interval '3 minutes' + 12 * interval '1 minute' END
FROM person
