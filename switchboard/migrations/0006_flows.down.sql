DROP TABLE app.flow_tally;
DROP TABLE app.run_step;
DROP TABLE app.flow_entry;
DROP TABLE app.run_ended;
DROP TABLE app.run;
DROP TABLE app.flow_version;
DROP TABLE app.flow;
