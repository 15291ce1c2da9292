DROP INDEX app.contact_search_typo;
