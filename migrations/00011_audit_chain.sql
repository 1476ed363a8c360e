-- +goose Up
-- The id becomes the row's place in the chain, given by who writes it, without gaps.
ALTER TABLE security_events ALTER COLUMN id DROP IDENTITY;
ALTER TABLE security_events
    ADD COLUMN prev bytea NOT NULL DEFAULT '',
    ADD COLUMN hash bytea NOT NULL DEFAULT '';
ALTER TABLE security_events
    ALTER COLUMN prev DROP DEFAULT,
    ALTER COLUMN hash DROP DEFAULT;

COMMENT ON COLUMN security_events.id IS 'The row''s place in the chain: 1, 2, 3 … without gaps, in the order of commit, so that a reader who has read up to one has missed none.';
COMMENT ON COLUMN security_events.prev IS 'Hash of the row before; empty: the chain begins here, or the row is from before there was one.';
COMMENT ON COLUMN security_events.hash IS 'HMAC-SHA-256 over the place, all fields and prev. The key is not in this database. Empty: from before the chain.';

CREATE TABLE security_anchors (
    id   bigint      PRIMARY KEY,
    hash bytea       NOT NULL,
    at   timestamptz NOT NULL,
    mac  bytea       NOT NULL
);

COMMENT ON TABLE security_anchors IS 'Where the chain of security_events goes on after retention has removed its beginning.';
COMMENT ON COLUMN security_anchors.id IS 'The last row that was removed.';
COMMENT ON COLUMN security_anchors.hash IS 'Its hash.';
COMMENT ON COLUMN security_anchors.at IS 'When it was removed.';
COMMENT ON COLUMN security_anchors.mac IS 'HMAC-SHA-256 over the other columns: retention has the key, and others have not.';

CREATE TABLE audit_keys (
    secret     bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT audit_keys_secret_length CHECK (octet_length(secret) = 32)
);
CREATE UNIQUE INDEX audit_keys_one ON audit_keys ((true));

COMMENT ON TABLE audit_keys IS 'The key of the chain in development, made once, so that nodes on one database share it. Production takes its key from PORTCULLIS_AUDIT_KEY and leaves this empty.';
COMMENT ON COLUMN audit_keys.secret IS 'The key: 32 random bytes.';
COMMENT ON COLUMN audit_keys.created_at IS 'When it was made.';

-- Retention is the only way to remove events, and the database's clock decides: a stolen
-- password of the application removes nothing that is younger than 90 days.
--control:name least-privilege
-- +goose StatementBegin
CREATE FUNCTION purge_security_events(upto bigint, anchored_at timestamptz, anchor_mac bytea) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE removed bigint;
BEGIN
    IF EXISTS (SELECT FROM public.security_events WHERE id <= upto AND at > clock_timestamp() - interval '90 days') THEN
        RAISE EXCEPTION 'security events are kept for 90 days' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO public.security_anchors (id, hash, at, mac) SELECT id, hash, anchored_at, anchor_mac FROM public.security_events WHERE id = upto;
    DELETE FROM public.security_events WHERE id <= upto;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END
$$;
-- +goose StatementEnd
