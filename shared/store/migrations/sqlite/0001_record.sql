-- The record: what happened, in which order, and what it adds up to. See shared/src/store.rs.
-- All times are milliseconds since 1970 by the clock of this database.

-- Which database this is: the epoch of positions, made at random when the file is made. Whoever
-- plays an old copy of the file back gives it a new one:
-- UPDATE identity SET epoch = abs(random()) % 4294967296;
CREATE TABLE identity (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL
) STRICT;
INSERT INTO identity VALUES (1, abs(random()) % 4294967296);

CREATE VIEW epoch AS SELECT epoch AS value FROM identity;
CREATE VIEW clock AS SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS ms;

-- The workers that live.
CREATE TABLE worker (
    name        TEXT    PRIMARY KEY,
    lease_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for each partition of a stream: who owns it and how far it is.
CREATE TABLE source (
    id          INTEGER PRIMARY KEY,              -- stream × 65536 + partition
    name        TEXT    NOT NULL UNIQUE,
    owner       TEXT,
    lease_until INTEGER NOT NULL DEFAULT 0,
    fence       INTEGER NOT NULL DEFAULT 0,       -- rises with every change of owner
    cursor      TEXT    NOT NULL DEFAULT '0-0',   -- the last entry that was read
    top         TEXT    NOT NULL DEFAULT '0-0',   -- the highest entry ever taken in
    seq         INTEGER NOT NULL DEFAULT 0,
    published   INTEGER NOT NULL DEFAULT 0,
    recorded    INTEGER NOT NULL DEFAULT 0,       -- time of the last batch, never decreasing
    replid      TEXT    NOT NULL DEFAULT '',
    generation  INTEGER NOT NULL DEFAULT 0,
    epoch       INTEGER NOT NULL DEFAULT 0,
    attempts    INTEGER NOT NULL DEFAULT 0        -- owners in a row that got nowhere
) STRICT;

-- One row for each channel and source that feeds it: the counter of its offsets. Never deleted.
CREATE TABLE channel (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    name   TEXT    NOT NULL,
    source INTEGER NOT NULL,
    head   INTEGER NOT NULL,                      -- the last offset given
    floor  INTEGER NOT NULL DEFAULT 0,            -- the last offset removed by retention
    UNIQUE (name, source)
) STRICT;

-- What happened, once; `seq` is dense within a source.
CREATE TABLE event (
    source   INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    entry    TEXT    NOT NULL,
    recorded INTEGER NOT NULL,
    subject  TEXT,
    user_id  TEXT,
    offsets  TEXT    NOT NULL,                    -- [[channel.id, offset], …]
    payload  TEXT    NOT NULL,                    -- JSON, as it travels
    PRIMARY KEY (source, seq)
) STRICT, WITHOUT ROWID;

-- Where it can be read: one thin row for each channel that carries it.
CREATE TABLE publication (
    channel INTEGER NOT NULL,                     -- channel.id, which knows the source
    number  INTEGER NOT NULL,                     -- the offset
    seq     INTEGER NOT NULL,
    PRIMARY KEY (channel, number)
) STRICT, WITHOUT ROWID;

-- The entries that were taken in, dead ones and repeats too: id and fingerprint of the content.
CREATE TABLE known (
    source INTEGER NOT NULL,
    ms     INTEGER NOT NULL,
    number INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    seq    INTEGER,                               -- the event that it became, if any
    PRIMARY KEY (source, ms, number, digest)
) STRICT, WITHOUT ROWID;

-- Producers' own ids, each applied once in 24 hours.
CREATE TABLE applied (
    stream   TEXT    NOT NULL,
    event_id TEXT    NOT NULL,
    recorded INTEGER NOT NULL,
    offsets  TEXT    NOT NULL,                    -- [["channel", offset], …]
    PRIMARY KEY (stream, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX applied_recorded ON applied (recorded);

-- What all events of an entity add up to.
CREATE TABLE entity (
    kind        TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    state       TEXT    NOT NULL,                 -- JSON object
    status      TEXT,                             -- of the state, cut to 64 characters
    created     INTEGER NOT NULL,
    updated     INTEGER NOT NULL,
    ended       INTEGER,
    version     INTEGER NOT NULL,
    source      INTEGER NOT NULL,                 -- of its last event
    lease_ms    INTEGER,
    lease_until INTEGER,
    path        INTEGER,                          -- fingerprint of a repository's path
    PRIMARY KEY (kind, id)
) STRICT;
CREATE INDEX entity_created ON entity (kind, created, id);
CREATE INDEX entity_status ON entity (kind, status, created, id);
CREATE INDEX entity_ended ON entity (ended) WHERE ended IS NOT NULL;
CREATE INDEX entity_lease ON entity (source, lease_until) WHERE lease_until IS NOT NULL;
CREATE UNIQUE INDEX entity_path ON entity (kind, path) WHERE path IS NOT NULL;

-- What was not accepted, and why.
CREATE TABLE dead_letter (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    source   INTEGER NOT NULL,
    entry    TEXT    NOT NULL,
    label    TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    recorded INTEGER NOT NULL,
    fields   TEXT    NOT NULL                     -- JSON object of texts
) STRICT;
CREATE INDEX dead_letter_source ON dead_letter (source, id);

-- The tables of the agent cockpit, for whoever queries them. Times are in seconds.
CREATE VIEW cockpit_tasks AS
SELECT id,
       state ->> 'title' AS title,
       CASE WHEN status IN ('running', 'pending', 'completed', 'failed') THEN status
            WHEN status = 'abandoned' THEN 'failed'
            ELSE 'running' END AS status,
       state ->> 'executor' AS executor,
       state ->> 'created_at' AS created_at,
       state ->> 'updated_at' AS updated_at,
       CASE json_type(state, '$.logs')
            WHEN 'array' THEN (
                SELECT group_concat(value, char(10) ORDER BY key)
                FROM json_each(entity.state, '$.logs'))
            ELSE state ->> 'logs' END AS logs,
       state -> 'result' AS result
FROM entity
WHERE kind = 'task' AND state ->> 'created_at' IS NOT NULL;

CREATE VIEW cockpit_git_repos AS
SELECT id,
       state ->> 'path' AS path,
       state ->> 'name' AS name,
       state ->> 'branch' AS branch,
       state ->> 'status' AS status,
       state ->> 'uncommitted_count' AS uncommitted_count,
       state ->> 'ahead_count' AS ahead_count,
       state ->> 'behind_count' AS behind_count,
       state ->> 'last_checked' AS last_checked,
       nullif(state -> 'modifiedFiles', 'null') AS modified_files
FROM entity
WHERE kind = 'repo';

CREATE VIEW cockpit_alerts AS
SELECT id,
       state ->> 'severity' AS severity,
       state ->> 'title' AS title,
       state ->> 'message' AS message,
       state ->> 'source' AS source,
       state ->> 'created_at' AS created_at,
       state ->> 'acknowledged' AS acknowledged
FROM entity
WHERE kind = 'alert';
