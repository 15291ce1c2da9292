DROP TABLE app.lead;
DROP TABLE app.stage;
