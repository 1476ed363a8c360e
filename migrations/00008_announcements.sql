-- +goose Up
CREATE TABLE announcements (
    seq  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    body text        NOT NULL,
    at   timestamptz NOT NULL,
    CONSTRAINT announcements_body_length CHECK (char_length(body) BETWEEN 1 AND 4096)
);

COMMENT ON TABLE announcements IS 'What the operator tells everybody, written by the announce command. Public by definition: nothing of a user and no secret is ever in it.';
COMMENT ON COLUMN announcements.seq IS 'Order of announcing. Written one at a time, so that a reader who has a seq has all before it.';
COMMENT ON COLUMN announcements.body IS 'The text, as the operator gave it.';
COMMENT ON COLUMN announcements.at IS 'When.';
