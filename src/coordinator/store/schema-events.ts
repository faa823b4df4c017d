/**
 * What the events of a run take. In a table of its own: a change of the run's row would write its prompt again. The run
 * itself shows how many were dropped: at the first, at each doubling, and exactly at its end.
 */
export const EVENT_BOUNDS = `
  CREATE TABLE run_events (
    run_seq INTEGER PRIMARY KEY,
    bytes INTEGER NOT NULL,
    dropped INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  ALTER TABLE runs ADD COLUMN events_dropped INTEGER NOT NULL DEFAULT 0;

  CREATE TRIGGER run_events_dropped AFTER UPDATE OF dropped ON run_events
  WHEN NEW.dropped > OLD.dropped AND (NEW.dropped & (NEW.dropped - 1)) = 0
  BEGIN
    UPDATE runs SET events_dropped = NEW.dropped WHERE seq = NEW.run_seq;
  END;
  CREATE TRIGGER run_events_end AFTER UPDATE OF completed_at ON runs
  WHEN OLD.completed_at IS NULL AND NEW.completed_at IS NOT NULL
  BEGIN
    UPDATE runs SET events_dropped = (SELECT dropped FROM run_events WHERE run_seq = NEW.seq)
    WHERE seq = NEW.seq AND EXISTS (SELECT 1 FROM run_events WHERE run_seq = NEW.seq AND dropped > 0);
    DELETE FROM run_events WHERE run_seq = NEW.seq;
  END;
`;
