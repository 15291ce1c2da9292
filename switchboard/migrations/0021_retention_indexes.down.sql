-- no-transaction
DROP INDEX CONCURRENTLY IF EXISTS app.run_ended_by_end;
DROP INDEX CONCURRENTLY IF EXISTS app.inbound_mail_by_age;
