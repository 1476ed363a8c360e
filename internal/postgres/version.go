package postgres

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// oldestServer is the first major version that this package's SQL is written and tested for.
const oldestServer = 15

// newEnough looks at each connection that was made. An older server might do all that is asked today: nobody has tried
// the locks, the rights and the plans there, and a release that nobody mends any more has holes of its own.
func newEnough(_ context.Context, c *pgx.Conn) error {
	told := c.PgConn().ParameterStatus("server_version") // said by every server at the sign-in
	if major(told) < oldestServer {
		return fmt.Errorf("the server is PostgreSQL %q, and %d or newer is needed: move the database to a newer one (docs/operations), or name another in DATABASE_URL", told, oldestServer)
	}
	return nil
}

// major reads "18.4", "19beta2" and "15.18 (Debian 15.18-0+deb12u1)"; 0 when there is no number in front.
func major(version string) int {
	n, err := strconv.Atoi(regexp.MustCompile(`^\d*`).FindString(version))
	if err != nil {
		return 0
	}
	return n
}
