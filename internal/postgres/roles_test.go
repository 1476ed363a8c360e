package postgres

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/portcullis/internal/guard/audit"
	"example.com/portcullis/internal/secret"
	"example.com/portcullis/internal/testkit"
)

// owner runs SQL as the owner of the tables, who may do everything to them.
func (w *world) owner(sql string) {
	w.Helper()
	c, err := pgx.Connect(w.ctx, testkit.OwnerURL(w.url))
	if err != nil {
		w.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(w.ctx))
	if _, err := c.Exec(w.ctx, sql); err != nil {
		w.Fatal(err)
	}
}

// as runs SQL as another role.
func (w *world) as(role, sql string) error {
	w.Helper()
	c, err := pgx.Connect(w.ctx, with(w, testkit.OwnerURL(w.url), "role", role))
	if err != nil {
		w.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(w.ctx))
	_, err = c.Exec(w.ctx, sql)
	return err
}

// Somebody makes the server run a statement of their own.
//
//control:proves least-privilege
func TestRole_ofTheServerCannotRunWhatAnIntruderWants(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.record(1, w.now())
	const row = `, now(), '', '', '', '', '', '', '', '', '', '', '', '', '', 0, 0, 0, '', `
	for name, sql := range map[string]string{
		"make a table":                      `CREATE TABLE mine (a int)`,
		"make a function":                   `CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
		"make a schema":                     `CREATE SCHEMA mine`,
		"make a role":                       `CREATE ROLE mine SUPERUSER`,
		"make a database":                   `CREATE DATABASE mine`,
		"drop a table":                      `DROP TABLE messages`,
		"empty a table":                     `TRUNCATE messages`,
		"change a table":                    `ALTER TABLE users ADD COLUMN mine text`,
		"switch a trigger off":              `ALTER TABLE users DISABLE TRIGGER ALL`,
		"change an event":                   `UPDATE security_events SET name = 'x'`,
		"remove an event":                   `DELETE FROM security_events`,
		"empty the log":                     `TRUNCATE security_events`,
		"make an old anchor new":            `UPDATE security_anchors SET id = 1`,
		"take the last place of the log":    `INSERT INTO security_events VALUES (9223372036854775807` + row + `(SELECT hash FROM security_events), sha256('x'))`,
		"take a place further on":           `INSERT INTO security_events VALUES (3` + row + `(SELECT hash FROM security_events), sha256('x'))`,
		"take a place before the log":       `INSERT INTO security_events VALUES (-1` + row + `'', sha256('x'))`,
		"take the next and the last place":  `INSERT INTO security_events SELECT id` + row + `(SELECT hash FROM security_events), sha256('x') FROM unnest(ARRAY[2, 9223372036854775807]) id`,
		"follow another row than the last":  `INSERT INTO security_events VALUES (2` + row + `sha256('y'), sha256('x'))`,
		"add a row without a hash":          `INSERT INTO security_events VALUES (2` + row + `(SELECT hash FROM security_events), '')`,
		"make up an anchor":                 `INSERT INTO security_anchors VALUES (9223372036854775807, sha256('x'), now(), '')`,
		"switch the log's trigger off":      `ALTER TABLE security_events DISABLE TRIGGER ALL`,
		"switch all triggers off":           `SET session_replication_role = replica`,
		"purge what is young":               `SELECT purge_security_events(1, now(), '')`,
		"pretend that migrations have run":  `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)`,
		"start a program":                   `COPY users TO PROGRAM 'cat'`,
		"write a file of the server":        `COPY users TO '/tmp/portcullis-mine'`,
		"read a file of the server":         `SELECT pg_read_file('postgresql.conf')`,
		"list a folder of the server":       `SELECT pg_ls_dir('.')`,
		"read other roles' password hashes": `SELECT rolpassword FROM pg_authid`,
		"set the owner's parameters":        `ALTER SYSTEM SET log_statement = 'none'`,
		"load a library":                    `LOAD '/tmp/mine.so'`,
		"import a large object from a file": `SELECT lo_import('/etc/passwd')`,
	} {
		t.Run(name, func(t *testing.T) {
			c, err := pgx.Connect(w.ctx, w.url)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(context.WithoutCancel(w.ctx))
			_, err = c.Exec(w.ctx, sql)
			refused, ok := errors.AsType[*pgconn.PgError](err)
			if !ok || refused.Code != "42501" { // insufficient_privilege
				t.Errorf("%s: error %v; want that the database refuses it", sql, err)
			}
		})
	}
	if n := ask[int](w, `SELECT count(*) FROM security_events`); n != 1 {
		t.Errorf("%d events are left, want the one", n)
	}
	if head := w.record(3, w.now()); head.ID != 4 {
		t.Errorf("the log went on to %d, want 4", head.ID)
	}
}

// Whoever has the server's role can add the next row, as the server can. It is found, and
// the log goes on behind it.
//
//control:proves least-privilege
//control:proves audit-chain
func TestInsert_goesOnAfterARowThatAnIntruderAdded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.record(2, w.now())
	if err := w.as("portcullis_app", `INSERT INTO security_events SELECT 3, at, name, level, control, reason, user_id, username, session, conn, request, room, ip, origin,
		user_agent, close_code, took_us, count, detail, hash, sha256('x') FROM security_events WHERE id = 2`); err != nil {
		t.Fatal(err)
	}
	head := w.record(2, w.now())
	if got := w.verify(0, &head); head.ID != 5 || len(got.Findings) != 1 || got.Findings[0].Fault != audit.Changed || got.Findings[0].First != 3 {
		t.Errorf("the log goes on to %d, findings %v; want 5 and row 3", head.ID, got.Findings)
	}
}

//control:proves least-privilege
func TestExcess_isEmptyForTheServersRoleAndSaysWhatTheOwnerMay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	if list, err := w.Excess(w.ctx); err != nil || len(list) > 0 {
		t.Errorf("the server's own role has %q, error %v; want nothing", list, err)
	}
	owner, err := Open(w.ctx, secret.NewText(testkit.OwnerURL(w.url)), Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	list, err := owner.Excess(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"it may change or remove security events", "it may create tables", "it owns tables"} {
		if !slices.Contains(list, want) {
			t.Errorf("of the owner it says %q, and not %q", list, want)
		}
	}
}

// The other two roles, for a collector and for people.
//
//control:proves least-privilege
func TestRole_ofTheCollectorAddsAndOfTheAuditorReadsAndNeitherDoesMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.record(2, w.now())
	for _, tt := range []struct {
		role, sql string
		allowed   bool
	}{
		{"portcullis_auditor", `SELECT count(*) FROM security_events`, true},
		{"portcullis_auditor", `SELECT count(*) FROM security_anchors`, true},
		{"portcullis_auditor", `DELETE FROM security_events`, false},
		{"portcullis_auditor", `SELECT count(*) FROM messages`, false},
		{"portcullis_auditor", `SELECT count(*) FROM audit_keys`, false},
		{"portcullis_audit", copyRow("id + 2", "hash") + ` WHERE false`, false}, // reads what it may not
		{"portcullis_audit", `INSERT INTO security_events SELECT id + 1, now(), '', '', '', '', '', '', '', '', '', '', '', '', '', 0, 0, 0, '', hash, sha256('x') FROM security_events WHERE id = 2`, true},
		{"portcullis_audit", `INSERT INTO security_events SELECT 9223372036854775807, now(), '', '', '', '', '', '', '', '', '', '', '', '', '', 0, 0, 0, '', hash, sha256('x') FROM security_events WHERE id = 3`, false},
		{"portcullis_audit", `INSERT INTO security_anchors VALUES (9, '', now(), '')`, false},
		{"portcullis_audit", `SELECT max(id) FROM security_events`, true},
		{"portcullis_audit", `SELECT detail FROM security_events`, false},
		{"portcullis_audit", `UPDATE security_events SET detail = ''`, false},
		{"portcullis_audit", `SELECT count(*) FROM users`, false},
	} {
		err := w.as(tt.role, tt.sql)
		refused, _ := errors.AsType[*pgconn.PgError](err)
		if tt.allowed && err != nil || !tt.allowed && (refused == nil || refused.Code != "42501") {
			t.Errorf("%s: %s: error %v, want allowed: %v", tt.role, tt.sql, err, tt.allowed)
		}
	}
}

// A function that a later migration makes, and that runs with the owner's rights, is
// nobody's to call until it is granted.
//
//control:proves least-privilege
func TestRole_ofTheServerCallsNoFunctionThatItWasNotGranted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.owner(`CREATE FUNCTION later() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM goose_db_version'`)
	for _, role := range []string{"portcullis_app", "portcullis_audit", "portcullis_auditor"} {
		refused, ok := errors.AsType[*pgconn.PgError](w.as(role, `SELECT later()`))
		if !ok || refused.Code != "42501" {
			t.Errorf("%s may call a function of the owner's: %v", role, refused)
		}
	}
	if open := ask[string](w, `SELECT coalesce(string_agg(proname, ' '), '') FROM pg_proc
		WHERE pronamespace = 'public'::regnamespace AND has_function_privilege('portcullis_auditor', oid, 'EXECUTE')`); open != "" {
		t.Errorf("everybody may call %s", open)
	}
	w.owner(`GRANT EXECUTE ON FUNCTION later() TO portcullis_app`)
	if err := w.as("portcullis_app", `SELECT later()`); err != nil {
		t.Errorf("after the grant: %v", err)
	}
}
