DROP TABLE app.import_problem;
DROP TABLE app.import_chunk;
DROP TABLE app.import;
DROP TABLE app.signal_outcome;
DROP TABLE app.signal_due;
DROP TABLE app.signal_key;
DROP TABLE app.signal;
DROP TABLE app.source;
