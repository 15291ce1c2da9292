DROP TRIGGER furniture ON app.segment;
