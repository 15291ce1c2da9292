-- no-transaction
-- requires-extension: pg_trgm
-- lock-timeout: 10min
-- statement-timeout: 1h
-- The extension may arrive when there are contacts already, who must not be locked while they are indexed.
-- A build that was broken off leaves an invalid index behind, so it starts over.
DROP INDEX CONCURRENTLY IF EXISTS app.contact_search_typo;
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS contact_search_typo ON app.contact_search USING gin (words gin_trgm_ops);
-- A text that words may nearly be; null unless a transaction looks for one.
CREATE OR REPLACE FUNCTION app.search_typo() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('app.search_typo', true), '');
ALTER POLICY found ON app.contact_search USING (
    workspace_id = app.workspace_id()
    AND (
        array_to_tsvector(string_to_array(words, ' ')) @@ app.search_words()
        OR contact_id = ANY (app.search_ids())
        OR words %> app.search_typo()
    )
);
