package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"example.com/portcullis/internal/chat"
)

// retryAfter is when a refused caller may try again: most of what makes the database
// unavailable passes in a second or takes minutes.
const retryAfter = time.Second

// Codes and classes of SQLSTATE, from appendix A of the PostgreSQL manual.
const (
	uniqueViolation = "23505"
	badCharacter    = "22021" // for example the NUL byte, which text cannot hold
	noSuchCharacter = "22P05"
)

var (
	// unavailableCodes mean that the statement was given up, and may succeed later.
	unavailableCodes = []string{
		"40001", "40P01", // serialization failure, deadlock
		"55P03",          // lock_timeout
		"57014",          // statement_timeout
		"25P04",          // an operator's transaction_timeout, which PostgreSQL has since 17
		"25006", "25P03", // read-only after a failover, idle_in_transaction_session_timeout
		"57P01", "57P02", "57P03", "57P05", // the server stops, crashed, starts, dropped us
	}
	// unavailableClasses: connections, resources (disk, memory, too many clients), system errors.
	unavailableClasses = []string{"08", "53", "58"}
)

// translate gives err the kind that callers act on. It is the one place where the
// database's word becomes ours. ctx is the caller's: when that has ended, its error
// passes through; when only our own deadline has, the database is busy.
func translate(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, ours := errors.AsType[*chat.Error](err); ours {
		return err
	}
	if unavailable(err) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return busy(err)
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && (pg.Code == badCharacter || pg.Code == noSuchCharacter) {
		return &chat.Error{Kind: chat.Invalid, Public: "The text holds a character that cannot be stored.", Err: err}
	}
	return err
}

// unavailable reports whether err says that there was no answer, or none in time.
func unavailable(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return slices.Contains(unavailableCodes, pg.Code) || len(pg.Code) == 5 && slices.Contains(unavailableClasses, pg.Code[:2])
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return pgconn.SafeToRetry(err) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, puddle.ErrClosedPool)
}

func busy(err error) error {
	return &chat.Error{Kind: chat.Busy, Public: "The service is busy. Please try again.", RetryAfter: retryAfter, Err: err}
}

// violates reports whether err is a duplicate that constraint forbids.
func violates(err error, constraint string) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == uniqueViolation && pg.ConstraintName == constraint
}
