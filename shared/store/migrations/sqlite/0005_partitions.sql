-- How many partitions each stream has, and what it is being changed to.
CREATE TABLE partitions (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    in_force  INTEGER NOT NULL,
    switching INTEGER,                     -- what is being put in force; nobody may claim a source meanwhile
    since     INTEGER NOT NULL DEFAULT 0   -- when that began, ms
) STRICT;

-- How many a worker wishes for.
ALTER TABLE worker ADD COLUMN partitions INTEGER;

-- After a change: up to which entry a source goes on alone. Beyond it, it waits for the other
-- partitions of its stream, which may hold earlier events of the same ids.
ALTER TABLE source ADD COLUMN barrier TEXT;
ALTER TABLE source ADD COLUMN drained INTEGER NOT NULL DEFAULT 0;
