-- +goose Up
CREATE TABLE users (
    id             uuid        PRIMARY KEY,
    username       text        NOT NULL UNIQUE,
    skeleton       text        NOT NULL UNIQUE GENERATED ALWAYS AS (replace(translate(username, '01._', 'ol--'), 'm', 'rn')) STORED,
    display_name   text        NOT NULL,
    role           text        NOT NULL,
    password_hash  text        NOT NULL,
    credential_gen bigint      NOT NULL DEFAULT 0,
    disabled_at    timestamptz,
    created_at     timestamptz NOT NULL,
    CONSTRAINT users_username_form CHECK (username ~ '^[a-z0-9][a-z0-9._-]{0,30}[a-z0-9]$'),
    CONSTRAINT users_display_name_length CHECK (char_length(display_name) BETWEEN 1 AND 64),
    CONSTRAINT users_role_known CHECK (role IN ('user', 'auditor', 'admin')),
    CONSTRAINT users_password_hash_form CHECK (password_hash LIKE '$%' AND length(password_hash) <= 512)
);

COMMENT ON TABLE users IS 'Accounts. Rows stay: a disabled account keeps its messages and its name.';
COMMENT ON COLUMN users.id IS 'Random UUID. Public.';
COMMENT ON COLUMN users.username IS 'What the user signs in with and is found by: lower-case ASCII.';
COMMENT ON COLUMN users.skeleton IS 'What the username looks like: 0 as o, 1 as l, m as rn, dots and underscores as dashes. Unique, so that nobody signs up as a look-alike (UTS 39).';
COMMENT ON COLUMN users.display_name IS 'How others see the user. Not unique: never identify anybody by it.';
COMMENT ON COLUMN users.role IS 'What the user may do outside rooms: user, auditor or admin.';
COMMENT ON COLUMN users.password_hash IS 'argon2id in PHC form. The password itself is nowhere.';
COMMENT ON COLUMN users.credential_gen IS 'Rises with every change of password, role or standing. A sign-in that read another one does not become a session.';
COMMENT ON COLUMN users.disabled_at IS 'Since when the account may not sign in; null: it may.';
COMMENT ON COLUMN users.created_at IS 'When the account was made.';
