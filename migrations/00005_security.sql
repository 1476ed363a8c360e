-- +goose Up
CREATE TABLE revocations (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    session_id uuid,
    user_id    uuid,
    room_id    uuid,
    reason     text        NOT NULL,
    CONSTRAINT revocations_of_session_or_standing CHECK ((session_id IS NULL) <> (room_id IS NULL)),
    CONSTRAINT revocations_reason_slug CHECK (reason ~ '^[a-z_]{1,40}$')
);
CREATE INDEX revocations_at ON revocations (at);

COMMENT ON TABLE revocations IS 'Outbox of everything that was taken away from live sockets, written in the transaction that took it. Nodes poll it, so that a lost push is late and not lost. Kept one day.';
COMMENT ON COLUMN revocations.id IS 'Order of writing.';
COMMENT ON COLUMN revocations.at IS 'When, by the database''s clock.';
COMMENT ON COLUMN revocations.session_id IS 'The session that ended; null: a standing in a room changed.';
COMMENT ON COLUMN revocations.user_id IS 'Whose session or standing; null: of a session that nobody signed in to.';
COMMENT ON COLUMN revocations.room_id IS 'The room whose standing changed; null: a session ended.';
COMMENT ON COLUMN revocations.reason IS 'Fixed slug, such as sign_out or banned.';

CREATE TABLE security_events (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL,
    name       text        NOT NULL,
    level      text        NOT NULL,
    control    text        NOT NULL,
    reason     text        NOT NULL,
    user_id    text        NOT NULL,
    username   text        NOT NULL,
    session    text        NOT NULL,
    conn       text        NOT NULL,
    request    text        NOT NULL,
    room       text        NOT NULL,
    ip         text        NOT NULL,
    origin     text        NOT NULL,
    user_agent text        NOT NULL,
    close_code integer     NOT NULL,
    took_us    bigint      NOT NULL,
    count      bigint      NOT NULL,
    detail     text        NOT NULL
);
CREATE INDEX security_events_at ON security_events (at);

COMMENT ON TABLE security_events IS 'The security log: which control refused what, and what was granted. Kept 90 days. Text from outside is escaped and cut before it comes here. Empty text and zero mean: not said.';
COMMENT ON COLUMN security_events.id IS 'Order of commit, so that a reader who has read up to one has missed none.';
COMMENT ON COLUMN security_events.at IS 'When it happened, by the node''s clock.';
COMMENT ON COLUMN security_events.name IS 'Name of the OWASP logging vocabulary, such as authz_fail.';
COMMENT ON COLUMN security_events.level IS 'INFO, WARN or CRITICAL.';
COMMENT ON COLUMN security_events.control IS 'The control that decided, by its one name.';
COMMENT ON COLUMN security_events.reason IS 'Fixed slug.';
COMMENT ON COLUMN security_events.user_id IS 'User id. Text and no reference: the log outlives everything it tells of.';
COMMENT ON COLUMN security_events.username IS 'Name as the client gave it, when no user id is known.';
COMMENT ON COLUMN security_events.session IS 'Short hash of the session id: joins events, opens nothing.';
COMMENT ON COLUMN security_events.conn IS 'Connection id.';
COMMENT ON COLUMN security_events.request IS 'Request id.';
COMMENT ON COLUMN security_events.room IS 'Room id.';
COMMENT ON COLUMN security_events.ip IS 'Prefix of the client address: /32 or /64.';
COMMENT ON COLUMN security_events.origin IS 'Origin header.';
COMMENT ON COLUMN security_events.user_agent IS 'User-Agent header.';
COMMENT ON COLUMN security_events.close_code IS 'Code that a socket was closed with.';
COMMENT ON COLUMN security_events.took_us IS 'How long it took in microseconds, for example from a revocation to the closed socket.';
COMMENT ON COLUMN security_events.count IS 'Bytes, frames or tries, as the reason tells.';
COMMENT ON COLUMN security_events.detail IS 'What else explains the decision. Never a secret, never a message.';

CREATE TABLE ticket_keys (
    id         text        PRIMARY KEY,
    secret     bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ticket_keys_id_form CHECK (id ~ '^[A-Za-z0-9_-]{1,32}$'),
    CONSTRAINT ticket_keys_secret_length CHECK (octet_length(secret) = 32)
);

COMMENT ON TABLE ticket_keys IS 'Keys that sign socket tickets in development, made once, so that nodes on one database share them. Production takes its keys from PORTCULLIS_TICKET_KEYS and leaves this empty.';
COMMENT ON COLUMN ticket_keys.id IS 'Key id (kid) in the ticket''s header.';
COMMENT ON COLUMN ticket_keys.secret IS 'The key: 32 random bytes.';
COMMENT ON COLUMN ticket_keys.created_at IS 'When it was made; the newest signs.';
