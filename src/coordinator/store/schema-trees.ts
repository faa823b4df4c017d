/**
 * Every session keeps its place from its creation on: its tree (the `seq` of the first root), its depth, and how many
 * children it ever started. A tree counts its runs. Nothing that is deleted lowers a count or moves a session up, so
 * that no agent makes room for itself by deleting. Triggers do the counting: no way to create a row passes them by.
 */
export const TREE_COUNTERS = `
  ALTER TABLE sessions ADD COLUMN tree_id INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE sessions ADD COLUMN tree_depth INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE sessions ADD COLUMN children_started INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE runs ADD COLUMN asked_demands TEXT;
  CREATE TABLE trees (tree_id INTEGER PRIMARY KEY, runs INTEGER NOT NULL) STRICT;

  UPDATE sessions SET tree_id = place.tree_id, tree_depth = place.depth
  FROM (
    WITH RECURSIVE place(session_id, tree_id, depth) AS (
      SELECT session_id, seq, 0 FROM sessions AS s
      WHERE NOT EXISTS (SELECT 1 FROM sessions AS p WHERE p.session_id = s.parent_session_id)
      UNION ALL
      SELECT s.session_id, place.tree_id, place.depth + 1
      FROM place JOIN sessions AS s ON s.parent_session_id = place.session_id
    )
    SELECT * FROM place
  ) AS place
  WHERE place.session_id = sessions.session_id;

  UPDATE sessions SET children_started = started.children
  FROM (
    SELECT parent_session_id, count(*) AS children
    FROM (
      SELECT parent_session_id, session_id FROM sessions
      UNION
      SELECT parent_session_id, session_id FROM runs WHERE type = 'start_session'
    )
    GROUP BY parent_session_id
  ) AS started
  WHERE started.parent_session_id = sessions.session_id;

  INSERT INTO trees (tree_id, runs)
  SELECT tree_id, count(runs.seq) FROM sessions LEFT JOIN runs USING (session_id) GROUP BY tree_id;
  UPDATE trees SET runs = trees.runs + gone.runs
  FROM (
    SELECT p.tree_id, count(*) AS runs
    FROM runs JOIN sessions AS p ON p.session_id = runs.parent_session_id
    WHERE NOT EXISTS (SELECT 1 FROM sessions AS s WHERE s.session_id = runs.session_id)
    GROUP BY p.tree_id
  ) AS gone
  WHERE gone.tree_id = trees.tree_id;

  CREATE INDEX sessions_by_tree ON sessions(tree_id);

  CREATE TRIGGER session_takes_its_place AFTER INSERT ON sessions
  BEGIN
    UPDATE sessions
    SET tree_id = coalesce((SELECT tree_id FROM sessions WHERE session_id = NEW.parent_session_id), NEW.seq),
        tree_depth = coalesce((SELECT tree_depth + 1 FROM sessions WHERE session_id = NEW.parent_session_id), 0)
    WHERE seq = NEW.seq;
    UPDATE sessions SET children_started = children_started + 1 WHERE session_id = NEW.parent_session_id;
    INSERT INTO trees (tree_id, runs) SELECT tree_id, 0 FROM sessions WHERE seq = NEW.seq AND tree_id = seq;
  END;

  CREATE TRIGGER tree_counts_its_runs AFTER INSERT ON runs
  BEGIN
    UPDATE trees SET runs = runs + 1
    WHERE tree_id = (SELECT tree_id FROM sessions WHERE session_id = NEW.session_id);
  END;

  CREATE TRIGGER session_joins_another_tree AFTER UPDATE OF parent_session_id ON sessions
  WHEN NEW.tree_id <> (SELECT tree_id FROM sessions WHERE session_id = NEW.parent_session_id)
  BEGIN
    UPDATE trees
    SET runs = runs + (
      SELECT count(*) FROM runs WHERE session_id IN (
        WITH RECURSIVE below(id) AS (
          VALUES (NEW.session_id)
          UNION SELECT s.session_id FROM below CROSS JOIN sessions AS s ON s.parent_session_id = below.id
        )
        SELECT id FROM below
      )
    )
    WHERE tree_id = (SELECT tree_id FROM sessions WHERE session_id = NEW.parent_session_id);
    UPDATE sessions
    SET tree_id = (SELECT tree_id FROM sessions WHERE session_id = NEW.parent_session_id),
        tree_depth = tree_depth + (SELECT tree_depth + 1 FROM sessions WHERE session_id = NEW.parent_session_id)
    WHERE session_id IN (
      WITH RECURSIVE below(id) AS (
        VALUES (NEW.session_id)
        UNION SELECT s.session_id FROM below CROSS JOIN sessions AS s ON s.parent_session_id = below.id
      )
      SELECT id FROM below
    );
    DELETE FROM trees
    WHERE tree_id = NEW.tree_id AND NOT EXISTS (SELECT 1 FROM sessions WHERE tree_id = NEW.tree_id);
  END;

  CREATE TRIGGER tree_ends_with_its_last_session AFTER DELETE ON sessions
  WHEN NOT EXISTS (SELECT 1 FROM sessions WHERE tree_id = OLD.tree_id)
  BEGIN
    DELETE FROM trees WHERE tree_id = OLD.tree_id;
  END;
`;
