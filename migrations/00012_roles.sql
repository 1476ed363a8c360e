-- +goose Up
-- Three roles beside the owner, who migrates. Roles belong to the whole server, so they
-- may be there already, made by an operator who gave them a password. Made here, nobody
-- can sign in as them until somebody says ALTER ROLE … LOGIN PASSWORD …, or makes a
-- login that is IN ROLE.
-- +goose StatementBegin
DO $$
DECLARE wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['portcullis_app', 'portcullis_audit', 'portcullis_auditor'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN NULL; -- another database on this server was faster
                WHEN insufficient_privilege THEN
                    RAISE EXCEPTION 'the role % is missing and this role may not create it', wanted
                        USING HINT = 'As an administrator: CREATE ROLE portcullis_app NOLOGIN; CREATE ROLE portcullis_audit NOLOGIN; CREATE ROLE portcullis_auditor NOLOGIN;';
            END;
        END IF;
    END LOOP;
END
$$;
-- +goose StatementEnd

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO portcullis_app, portcullis_audit, portcullis_auditor;

-- The server reads and writes rows. It makes, changes and drops no table.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO portcullis_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO portcullis_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO portcullis_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO portcullis_app;

-- What happened, happened: it may add to the log and read it, and not even the function
-- of retention takes less than 90 days from it.
--control:name least-privilege
REVOKE UPDATE, DELETE ON security_events, security_anchors FROM portcullis_app;
REVOKE INSERT, UPDATE, DELETE ON goose_db_version FROM portcullis_app;
REVOKE ALL ON FUNCTION purge_security_events(bigint, timestamptz, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION purge_security_events(bigint, timestamptz, bytea) TO portcullis_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- For a collector of its own, which appends. It reads the chain's end and nothing else.
GRANT INSERT ON security_events TO portcullis_audit;
GRANT SELECT (id, hash) ON security_events, security_anchors TO portcullis_audit;

-- For people who look at the log, and verify it with the key.
GRANT SELECT ON security_events, security_anchors TO portcullis_auditor;
