-- A file has no standby: it is never promoted.
CREATE VIEW lineage AS SELECT 0 AS promoted;

-- How many entries the stream ever had up to the cursor: more at the stream were trimmed unread.
ALTER TABLE source ADD COLUMN added INTEGER;
