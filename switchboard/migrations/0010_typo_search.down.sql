ALTER POLICY found ON app.contact_search USING (
    workspace_id = app.workspace_id()
    AND (
        array_to_tsvector(string_to_array(words, ' ')) @@ app.search_words()
        OR contact_id = ANY (app.search_ids())
    )
);
DROP FUNCTION app.search_typo();
DROP INDEX app.contact_search_typo;
