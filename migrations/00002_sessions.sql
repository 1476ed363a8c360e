-- +goose Up
CREATE TABLE sessions (
    sid              uuid        PRIMARY KEY,
    user_id          uuid        REFERENCES users (id),
    created_at       timestamptz NOT NULL,
    authenticated_at timestamptz,
    last_seen_at     timestamptz NOT NULL,
    idle_ends_at     timestamptz NOT NULL,
    ends_at          timestamptz NOT NULL,
    ip               text        NOT NULL,
    user_agent       text        NOT NULL,
    revoked_at       timestamptz,
    revoke_reason    text,
    CONSTRAINT sessions_ends_in_order CHECK (idle_ends_at <= ends_at AND created_at < ends_at),
    CONSTRAINT sessions_signed_in_or_not CHECK ((user_id IS NULL) = (authenticated_at IS NULL)),
    CONSTRAINT sessions_revoked_with_reason CHECK ((revoked_at IS NULL) = (revoke_reason IS NULL)),
    CONSTRAINT sessions_ip_length CHECK (char_length(ip) <= 64),
    CONSTRAINT sessions_user_agent_length CHECK (char_length(user_agent) <= 200),
    CONSTRAINT sessions_reason_slug CHECK (revoke_reason ~ '^[a-z_]{1,40}$')
);
CREATE INDEX sessions_of_user ON sessions (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX sessions_ended ON sessions (ends_at);

COMMENT ON TABLE sessions IS 'Sessions, and the tombstones of those that ended: a row stays until a day after ends_at, so that no late request can bring its session back.';
COMMENT ON COLUMN sessions.sid IS 'Stable public id. Not a credential.';
COMMENT ON COLUMN sessions.user_id IS 'Who is signed in; null: nobody yet. Never changes.';
COMMENT ON COLUMN sessions.created_at IS 'When the session began.';
COMMENT ON COLUMN sessions.authenticated_at IS 'When the password was last proven.';
COMMENT ON COLUMN sessions.last_seen_at IS 'When the session was last extended.';
COMMENT ON COLUMN sessions.idle_ends_at IS 'When the session ends if it is not used; use moves it.';
COMMENT ON COLUMN sessions.ends_at IS 'When the session ends whatever happens; nothing moves it.';
COMMENT ON COLUMN sessions.ip IS 'Prefix of the client address at sign-in: /32 or /64.';
COMMENT ON COLUMN sessions.user_agent IS 'The browser''s own word for itself at sign-in, cut and cleaned.';
COMMENT ON COLUMN sessions.revoked_at IS 'When the session was ended by somebody; null: not.';
COMMENT ON COLUMN sessions.revoke_reason IS 'Fixed slug, such as sign_out or password_change.';

CREATE TABLE session_tokens (
    token_hash bytea       PRIMARY KEY,
    sid        uuid        NOT NULL REFERENCES sessions (sid) ON DELETE CASCADE,
    data       bytea       NOT NULL,
    retired_at timestamptz,
    CONSTRAINT session_tokens_sha256 CHECK (octet_length(token_hash) = 32),
    CONSTRAINT session_tokens_data_length CHECK (octet_length(data) <= 4096)
);
CREATE INDEX session_tokens_of_session ON session_tokens (sid);
CREATE UNIQUE INDEX session_tokens_in_use ON session_tokens (sid) WHERE retired_at IS NULL;

COMMENT ON TABLE session_tokens IS 'The tokens that a session had, at most one of them in use. A token changes when the password is proven again; a sign-out with any of them ends the session.';
COMMENT ON COLUMN session_tokens.token_hash IS 'SHA-256 of the token in the cookie. The token itself is nowhere.';
COMMENT ON COLUMN session_tokens.sid IS 'The session that the token opens.';
COMMENT ON COLUMN session_tokens.data IS 'The session''s record as the server encodes it; empty once the token is retired.';
COMMENT ON COLUMN session_tokens.retired_at IS 'Since when the token opens nothing; null: it is in use.';
