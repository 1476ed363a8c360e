-- +goose Up
CREATE TABLE rooms (
    id         uuid        PRIMARY KEY,
    title      text        NOT NULL,
    visibility text        NOT NULL,
    direct_key text        UNIQUE,
    head_seq   bigint      NOT NULL DEFAULT 0,
    epoch      bigint      NOT NULL DEFAULT 0,
    created_by uuid        NOT NULL REFERENCES users (id),
    created_at timestamptz NOT NULL,
    active_at  timestamptz NOT NULL,
    CONSTRAINT rooms_visibility_known CHECK (visibility IN ('open', 'closed', 'direct')),
    CONSTRAINT rooms_title_length CHECK (char_length(title) <= 80 AND (title = '') = (visibility = 'direct')),
    CONSTRAINT rooms_direct_has_key CHECK ((direct_key IS NOT NULL) = (visibility = 'direct')),
    CONSTRAINT rooms_counters CHECK (head_seq >= 0 AND epoch >= 0)
);
CREATE INDEX rooms_open ON rooms (id) WHERE visibility = 'open';
CREATE INDEX rooms_of_creator ON rooms (created_by) WHERE visibility <> 'direct';

COMMENT ON TABLE rooms IS 'Rooms. The row is also the lock of its room: whoever takes a seq or changes a membership holds it.';
COMMENT ON COLUMN rooms.id IS 'Random UUID.';
COMMENT ON COLUMN rooms.title IS 'What the room is called; empty for a direct room.';
COMMENT ON COLUMN rooms.visibility IS 'open: every signed-in user may find and enter it. closed: only members know of it. direct: two members, for good.';
COMMENT ON COLUMN rooms.direct_key IS 'The two user ids of a direct room, smaller first: one room per pair.';
COMMENT ON COLUMN rooms.head_seq IS 'Seq of the newest change. Seqs of a room have no gaps.';
COMMENT ON COLUMN rooms.epoch IS 'Grows whenever somebody loses a right in this room.';
COMMENT ON COLUMN rooms.created_by IS 'Who made the room.';
COMMENT ON COLUMN rooms.created_at IS 'When the room was made.';
COMMENT ON COLUMN rooms.active_at IS 'When the newest change was made.';

CREATE TABLE members (
    room_id     uuid        NOT NULL REFERENCES rooms (id),
    user_id     uuid        NOT NULL REFERENCES users (id),
    role        text        NOT NULL,
    muted_until timestamptz,
    read_seq    bigint      NOT NULL DEFAULT 0,
    joined_at   timestamptz NOT NULL,
    PRIMARY KEY (room_id, user_id),
    CONSTRAINT members_role_known CHECK (role IN ('reader', 'member', 'moderator', 'owner')),
    CONSTRAINT members_read_seq CHECK (read_seq >= 0)
);
CREATE INDEX members_of_user ON members (user_id);

COMMENT ON TABLE members IS 'Who is in which room, and as what. No row, no right.';
COMMENT ON COLUMN members.room_id IS 'The room.';
COMMENT ON COLUMN members.user_id IS 'The member.';
COMMENT ON COLUMN members.role IS 'reader, member, moderator or owner; what each may do is the table in guard/authz.';
COMMENT ON COLUMN members.muted_until IS 'Until when the member may not write; null or past: may.';
COMMENT ON COLUMN members.read_seq IS 'How far the member has read.';
COMMENT ON COLUMN members.joined_at IS 'Since when the user is a member.';

CREATE TABLE bans (
    room_id   uuid        NOT NULL REFERENCES rooms (id),
    user_id   uuid        NOT NULL REFERENCES users (id),
    banned_by uuid        NOT NULL REFERENCES users (id),
    at        timestamptz NOT NULL,
    PRIMARY KEY (room_id, user_id)
);

COMMENT ON TABLE bans IS 'Who may not enter which room. A banned user is never a member.';
COMMENT ON COLUMN bans.room_id IS 'The room.';
COMMENT ON COLUMN bans.user_id IS 'The banned user.';
COMMENT ON COLUMN bans.banned_by IS 'The moderator who did it.';
COMMENT ON COLUMN bans.at IS 'When it was done.';

CREATE TABLE sanctions (
    room_id     uuid        NOT NULL REFERENCES rooms (id),
    user_id     uuid        NOT NULL REFERENCES users (id),
    role        text        NOT NULL,
    muted_until timestamptz,
    PRIMARY KEY (room_id, user_id),
    CONSTRAINT sanctions_role_known CHECK (role IN ('reader', 'member'))
);

COMMENT ON TABLE sanctions IS 'What a member who is gone brings back when they return: leaving a room and entering it again must not end a mute or make a reader a member.';
COMMENT ON COLUMN sanctions.room_id IS 'The room.';
COMMENT ON COLUMN sanctions.user_id IS 'The former member.';
COMMENT ON COLUMN sanctions.role IS 'What they return as: reader, or member.';
COMMENT ON COLUMN sanctions.muted_until IS 'Until when they may not write; null: they may.';
