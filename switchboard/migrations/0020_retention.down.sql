DROP FUNCTION app.drop_oldest_month(text, date);
DROP FUNCTION app.is_log_in_use(text, date);
DROP TABLE app.log_keeping;
