package postgres

import (
	"context"
	"fmt"
)

// excess lists what the role of this connection may and a server should not. Each line is
// a way from one injected statement, or one stolen password, to something that no
// transaction takes back.
//
//control:name least-privilege
const excess query = `
SELECT what FROM (
	SELECT 'it is a superuser' AS what FROM pg_roles WHERE rolname = current_user AND rolsuper
	UNION ALL SELECT 'it may create roles' FROM pg_roles WHERE rolname = current_user AND rolcreaterole
	UNION ALL SELECT 'it may create databases' FROM pg_roles WHERE rolname = current_user AND rolcreatedb
	UNION ALL SELECT 'it reads past row security' FROM pg_roles WHERE rolname = current_user AND rolbypassrls
	UNION ALL SELECT 'it may create tables' WHERE has_schema_privilege('public', 'CREATE')
	UNION ALL SELECT 'it may create schemas' WHERE has_database_privilege(current_database(), 'CREATE')
	UNION ALL SELECT 'it owns tables' WHERE EXISTS (
		SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'public' AND pg_has_role(c.relowner, 'MEMBER'))
	UNION ALL SELECT 'it may change or remove security events' WHERE has_table_privilege('security_events', 'UPDATE, DELETE, TRUNCATE')
		OR has_table_privilege('security_anchors', 'INSERT, UPDATE, DELETE, TRUNCATE')
	UNION ALL SELECT 'it reads or writes files of the server, or starts programs there' WHERE EXISTS (
		SELECT FROM pg_roles r WHERE r.rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
			AND pg_has_role(r.oid, 'MEMBER'))
) x ORDER BY what LIMIT 20`

// Excess is what the role that this DB signs in as may and a server should not: nothing,
// when it is portcullis_app or a role in it.
//
// Threat: the server is what the whole world talks to. Whoever makes it run a statement,
// or reads its password, has the rights of its role: with those of the owner they change
// what the log says and drop what it lies in, with those of a superuser they start
// programs on the database's machine (COPY … PROGRAM).
//
// Rule: the server's role reads and writes rows, and of the security log it only adds and
// reads. Migrations run as another role, which serves nobody.
//
//control:name least-privilege
func (db *DB) Excess(ctx context.Context) (list []string, err error) {
	err = db.do(ctx, func(ctx context.Context, c conn) error {
		list, err = all(ctx, c, value[string], excess)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read rights: %w", err)
	}
	return list, nil
}
