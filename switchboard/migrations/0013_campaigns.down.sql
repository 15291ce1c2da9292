DROP TABLE app.campaign_tally;
DROP TABLE app.campaign_recipient;
DROP TABLE app.campaign_variant;
DROP TABLE app.campaign;
ALTER TABLE app.run_ended DROP COLUMN campaign_id;
ALTER TABLE app.run DROP COLUMN campaign_id;
