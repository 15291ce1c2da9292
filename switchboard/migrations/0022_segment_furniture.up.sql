-- What the segments of a workspace read is furniture, too: whoever works the queues need not ask with each event whether
-- a segment reads it. Sizes, progress and problems are not.
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR DELETE OR UPDATE OF condition, reads, archived_at ON app.segment
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();
