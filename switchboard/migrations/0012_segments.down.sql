DROP TABLE app.segment_dirty;
DROP TABLE app.segment_tally;
DROP TABLE app.segment_member;
DROP TABLE app.segment;
DROP TABLE app.contact_tag;
