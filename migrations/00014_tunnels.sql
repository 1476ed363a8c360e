-- +goose Up
CREATE TABLE tunnel_grants (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    uuid        NOT NULL REFERENCES users (id),
    target     text        NOT NULL,
    granted_by uuid        NOT NULL REFERENCES users (id),
    reason     text        NOT NULL,
    at         timestamptz NOT NULL,
    until      timestamptz NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT tunnel_grants_four_eyes CHECK (granted_by <> user_id),
    CONSTRAINT tunnel_grants_target_form CHECK (target ~ '^[a-z][a-z0-9-]{0,31}$'),
    CONSTRAINT tunnel_grants_reason_length CHECK (char_length(reason) BETWEEN 1 AND 200),
    CONSTRAINT tunnel_grants_end CHECK (until > at AND until <= at + interval '30 days')
);
CREATE UNIQUE INDEX tunnel_grants_one_each ON tunnel_grants (user_id, target) WHERE revoked_at IS NULL;

COMMENT ON TABLE tunnel_grants IS 'Who may open a tunnel to which target, until when. Rows stay, for whoever asks later who could.';
COMMENT ON COLUMN tunnel_grants.id IS 'Order of writing.';
COMMENT ON COLUMN tunnel_grants.user_id IS 'Who may.';
COMMENT ON COLUMN tunnel_grants.target IS 'Name of a target in the configuration. Its address is nowhere in the database.';
COMMENT ON COLUMN tunnel_grants.granted_by IS 'Who gave it: somebody else.';
COMMENT ON COLUMN tunnel_grants.reason IS 'Why, in a sentence of the person who gave it.';
COMMENT ON COLUMN tunnel_grants.at IS 'When it was given.';
COMMENT ON COLUMN tunnel_grants.until IS 'When it ends by itself.';
COMMENT ON COLUMN tunnel_grants.revoked_at IS 'When it was taken away or replaced; null: neither.';

ALTER TABLE revocations ADD COLUMN tunnel text;
ALTER TABLE revocations DROP CONSTRAINT revocations_of_session_or_standing;
ALTER TABLE revocations ADD CONSTRAINT revocations_of_one_thing CHECK (num_nonnulls(session_id, room_id, tunnel) = 1);
COMMENT ON COLUMN revocations.tunnel IS 'The target whose grant ended; null: a session ended or a standing changed.';
