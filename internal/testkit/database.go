package testkit

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib" // goose works through database/sql
	"github.com/pressly/goose/v3"

	"example.com/portcullis/internal/embedded"
	"example.com/portcullis/migrations"
)

// poolSize is enough to have sessions wait for each other, and leaves room for many tests on one server.
const poolSize = 4

// adminTimeout bounds making and dropping a database on a loaded machine; it takes some 30 ms.
const adminTimeout = time.Minute

// templateLock is the advisory lock under which test processes on one server build the template once.
const templateLock = 727_001

// template is the migrated database that every test's database is a copy of.
type template struct {
	once sync.Once
	name string
	err  error
}

// appRole is the role that the server has in production: it owns nothing and makes no table (migrations/00012_roles.sql).
const appRole = "portcullis_app"

// DB returns a pool on a fresh, migrated database that is dropped when the test ends, as the owner of its tables.
func DB(t testing.TB) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(OwnerURL(DatabaseURL(t)))
	if err != nil {
		t.Fatal("testkit:", err)
	}
	config.MaxConns = poolSize
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal("testkit:", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// DatabaseURL returns the URL of a fresh, migrated database that is dropped when the test ends, open connections or not.
// Whoever uses it has the rights that the server has in production, and no more; see [OwnerURL].
func DatabaseURL(t testing.TB) string {
	t.Helper()
	server := process.postgres.start(t, "DATABASE_URL", embedded.Need{Postgres: true})
	tmpl := &process.template
	tmpl.once.Do(func() { tmpl.name, tmpl.err = buildTemplate(server, migrations.FS) })
	if tmpl.err != nil {
		t.Fatal("testkit: migrate the template database:", tmpl.err)
	}
	return asApp(freshDatabase(t, server, tmpl.name))
}

// OwnerURL is a URL from [DatabaseURL] with the rights of the owner of the tables, for a test that makes a table, breaks
// one, or does what only somebody with the owner's password can.
func OwnerURL(database string) string {
	if u, err := url.Parse(database); err == nil && u.Scheme != "" {
		q := u.Query()
		q.Del("role")
		u.RawQuery = q.Encode()
		return u.String()
	}
	return strings.TrimSuffix(database, " role="+appRole)
}

// asApp makes PostgreSQL set the role when a session begins. Rights are those of the role then, as after a sign-in with it.
func asApp(database string) string {
	u, err := url.Parse(database)
	if err != nil || u.Scheme == "" {
		return database + " role=" + appRole
	}
	q := u.Query()
	q.Set("role", appRole)
	u.RawQuery = q.Encode()
	return u.String()
}

func freshDatabase(t testing.TB, server, template string) string {
	t.Helper()
	name := "t_" + strings.ToLower(rand.Text()[:16])
	// FILE_COPY is the faster strategy for a small template on a server without fsync.
	if err := admin(server, "CREATE DATABASE "+name+" TEMPLATE "+template+" STRATEGY FILE_COPY"); err != nil {
		t.Fatal("testkit: create database:", err)
	}
	t.Cleanup(func() {
		if err := admin(server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error("testkit: drop database:", err)
		}
	})
	return onDatabase(server, name)
}

// buildTemplate makes the database for these migrations, unless the server has it. Its name is the migrations' content.
func buildTemplate(server string, files fs.FS) (name string, err error) {
	sum, err := contentHash(files)
	if err != nil {
		return "", err
	}
	name = "tmpl_" + sum[:16]
	return name, withConn(server, func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", templateLock); err != nil { // ends with the connection
			return err
		}
		var ready bool
		err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)", name).Scan(&ready)
		if err != nil || ready {
			return err
		}
		for _, statement := range []string{"DROP DATABASE IF EXISTS " + name, "CREATE DATABASE " + name} {
			if _, err := conn.Exec(ctx, statement); err != nil {
				return err
			}
		}
		if err := migrate(ctx, onDatabase(server, name), files); err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "ALTER DATABASE "+name+" IS_TEMPLATE true ALLOW_CONNECTIONS false")
		return err
	})
}

func migrate(ctx context.Context, database string, files fs.FS) error {
	db, err := sql.Open("pgx", database)
	if err != nil {
		return err
	}
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// contentHash covers the names and the contents.
func contentHash(files fs.FS) (string, error) {
	h := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		fmt.Fprintf(h, "%s %d\n%s\n", path, len(content), content)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// admin runs one statement on the server's own database.
func admin(server, statement string) error {
	return withConn(server, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, statement)
		return err
	})
}

// withConn lends a connection that lives for one call: no pool, and so no goroutine that outlives a test.
func withConn(server string, use func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return use(ctx, conn)
}

// onDatabase is the server's connection string with another database.
func onDatabase(server, name string) string {
	u, err := url.Parse(server)
	if err != nil || u.Scheme == "" {
		return server + " dbname=" + name // "host=… user=…": the last dbname counts
	}
	u.Path = "/" + name
	return u.String()
}
