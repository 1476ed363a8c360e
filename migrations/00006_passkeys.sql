-- +goose Up
CREATE TABLE passkeys (
    id            uuid        PRIMARY KEY,
    user_id       uuid        NOT NULL REFERENCES users (id),
    credential_id bytea       NOT NULL UNIQUE,
    public_key    bytea       NOT NULL,
    sign_count    bigint      NOT NULL,
    flags         smallint    NOT NULL,
    aaguid        bytea       NOT NULL,
    name          text        NOT NULL,
    created_at    timestamptz NOT NULL,
    last_used_at  timestamptz,
    CONSTRAINT passkeys_credential_id_length CHECK (octet_length(credential_id) BETWEEN 1 AND 1023),
    CONSTRAINT passkeys_public_key_length CHECK (octet_length(public_key) BETWEEN 1 AND 4096),
    CONSTRAINT passkeys_sign_count_range CHECK (sign_count BETWEEN 0 AND 4294967295),
    CONSTRAINT passkeys_flags_byte CHECK (flags BETWEEN 0 AND 255),
    CONSTRAINT passkeys_name_length CHECK (char_length(name) BETWEEN 1 AND 64)
);
CREATE INDEX passkeys_of_user ON passkeys (user_id);

COMMENT ON TABLE passkeys IS 'Public keys that stand in for a password. Nothing in it is secret; whoever can write here can sign in as anybody.';
COMMENT ON COLUMN passkeys.id IS 'Random UUID by which the owner removes it.';
COMMENT ON COLUMN passkeys.user_id IS 'Whose it is. Never changes.';
COMMENT ON COLUMN passkeys.credential_id IS 'The device''s own name for the key.';
COMMENT ON COLUMN passkeys.public_key IS 'COSE key.';
COMMENT ON COLUMN passkeys.sign_count IS 'Counter of the last use. One that does not rise means that there are two copies; zero: this device does not count.';
COMMENT ON COLUMN passkeys.flags IS 'Flags of the authenticator data at registration: whether the key may be synchronised.';
COMMENT ON COLUMN passkeys.aaguid IS 'Model of the device, as it says itself; zero for most.';
COMMENT ON COLUMN passkeys.name IS 'What the owner calls it.';
COMMENT ON COLUMN passkeys.created_at IS 'When it was registered.';
COMMENT ON COLUMN passkeys.last_used_at IS 'When it last proved who its owner is; null: never.';

CREATE TABLE passkey_ceremonies (
    sid        uuid        NOT NULL REFERENCES sessions (sid) ON DELETE CASCADE,
    purpose    text        NOT NULL,
    data       text        NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (sid, purpose),
    CONSTRAINT passkey_ceremonies_purpose_known CHECK (purpose IN ('register', 'sign_in', 'step_up')),
    CONSTRAINT passkey_ceremonies_data_length CHECK (length(data) <= 16384)
);

COMMENT ON TABLE passkey_ceremonies IS 'Questions to devices that wait for their one answer. Reading one removes it; what is left goes with its session.';
COMMENT ON COLUMN passkey_ceremonies.sid IS 'The session that was asked, and that has to answer.';
COMMENT ON COLUMN passkey_ceremonies.purpose IS 'register, sign_in or step_up.';
COMMENT ON COLUMN passkey_ceremonies.data IS 'The challenge and what the answer has to fit, as JSON.';
COMMENT ON COLUMN passkey_ceremonies.expires_at IS 'When an answer is too late.';
