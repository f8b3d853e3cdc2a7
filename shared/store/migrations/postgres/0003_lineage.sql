-- The epoch is stored, with the evidence by which it is told; what is there keeps its epoch.
--
-- Evidence is what a copy does not carry along: the cluster's identifier, and the numbers that this
-- cluster gave to the database and to the table `identity`. A timeline proves nothing by itself: the
-- standby that was promoted may hold everything. So a new one is only noted, and whoever records
-- compares with what the broker remembers as published before anything is recorded.
ALTER TABLE identity
    ADD COLUMN epoch BIGINT,
    ADD COLUMN evidence TEXT,
    ADD COLUMN timeline TEXT;
UPDATE identity SET epoch = fanfare_epoch();

-- Cluster and timeline, asked for once in a session, as far as the role may ask.
CREATE FUNCTION fanfare_cluster() RETURNS TEXT LANGUAGE plpgsql VOLATILE AS $$
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
    RETURN cluster;
END $$;

CREATE FUNCTION fanfare_evidence() RETURNS TEXT LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN (
        SELECT split_part(fanfare_cluster(), ' ', 1) || ' ' || d.oid || ' ' || i.tableoid || ' ' || i.id
        FROM identity i, pg_database d WHERE d.datname = current_database()
    );
END $$;

UPDATE identity SET evidence = fanfare_evidence(), timeline = split_part(fanfare_cluster(), ' ', 2);

-- Other evidence is another epoch, the same one for everybody who asks.
CREATE OR REPLACE FUNCTION fanfare_epoch() RETURNS BIGINT LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_evidence TEXT := fanfare_evidence();
BEGIN
    RETURN (
        SELECT CASE WHEN evidence = now_evidence THEN epoch
            ELSE ('x' || left(encode(sha256(convert_to(now_evidence || ' ' || epoch, 'UTF8')), 'hex'), 8))::bit(32)::bigint
        END FROM identity
    );
END $$;

-- 1 while a new timeline has not been judged yet: nothing is recorded then.
CREATE FUNCTION fanfare_promoted() RETURNS BIGINT LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    now_timeline TEXT := split_part(fanfare_cluster(), ' ', 2);
BEGIN
    RETURN (
        SELECT CASE WHEN timeline <> now_timeline AND timeline <> '' AND now_timeline <> '' THEN 1 ELSE 0 END
        FROM identity
    );
END $$;
CREATE VIEW lineage AS SELECT fanfare_promoted() AS promoted;

-- How many entries the stream ever had up to the cursor: more at the stream were trimmed unread.
ALTER TABLE source ADD COLUMN added BIGINT;
