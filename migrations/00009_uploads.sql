-- +goose Up
CREATE TABLE uploads (
    id         uuid        PRIMARY KEY,
    room_id    uuid        NOT NULL REFERENCES rooms (id),
    user_id    uuid        NOT NULL REFERENCES users (id),
    message_id uuid        REFERENCES messages (id),
    place      integer     NOT NULL DEFAULT 0,
    state      text        NOT NULL,
    name       text        NOT NULL,
    mime       text        NOT NULL,
    size       bigint      NOT NULL,
    width      integer     NOT NULL,
    height     integer     NOT NULL,
    bytes      bytea       NOT NULL,
    created_at timestamptz NOT NULL,
    scans      integer     NOT NULL DEFAULT 0,
    scan_after timestamptz NOT NULL,
    CONSTRAINT uploads_state_known CHECK (state IN ('pending', 'clean')),
    CONSTRAINT uploads_attached_is_clean CHECK (message_id IS NULL OR state = 'clean'),
    CONSTRAINT uploads_mime_known CHECK (mime IN ('image/png', 'image/jpeg', 'text/plain', 'application/pdf')),
    CONSTRAINT uploads_name_length CHECK (char_length(name) BETWEEN 1 AND 80),
    CONSTRAINT uploads_size CHECK (size = octet_length(bytes) AND size BETWEEN 1 AND 20971520),
    CONSTRAINT uploads_sides CHECK (width BETWEEN 0 AND 8192 AND height BETWEEN 0 AND 8192)
);
-- Not compressed, so that a piece from the middle is read without the rest.
ALTER TABLE uploads ALTER COLUMN bytes SET STORAGE EXTERNAL;
CREATE INDEX uploads_of_user ON uploads (user_id);
CREATE INDEX uploads_of_message ON uploads (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX uploads_in_quarantine ON uploads (scan_after) WHERE state = 'pending';
CREATE INDEX uploads_abandoned ON uploads (created_at) WHERE message_id IS NULL;

COMMENT ON TABLE uploads IS 'Files. What is here was made by us (pictures) or is only offered as an attachment (text, PDF).';
COMMENT ON COLUMN uploads.id IS 'Random UUID, and all that an address names.';
COMMENT ON COLUMN uploads.room_id IS 'The room that it was sent to, and may be posted in.';
COMMENT ON COLUMN uploads.user_id IS 'Who sent it; their quota counts it.';
COMMENT ON COLUMN uploads.message_id IS 'The message that carries it; null: none yet, and after an hour it is removed.';
COMMENT ON COLUMN uploads.place IS 'Order among the files of a message.';
COMMENT ON COLUMN uploads.state IS 'pending: in quarantine, neither served nor attachable. clean: scanned.';
COMMENT ON COLUMN uploads.name IS 'Cleaned file name, for people.';
COMMENT ON COLUMN uploads.mime IS 'What it is, by our own judgement.';
COMMENT ON COLUMN uploads.size IS 'Bytes.';
COMMENT ON COLUMN uploads.width IS 'Pixels; 0: not a picture.';
COMMENT ON COLUMN uploads.height IS 'Pixels; 0: not a picture.';
COMMENT ON COLUMN uploads.bytes IS 'The file.';
COMMENT ON COLUMN uploads.created_at IS 'When it was sent.';
COMMENT ON COLUMN uploads.scans IS 'How often the scanner was asked again.';
COMMENT ON COLUMN uploads.scan_after IS 'When it is asked next, while pending.';
