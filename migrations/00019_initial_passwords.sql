-- +goose Up
ALTER TABLE users ADD COLUMN initial_until timestamptz;
COMMENT ON COLUMN users.initial_until IS 'The password was made by the server for an administrator to hand over: until when it opens the one sign-in at which its owner chooses another; null: its owner has chosen.';
