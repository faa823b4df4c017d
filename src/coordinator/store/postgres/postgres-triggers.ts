/** The triggers of `schema.ts`, `schema-trees.ts` and `schema-events.ts`: what they are for stands there. */
export const TRIGGERS = `
  CREATE FUNCTION session_takes_its_place() RETURNS trigger LANGUAGE plpgsql AS $body$
  DECLARE
    parent sessions%ROWTYPE;
  BEGIN
    UPDATE sessions SET children_started = children_started + 1
    WHERE session_id = NEW.parent_session_id RETURNING * INTO parent;
    NEW.tree_id := coalesce(parent.tree_id, NEW.seq);
    NEW.tree_depth := coalesce(parent.tree_depth + 1, 0);
    IF NEW.tree_id = NEW.seq THEN
      INSERT INTO trees (tree_id, runs) VALUES (NEW.seq, 0);
    END IF;
    RETURN NEW;
  END $body$;
  CREATE TRIGGER session_takes_its_place BEFORE INSERT ON sessions
    FOR EACH ROW EXECUTE FUNCTION session_takes_its_place();

  CREATE FUNCTION tree_counts_its_runs() RETURNS trigger LANGUAGE plpgsql AS $body$
  BEGIN
    UPDATE trees SET runs = runs + 1
    WHERE tree_id = (SELECT tree_id FROM sessions WHERE session_id = NEW.session_id);
    RETURN NULL;
  END $body$;
  CREATE TRIGGER tree_counts_its_runs AFTER INSERT ON runs
    FOR EACH ROW EXECUTE FUNCTION tree_counts_its_runs();

  CREATE FUNCTION session_joins_another_tree() RETURNS trigger LANGUAGE plpgsql AS $body$
  DECLARE
    parent sessions%ROWTYPE;
    moved TEXT[];
  BEGIN
    SELECT * INTO parent FROM sessions WHERE session_id = NEW.parent_session_id;
    IF parent.tree_id IS NULL OR parent.tree_id = NEW.tree_id THEN
      RETURN NULL;
    END IF;
    WITH RECURSIVE below(id) AS (
      SELECT NEW.session_id
      UNION SELECT s.session_id FROM below JOIN sessions AS s ON s.parent_session_id = below.id
    )
    SELECT array_agg(id) INTO moved FROM below;
    UPDATE trees SET runs = runs + (SELECT count(*) FROM runs WHERE session_id = ANY (moved))
    WHERE tree_id = parent.tree_id;
    UPDATE sessions SET tree_id = parent.tree_id, tree_depth = tree_depth + parent.tree_depth + 1
    WHERE session_id = ANY (moved);
    DELETE FROM trees
    WHERE tree_id = NEW.tree_id AND NOT EXISTS (SELECT 1 FROM sessions WHERE tree_id = NEW.tree_id);
    RETURN NULL;
  END $body$;
  CREATE TRIGGER session_joins_another_tree AFTER UPDATE OF parent_session_id ON sessions
    FOR EACH ROW WHEN (NEW.parent_session_id IS NOT NULL) EXECUTE FUNCTION session_joins_another_tree();

  CREATE FUNCTION tree_ends_with_its_last_session() RETURNS trigger LANGUAGE plpgsql AS $body$
  BEGIN
    DELETE FROM trees
    WHERE tree_id = OLD.tree_id AND NOT EXISTS (SELECT 1 FROM sessions WHERE tree_id = OLD.tree_id);
    RETURN NULL;
  END $body$;
  CREATE TRIGGER tree_ends_with_its_last_session AFTER DELETE ON sessions
    FOR EACH ROW EXECUTE FUNCTION tree_ends_with_its_last_session();

  CREATE FUNCTION run_events_dropped() RETURNS trigger LANGUAGE plpgsql AS $body$
  BEGIN
    UPDATE runs SET events_dropped = NEW.dropped WHERE seq = NEW.run_seq;
    RETURN NULL;
  END $body$;
  CREATE TRIGGER run_events_dropped AFTER UPDATE OF dropped ON run_events
    FOR EACH ROW WHEN (NEW.dropped > OLD.dropped AND (NEW.dropped & (NEW.dropped - 1)) = 0)
    EXECUTE FUNCTION run_events_dropped();

  CREATE FUNCTION run_events_end() RETURNS trigger LANGUAGE plpgsql AS $body$
  DECLARE
    total BIGINT;
  BEGIN
    DELETE FROM run_events WHERE run_seq = NEW.seq RETURNING dropped INTO total;
    IF total > 0 THEN
      NEW.events_dropped := total;
    END IF;
    RETURN NEW;
  END $body$;
  CREATE TRIGGER run_events_end BEFORE UPDATE OF completed_at ON runs
    FOR EACH ROW WHEN (OLD.completed_at IS NULL AND NEW.completed_at IS NOT NULL)
    EXECUTE FUNCTION run_events_end();

  CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $body$
  BEGIN
    IF TG_OP = 'DELETE' THEN
      IF OLD.seq <= (SELECT max(seq) FROM audit) - 100000 THEN
        RETURN OLD;
      END IF;
    END IF;
    RAISE EXCEPTION 'the audit list is append-only';
  END $body$;
  CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
  CREATE TRIGGER audit_changes_no_row BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
  CREATE TRIGGER audit_keeps_all BEFORE TRUNCATE ON audit EXECUTE FUNCTION audit_is_append_only();
`;
