-- +goose Up
-- What a user begins in a day is counted whenever they begin one more.
CREATE INDEX rooms_direct_of_creator ON rooms (created_by, created_at) WHERE visibility = 'direct';
