-- The record: what happened, in which order, and what it adds up to. See shared/src/store.rs.
-- All times are milliseconds since 1970 by the clock of this database.

-- Which database this is. A copy that is played into another cluster keeps the id but not the
-- cluster's identifier and timeline, so the epoch covers all three.
CREATE TABLE identity (
    one BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
    id  TEXT    NOT NULL DEFAULT gen_random_uuid()::text
);
INSERT INTO identity DEFAULT VALUES;

-- The epoch of positions: a fingerprint of cluster, timeline and identity, in 32 bits.
--
-- Cluster and timeline cannot change under a session (a standby's session that lives through the
-- promotion is refused by the client), so they are asked for once and kept in a session setting.
-- Where a role may not ask, what it may not see is left out: an epoch of the id alone still tells
-- a replaced database, not one restored from a backup.
CREATE FUNCTION fanfare_epoch() RETURNS BIGINT LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    cluster TEXT := current_setting('fanfare.cluster', true);
BEGIN
    IF cluster IS NULL OR cluster = '' THEN
        cluster := '-';
        IF has_function_privilege('pg_control_system()', 'execute') THEN
            cluster := cluster || (SELECT system_identifier FROM pg_control_system());
        END IF;
        IF has_function_privilege('pg_walfile_name(pg_lsn)', 'execute')
            AND has_function_privilege('pg_current_wal_lsn()', 'execute')
        THEN
            cluster := cluster || ' ' || left(pg_walfile_name(pg_current_wal_lsn()), 8);
        END IF;
        PERFORM set_config('fanfare.cluster', cluster, false);
    END IF;
    RETURN (
        SELECT ('x' || left(encode(sha256(convert_to(cluster || ' ' || id, 'UTF8')), 'hex'), 8))::bit(32)::bigint
        FROM identity
    );
END $$;

CREATE VIEW epoch AS SELECT fanfare_epoch() AS value;
CREATE VIEW clock AS SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms;

-- The workers that live.
CREATE TABLE worker (
    name        TEXT   PRIMARY KEY,
    lease_until BIGINT NOT NULL
) WITH (fillfactor = 50);

-- One row for each partition of a stream: who owns it and how far it is.
CREATE TABLE source (
    id          BIGINT PRIMARY KEY,               -- stream × 65536 + partition
    name        TEXT   NOT NULL UNIQUE,
    owner       TEXT,
    lease_until BIGINT NOT NULL DEFAULT 0,
    fence       BIGINT NOT NULL DEFAULT 0,        -- rises with every change of owner
    cursor      TEXT   NOT NULL DEFAULT '0-0',    -- the last entry that was read
    top         TEXT   NOT NULL DEFAULT '0-0',    -- the highest entry ever taken in
    seq         BIGINT NOT NULL DEFAULT 0,
    published   BIGINT NOT NULL DEFAULT 0,
    recorded    BIGINT NOT NULL DEFAULT 0,        -- time of the last batch, never decreasing
    replid      TEXT   NOT NULL DEFAULT '',
    generation  BIGINT NOT NULL DEFAULT 0,
    epoch       BIGINT NOT NULL DEFAULT 0,
    attempts    BIGINT NOT NULL DEFAULT 0         -- owners in a row that got nowhere
) WITH (fillfactor = 50);

-- One row for each channel and source that feeds it: the counter of its offsets. Never deleted.
CREATE TABLE channel (
    id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name   TEXT   NOT NULL,
    source BIGINT NOT NULL,
    head   BIGINT NOT NULL,                       -- the last offset given
    floor  BIGINT NOT NULL DEFAULT 0,             -- the last offset removed by retention
    UNIQUE (name, source)
) WITH (fillfactor = 50);

-- What happened, once; `seq` is dense within a source.
CREATE TABLE event (
    source   BIGINT NOT NULL,
    seq      BIGINT NOT NULL,
    entry    TEXT   NOT NULL,
    recorded BIGINT NOT NULL,
    subject  TEXT,
    user_id  TEXT,
    offsets  TEXT   NOT NULL,                     -- [[channel.id, offset], …]
    payload  TEXT   NOT NULL,                     -- JSON, as it travels
    PRIMARY KEY (source, seq)
);

-- Where it can be read: one thin row for each channel that carries it.
CREATE TABLE publication (
    channel BIGINT NOT NULL,                      -- channel.id, which knows the source
    number  BIGINT NOT NULL,                      -- the offset
    seq     BIGINT NOT NULL,
    PRIMARY KEY (channel, number)
);

-- The entries that were taken in, dead ones and repeats too: id and fingerprint of the content.
CREATE TABLE known (
    source BIGINT NOT NULL,
    ms     BIGINT NOT NULL,
    number BIGINT NOT NULL,
    digest BIGINT NOT NULL,
    seq    BIGINT,                                -- the event that it became, if any
    PRIMARY KEY (source, ms, number, digest)
);

-- Producers' own ids, each applied once in 24 hours.
CREATE TABLE applied (
    stream   TEXT   NOT NULL,
    event_id TEXT   NOT NULL,
    recorded BIGINT NOT NULL,
    offsets  TEXT   NOT NULL,                     -- [["channel", offset], …]
    PRIMARY KEY (stream, event_id)
);
CREATE INDEX applied_recorded ON applied (recorded);

-- What all events of an entity add up to.
CREATE TABLE entity (
    kind        TEXT   NOT NULL,
    id          TEXT   NOT NULL,
    state       TEXT   NOT NULL,                  -- JSON object
    status      TEXT,                             -- of the state, cut to 64 characters
    created     BIGINT NOT NULL,
    updated     BIGINT NOT NULL,
    ended       BIGINT,
    version     BIGINT NOT NULL,
    source      BIGINT NOT NULL,                  -- of its last event
    lease_ms    BIGINT,
    lease_until BIGINT,
    path        BIGINT,                           -- fingerprint of a repository's path
    PRIMARY KEY (kind, id)
) WITH (fillfactor = 70);
CREATE INDEX entity_created ON entity (kind, created, id);
CREATE INDEX entity_status ON entity (kind, status, created, id);
CREATE INDEX entity_ended ON entity (ended) WHERE ended IS NOT NULL;
CREATE INDEX entity_lease ON entity (source, lease_until) WHERE lease_until IS NOT NULL;
CREATE UNIQUE INDEX entity_path ON entity (kind, path) WHERE path IS NOT NULL;

-- States are rewritten all the time, and lz4 packs them twice as fast as the default does. Servers
-- before 14, and those built without it, stay with the default.
DO $$ BEGIN
    EXECUTE 'ALTER TABLE entity ALTER COLUMN state SET COMPRESSION lz4';
    EXECUTE 'ALTER TABLE event ALTER COLUMN payload SET COMPRESSION lz4';
EXCEPTION WHEN feature_not_supported OR syntax_error THEN
    NULL;
END $$;

-- What was not accepted, and why.
CREATE TABLE dead_letter (
    id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source   BIGINT NOT NULL,
    entry    TEXT   NOT NULL,
    label    TEXT   NOT NULL,
    reason   TEXT   NOT NULL,
    recorded BIGINT NOT NULL,
    fields   TEXT   NOT NULL                      -- JSON object of texts
);
CREATE INDEX dead_letter_source ON dead_letter (source, id);

-- The tables of the agent cockpit, for whoever queries them. Times are in seconds.
CREATE VIEW cockpit_tasks AS
SELECT id,
       state::json ->> 'title' AS title,
       CASE WHEN status IN ('running', 'pending', 'completed', 'failed') THEN status
            WHEN status = 'abandoned' THEN 'failed'
            ELSE 'running' END AS status,
       state::json ->> 'executor' AS executor,
       (state::json ->> 'created_at')::bigint AS created_at,
       (state::json ->> 'updated_at')::bigint AS updated_at,
       CASE json_typeof(state::json -> 'logs')
            WHEN 'array' THEN (
                SELECT string_agg(line, E'\n' ORDER BY at)
                FROM json_array_elements_text(state::json -> 'logs') WITH ORDINALITY AS l(line, at))
            ELSE state::json ->> 'logs' END AS logs,
       (state::json -> 'result')::text AS result
FROM entity
WHERE kind = 'task' AND state::json ->> 'created_at' IS NOT NULL;

CREATE VIEW cockpit_git_repos AS
SELECT id,
       state::json ->> 'path' AS path,
       state::json ->> 'name' AS name,
       state::json ->> 'branch' AS branch,
       state::json ->> 'status' AS status,
       (state::json ->> 'uncommitted_count')::numeric AS uncommitted_count,
       (state::json ->> 'ahead_count')::numeric AS ahead_count,
       (state::json ->> 'behind_count')::numeric AS behind_count,
       (state::json ->> 'last_checked')::bigint AS last_checked,
       nullif((state::json -> 'modifiedFiles')::text, 'null') AS modified_files
FROM entity
WHERE kind = 'repo';

CREATE VIEW cockpit_alerts AS
SELECT id,
       state::json ->> 'severity' AS severity,
       state::json ->> 'title' AS title,
       state::json ->> 'message' AS message,
       state::json ->> 'source' AS source,
       (state::json ->> 'created_at')::bigint AS created_at,
       (state::json ->> 'acknowledged')::bigint AS acknowledged
FROM entity
WHERE kind = 'alert';
