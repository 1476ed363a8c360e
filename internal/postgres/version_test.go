package postgres

import (
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"example.com/portcullis/internal/chat"
	"example.com/portcullis/internal/secret"
	"example.com/portcullis/internal/testkit"
)

func TestMajor(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]int{
		"15.18 (Debian 15.18-0+deb12u1)": 15, "18.4": 18, "19beta2": 19, "20devel": 20, "9.6.24": 9, "": 0, "none": 0,
		"99999999999999999999": 0,
	} {
		if got := major(version); got != want {
			t.Errorf("%q = %d, want %d", version, got, want)
		}
	}
}

// oldServer lets everybody in, says that it is of this version, and answers nothing else.
func oldServer(t *testing.T, version string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-ended })
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := pgproto3.NewBackend(c, c)
			if _, err := b.ReceiveStartupMessage(); err == nil {
				b.Send(&pgproto3.AuthenticationOk{})
				b.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: version})
				b.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte("1234")})
				b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
				if b.Flush() == nil {
					_, _ = b.Receive() // until the client goes away
				}
			}
			_ = c.Close()
		}
	}()
	return "postgres://app@" + l.Addr().String() + "/app?sslmode=disable"
}

func TestOpen_refusesAServerThatIsTooOld(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"14.23", "9.6.24", "unknown"} {
		db, err := Open(t.Context(), secret.NewText(oldServer(t, version)), Options{MaxConns: 1})
		if err == nil {
			db.Close()
		}
		if err == nil || chat.KindOf(err) == chat.Busy || !strings.Contains(err.Error(), version) || !strings.Contains(err.Error(), "15 or newer") {
			t.Errorf("a server of version %s: error %v; want one that names it and says what is needed", version, err)
		}
	}
}

// An operator's limit on whole transactions, which PostgreSQL 17 has, ends the session:
// the caller may try again, as after every other limit.
func TestCalls_areBusyAfterALimitOfTheServer(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"55P03", "57014", "25P03", "25P04", "57P05"} {
		kind(t, code, translate(t.Context(), &pgconn.PgError{Severity: "FATAL", Code: code}), chat.Busy)
	}
}

func TestMigrate_passesTheHintOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.owner(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN RAISE EXCEPTION 'not like this' USING HINT = 'Do it like that.'; END $$`)
	w.owner(`CREATE TRIGGER refuse BEFORE INSERT ON goose_db_version FOR EACH ROW EXECUTE FUNCTION refuse()`)
	w.owner(`DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`)
	owner := node(t, testkit.OwnerURL(w.url), Options{MaxConns: 1})
	if err := owner.Migrate(w.ctx); err == nil || !strings.Contains(err.Error(), "not like this") || !strings.Contains(err.Error(), "Next: Do it like that.") {
		t.Errorf("error %v; want what the database says and what to do", err)
	}
}
