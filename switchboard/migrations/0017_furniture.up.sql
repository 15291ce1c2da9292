-- Which settings a workspace has now: a new revision whenever one of them changes, committed with the change. Whoever
-- works the queues keeps what it has read of them for as long as the revision stays.
CREATE TABLE app.furniture (
    workspace_id uuid PRIMARY KEY,
    revision uuid NOT NULL DEFAULT gen_random_uuid()
) WITH (fillfactor = 50);
ALTER TABLE app.furniture ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.furniture FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.furniture USING (workspace_id = app.workspace_id() OR app.is_queue_loop());

-- Called at the commit, so that no change of settings holds the row while it waits for another.
CREATE FUNCTION app.renew_furniture() RETURNS trigger
LANGUAGE plpgsql SET search_path = app, pg_catalog, pg_temp AS $$
DECLARE
    scope text := coalesce(current_setting('app.scope', true), '');
    changed jsonb := CASE WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
BEGIN
    -- Who changes a person or works for several workspaces has entered none, or another one by now.
    PERFORM set_config('app.scope', 'queue', true);
    IF TG_TABLE_NAME = 'user_account' THEN
        -- A person may be a member of several workspaces, and changes their name seldom.
        PERFORM FROM app.furniture ORDER BY workspace_id FOR UPDATE;
        UPDATE app.furniture SET revision = gen_random_uuid();
    ELSIF TG_TABLE_NAME <> 'workspace' THEN
        UPDATE app.furniture SET revision = gen_random_uuid() WHERE workspace_id = (changed ->> 'workspace_id')::uuid;
    ELSIF TG_OP = 'DELETE' THEN
        DELETE FROM app.furniture WHERE workspace_id = (changed ->> 'id')::uuid;
    ELSE
        INSERT INTO app.furniture (workspace_id) VALUES ((changed ->> 'id')::uuid)
        ON CONFLICT (workspace_id) DO UPDATE SET revision = gen_random_uuid();
    END IF;
    PERFORM set_config('app.scope', scope, true);
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR UPDATE OR DELETE ON app.workspace
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();
CREATE CONSTRAINT TRIGGER furniture AFTER UPDATE OF email, name, disabled_at OR DELETE ON app.user_account
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR UPDATE OR DELETE ON app.member
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR UPDATE OR DELETE ON app.stage
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR UPDATE OR DELETE ON app.flow
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR UPDATE OR DELETE ON app.source
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR UPDATE OR DELETE ON app.template
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR UPDATE OR DELETE ON app.routing_rule
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR UPDATE OR DELETE ON app.rota
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR UPDATE OR DELETE ON app.rota_shift
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR UPDATE OR DELETE ON app.rota_override
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();
CREATE CONSTRAINT TRIGGER furniture AFTER INSERT OR UPDATE OR DELETE ON app.rota_holiday
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.renew_furniture();

-- The workspaces that are there already; row security would hide them from this migration.
ALTER TABLE app.workspace NO FORCE ROW LEVEL SECURITY;
ALTER TABLE app.furniture NO FORCE ROW LEVEL SECURITY;
INSERT INTO app.furniture (workspace_id) SELECT id FROM app.workspace;
ALTER TABLE app.furniture FORCE ROW LEVEL SECURITY;
ALTER TABLE app.workspace FORCE ROW LEVEL SECURITY;
