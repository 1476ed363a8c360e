-- +goose Up
CREATE TABLE responses (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text        NOT NULL,
    subject_kind text        NOT NULL,
    subject      text        NOT NULL,
    at           timestamptz NOT NULL,
    until        timestamptz NOT NULL,
    by_whom      text        NOT NULL,
    reason       text        NOT NULL,
    lifted_at    timestamptz,
    lifted_by    text,
    CONSTRAINT responses_kind_known CHECK (kind IN ('throttle', 'step_up', 'block')),
    CONSTRAINT responses_subject_known CHECK (subject_kind IN ('network', 'user', 'session') AND subject <> ''),
    CONSTRAINT responses_end CHECK (until > at AND until <= at + interval '24 hours'),
    CONSTRAINT responses_rules_never_block CHECK (kind <> 'block' OR by_whom <> 'rule'),
    CONSTRAINT responses_lifted_by_somebody CHECK ((lifted_at IS NULL) = (lifted_by IS NULL))
);
CREATE INDEX responses_until ON responses (until);

COMMENT ON TABLE responses IS 'What was done about attacks: each ends by itself, can be lifted, and stays for whoever asks later.';
COMMENT ON COLUMN responses.id IS 'Order of writing.';
COMMENT ON COLUMN responses.kind IS 'throttle: half the budgets. step_up: sensitive actions ask for the password again. block: nothing is served.';
COMMENT ON COLUMN responses.subject_kind IS 'network, user or session.';
COMMENT ON COLUMN responses.subject IS 'Prefix of the client address, user id, or short hash of the session id.';
COMMENT ON COLUMN responses.at IS 'When it was decided.';
COMMENT ON COLUMN responses.until IS 'When it ends by itself: a day later at most.';
COMMENT ON COLUMN responses.by_whom IS 'rule, or command.';
COMMENT ON COLUMN responses.reason IS 'Name of the rule, or what the operator wrote.';
COMMENT ON COLUMN responses.lifted_at IS 'When it was taken back; null: it was not.';
COMMENT ON COLUMN responses.lifted_by IS 'Who took it back.';

CREATE TABLE honey (
    kind  text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (kind, value),
    CONSTRAINT honey_kind_known CHECK (kind IN ('room', 'username'))
);
INSERT INTO honey (kind, value) VALUES
    ('room', gen_random_uuid()::text),
    ('username', 'svc-backup-' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 6));

COMMENT ON TABLE honey IS 'What nobody is told of and nothing is behind: whoever uses it has read this table, in the database or in a copy of it.';
COMMENT ON COLUMN honey.kind IS 'room: an id to ask for. username: a name to sign in with.';
COMMENT ON COLUMN honey.value IS 'Random, another one in every database.';
