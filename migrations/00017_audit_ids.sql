-- +goose Up
-- The place of a row in the chain is given by whoever writes it, under the lock of the
-- chain, because the hash covers it. So the table has to see to it that there is one place
-- to give: the next. Otherwise one row with the largest id there is, from one injected
-- statement, leaves no place for any other, and the log stands still until the owner comes.
--
-- The owner can switch this off. The walk along the chain is about the owner.
--control:name least-privilege
-- +goose StatementBegin
CREATE FUNCTION continue_security_events() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE head record;
BEGIN
    PERFORM pg_advisory_xact_lock(7270012); -- the writer's own: whoever comes without it waits here
    SELECT h.id, h.hash INTO head FROM (
        (SELECT e.id, e.hash FROM public.security_events e WHERE e.id > 0 ORDER BY e.id DESC LIMIT 1)
        UNION ALL
        (SELECT a.id, a.hash FROM public.security_anchors a WHERE a.id > 0 ORDER BY a.id DESC LIMIT 1)
    ) h ORDER BY h.id DESC LIMIT 1;
    IF NEW.id <> coalesce(head.id, 0) + 1 OR NEW.prev <> coalesce(head.hash, '') OR octet_length(NEW.hash) <> 32 THEN
        RAISE EXCEPTION 'a security event continues the chain' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER security_events_continue BEFORE INSERT ON security_events FOR EACH ROW EXECUTE FUNCTION continue_security_events();

-- Anchors are made by the function of retention, from rows that are there.
--control:name least-privilege
REVOKE INSERT ON security_anchors FROM portcullis_app;
