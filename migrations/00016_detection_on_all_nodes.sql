-- +goose Up
CREATE TABLE firings (
    rule         text        NOT NULL,
    subject_kind text        NOT NULL,
    subject      text        NOT NULL,
    at           timestamptz NOT NULL,
    until        timestamptz NOT NULL,
    PRIMARY KEY (rule, subject_kind, subject),
    CONSTRAINT firings_end CHECK (until > at AND until <= at + interval '1 hour')
);
CREATE INDEX firings_until ON firings (until);

COMMENT ON TABLE firings IS 'Which rules have spoken lately. Every node reads the whole log and comes to the same; the one whose row this is says it.';
COMMENT ON COLUMN firings.rule IS 'Name of the rule.';
COMMENT ON COLUMN firings.subject_kind IS 'network, user, session or account.';
COMMENT ON COLUMN firings.subject IS 'Whom the rule speaks about.';
COMMENT ON COLUMN firings.at IS 'Time of the event that made it fire.';
COMMENT ON COLUMN firings.until IS 'Until when it says nothing more about the same subject, by the time of events.';

-- What the honey names becomes real: a room that is in every copy of the table rooms,
-- made by the account whose name is in every copy of the table users. Nobody is a member
-- of the room, and nobody has the password: its hash is random bytes. The account is
-- disabled, so that it cannot be invited either.
INSERT INTO users (id, username, display_name, role, password_hash, disabled_at, created_at)
SELECT gen_random_uuid(), h.value, h.value, 'user',
    '$argon2id$v=19$m=19456,t=2,p=1$' || rtrim(encode(substr(sha256(gen_random_uuid()::text::bytea), 1, 16), 'base64'), '=')
        || '$' || rtrim(encode(sha256(gen_random_uuid()::text::bytea), 'base64'), '='), now(), now()
FROM honey h WHERE h.kind = 'username' AND h.value ~ '^[a-z0-9][a-z0-9._-]{0,30}[a-z0-9]$'
ON CONFLICT DO NOTHING;

-- Closed: the room is in nobody's list and lets nobody in.
--control:name detection
INSERT INTO rooms (id, title, visibility, created_by, created_at, active_at)
SELECT h.value::uuid, 'Recovery keys', 'closed', keeper.id, now(), now()
FROM honey h CROSS JOIN (
    SELECT u.id FROM users u JOIN honey n ON n.kind = 'username' AND n.value = u.username ORDER BY u.username LIMIT 1) keeper
WHERE h.kind = 'room' AND h.value ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
ON CONFLICT DO NOTHING;

COMMENT ON TABLE honey IS 'What nobody is told of: a closed room without members and an account without a password. Whoever uses one has read it in the database or in a copy.';
COMMENT ON COLUMN honey.kind IS 'room: the id of a room. username: the name of an account.';
