-- +goose Up
ALTER TABLE revocations ADD COLUMN until timestamptz;
ALTER TABLE revocations ADD CONSTRAINT revocations_until_of_a_session CHECK (until IS NULL OR session_id IS NOT NULL);
COMMENT ON COLUMN revocations.until IS 'When the session ends, which is sooner than its sockets were told; null: at once.';
COMMENT ON COLUMN sessions.ends_at IS 'When the session ends whatever happens; nothing moves it later. The end of a service''s key moves it sooner.';
