DROP TABLE app.note;
DROP TABLE app.merge_suggestion;
DROP TABLE app.merge;
DROP TABLE app.consent;
DROP TABLE app.identity;
DROP TABLE app.contact;
