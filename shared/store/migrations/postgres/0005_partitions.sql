-- How many partitions each stream has, and what it is being changed to.
CREATE TABLE partitions (
    id        BIGINT PRIMARY KEY CHECK (id = 1),
    in_force  BIGINT NOT NULL,
    switching BIGINT,                     -- what is being put in force; nobody may claim a source meanwhile
    since     BIGINT NOT NULL DEFAULT 0   -- when that began, ms
);

-- How many a worker wishes for.
ALTER TABLE worker ADD COLUMN partitions BIGINT;

-- After a change: up to which entry a source goes on alone. Beyond it, it waits for the other
-- partitions of its stream, which may hold earlier events of the same ids.
ALTER TABLE source ADD COLUMN barrier TEXT;
ALTER TABLE source ADD COLUMN drained BIGINT NOT NULL DEFAULT 0;
