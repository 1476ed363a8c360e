-- +goose Up
ALTER TABLE users DROP CONSTRAINT users_role_known;
ALTER TABLE users ADD CONSTRAINT users_role_known CHECK (role IN ('user', 'auditor', 'admin', 'service'));
ALTER TABLE users ADD CONSTRAINT users_service_has_no_password CHECK ((role = 'service') = (password_hash = '$none$'));
COMMENT ON COLUMN users.role IS 'What the user may do outside rooms: user, auditor or admin; service: a program, which never changes into a person or back.';
COMMENT ON COLUMN users.password_hash IS 'argon2id in PHC form. The password itself is nowhere. $none$, which no password has: a service, which has keys instead.';

CREATE INDEX users_services ON users (username) WHERE role = 'service';

CREATE TABLE service_keys (
    id         text        PRIMARY KEY,
    user_id    uuid        NOT NULL REFERENCES users (id),
    hash       bytea       NOT NULL,
    sid        uuid,
    created_at timestamptz NOT NULL,
    ends_at    timestamptz,
    CONSTRAINT service_keys_id_form CHECK (id ~ '^[a-z2-7]{12}$'),
    CONSTRAINT service_keys_sha256 CHECK (octet_length(hash) = 32)
);
CREATE INDEX service_keys_of_user ON service_keys (user_id);

COMMENT ON TABLE service_keys IS 'Keys that services fetch tickets with. A service has one, and for a time after a rotation two.';
COMMENT ON COLUMN service_keys.id IS 'The middle part of the key, by which it is found. Public.';
COMMENT ON COLUMN service_keys.user_id IS 'The service.';
COMMENT ON COLUMN service_keys.hash IS 'SHA-256 of the whole key, which is 256 random bits and nowhere here.';
COMMENT ON COLUMN service_keys.sid IS 'The session that its sockets belong to; null, or one that has ended: the next ticket makes another.';
COMMENT ON COLUMN service_keys.created_at IS 'When it was made.';
COMMENT ON COLUMN service_keys.ends_at IS 'When it opens nothing any more; null: when it is rotated or its service disabled.';
