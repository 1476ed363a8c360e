-- +goose Up
-- Messages are added in the order of their time: a few bytes per megabyte find the old ones.
CREATE INDEX messages_by_age ON messages USING brin (created_at);

ALTER TABLE users ADD COLUMN erased_at timestamptz;
ALTER TABLE users ADD CONSTRAINT users_erased_is_disabled CHECK (erased_at IS NULL OR disabled_at IS NOT NULL);
CREATE INDEX reactions_of_user ON reactions (user_id);
CREATE INDEX users_erased ON users (erased_at) WHERE erased_at IS NOT NULL;
COMMENT ON COLUMN users.erased_at IS 'When the account was erased: nothing in the row tells who it was, and what it wrote is emptied; null: it was not.';
