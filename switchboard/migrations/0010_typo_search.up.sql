-- requires-extension: pg_trgm
CREATE INDEX contact_search_typo ON app.contact USING gin (search_text gin_trgm_ops);
