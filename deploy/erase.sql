-- Erases what is known of one id: of a user, a deployment, a task, an agent, a container, a conversation.
--
--   psql "$DATABASE_URL" -v id=ann -f deploy/erase.sql
--
-- The payloads of its events, and of those addressed to it as a user, become empty; the events keep
-- their numbers, so that no client sees a hole. States and dead letters go. Reads the whole archive once.
\set ON_ERROR_STOP on
BEGIN;

UPDATE event
SET payload = jsonb_set(payload::jsonb #- '{event,frame}', '{event,data}', '{}')::text
WHERE subject = :'id' OR user_id = :'id';

DELETE FROM entity WHERE id = :'id';

DELETE FROM dead_letter WHERE fields::jsonb ->> 'id' = :'id' OR fields::jsonb ->> 'user' = :'id';

COMMIT;
