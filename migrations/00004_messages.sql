-- +goose Up
CREATE TABLE messages (
    id         uuid        PRIMARY KEY,
    room_id    uuid        NOT NULL REFERENCES rooms (id),
    seq        bigint      NOT NULL,
    author_id  uuid        NOT NULL REFERENCES users (id),
    client_id  uuid        NOT NULL,
    body       text        NOT NULL,
    reply_to   uuid        REFERENCES messages (id),
    created_at timestamptz NOT NULL,
    edited_at  timestamptz,
    deleted_at timestamptz,
    search     tsvector    NOT NULL GENERATED ALWAYS AS (to_tsvector('simple', body)) STORED,
    CONSTRAINT messages_place UNIQUE (room_id, seq),
    CONSTRAINT messages_once UNIQUE (author_id, client_id),
    CONSTRAINT messages_body_length CHECK (char_length(body) <= 4096),
    CONSTRAINT messages_deleted_is_empty CHECK (deleted_at IS NULL OR body = ''),
    CONSTRAINT messages_seq CHECK (seq > 0)
);
CREATE INDEX messages_words ON messages USING gin (search);

COMMENT ON TABLE messages IS 'Messages as they are now. A deleted message keeps its place and loses its body.';
COMMENT ON COLUMN messages.id IS 'Random UUID, made by the server.';
COMMENT ON COLUMN messages.room_id IS 'The room.';
COMMENT ON COLUMN messages.seq IS 'The message''s place: seq of its message.new in changes.';
COMMENT ON COLUMN messages.author_id IS 'Who wrote it.';
COMMENT ON COLUMN messages.client_id IS 'UUIDv7 chosen by the author''s client; unique per author, so that sending twice stores once.';
COMMENT ON COLUMN messages.body IS 'Plain text, at most 4,096 characters; empty when deleted.';
COMMENT ON COLUMN messages.reply_to IS 'The message of the same room that this one answers; null: none.';
COMMENT ON COLUMN messages.created_at IS 'When it was sent.';
COMMENT ON COLUMN messages.edited_at IS 'When it was last changed; null: never.';
COMMENT ON COLUMN messages.deleted_at IS 'When it was deleted; null: not.';
COMMENT ON COLUMN messages.search IS 'The words of the body, for search. No language is assumed.';

CREATE TABLE message_edits (
    message_id uuid        NOT NULL REFERENCES messages (id),
    seq        bigint      NOT NULL,
    by_user    uuid        NOT NULL REFERENCES users (id),
    old_body   text        NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (message_id, seq)
);
CREATE INDEX message_edits_at ON message_edits (at);

COMMENT ON TABLE message_edits IS 'What messages said before they were changed or deleted, so that abuse can be answered. Kept 30 days; no page shows it.';
COMMENT ON COLUMN message_edits.message_id IS 'The message.';
COMMENT ON COLUMN message_edits.seq IS 'Seq of the change that replaced the old body.';
COMMENT ON COLUMN message_edits.by_user IS 'Who made that change.';
COMMENT ON COLUMN message_edits.old_body IS 'What the message said before.';
COMMENT ON COLUMN message_edits.at IS 'When it was changed.';

CREATE TABLE reactions (
    message_id uuid        NOT NULL REFERENCES messages (id),
    user_id    uuid        NOT NULL REFERENCES users (id),
    emoji      text        NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (message_id, user_id, emoji),
    CONSTRAINT reactions_emoji_length CHECK (char_length(emoji) BETWEEN 1 AND 16)
);

COMMENT ON TABLE reactions IS 'Who reacted to which message with what.';
COMMENT ON COLUMN reactions.message_id IS 'The message.';
COMMENT ON COLUMN reactions.user_id IS 'Who reacted.';
COMMENT ON COLUMN reactions.emoji IS 'One emoji of the fixed list in internal/chat.';
COMMENT ON COLUMN reactions.at IS 'When.';

-- Without foreign keys: a change is written by the statement that writes its message,
-- and each check would lock a row that was written a moment ago. They were half of the
-- cost of a post.
CREATE TABLE changes (
    room_id    uuid        NOT NULL,
    seq        bigint      NOT NULL,
    kind       text        NOT NULL,
    message_id uuid        NOT NULL,
    by_user    uuid        NOT NULL,
    at         timestamptz NOT NULL,
    epoch      bigint      NOT NULL,
    PRIMARY KEY (room_id, seq),
    CONSTRAINT changes_kind_known CHECK (kind IN ('message.new', 'message.edited', 'message.deleted', 'reaction.changed'))
);
CREATE UNIQUE INDEX changes_deletions ON changes (message_id) WHERE kind = 'message.deleted';

COMMENT ON TABLE changes IS 'Every step of every room''s history, without gaps. What the message was is not kept here: a replay tells how it is now.';
COMMENT ON COLUMN changes.room_id IS 'The room.';
COMMENT ON COLUMN changes.seq IS 'The step: 1, 2, 3 … without gaps.';
COMMENT ON COLUMN changes.kind IS 'What happened to the message; also the type of the server event.';
COMMENT ON COLUMN changes.message_id IS 'The message that it happened to.';
COMMENT ON COLUMN changes.by_user IS 'Who did it.';
COMMENT ON COLUMN changes.at IS 'When.';
COMMENT ON COLUMN changes.epoch IS 'The room''s epoch at that moment: a node that knows an older one re-reads its members before it delivers.';
