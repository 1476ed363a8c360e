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
