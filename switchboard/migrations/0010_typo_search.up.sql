-- no-transaction
-- requires-extension: pg_trgm
-- lock-timeout: 10min
-- statement-timeout: 1h
-- The extension may arrive when there are contacts already, who must not be locked while they are indexed.
-- A build that was broken off leaves an invalid index behind, so it starts over.
DROP INDEX CONCURRENTLY IF EXISTS app.contact_search_typo;
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS contact_search_typo ON app.contact USING gin (search_text gin_trgm_ops);
