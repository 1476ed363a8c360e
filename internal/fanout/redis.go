package fanout

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/portcullis/internal/secret"
)

const (
	// maxRedisConns bounds this process's connections; the library's pool alone does not.
	maxRedisConns = 64
	// redisTime bounds dialling, reading and writing: a handshake waits for three or
	// four commands, and a Redis that is slower than this is down.
	redisTime = 500 * time.Millisecond
	// redisIdle closes connections that a firewall may have forgotten.
	redisIdle = 5 * time.Minute
)

// Connect returns a client for requests with short patience. The library's own
// defaults wait for five seconds, retry commands that must not be repeated, and look
// at no deadline of a context. It does not connect yet: a Redis that is down at the
// start comes up later. roots are the authorities that a rediss:// server's certificate
// may come from; nil: those that the system trusts.
func Connect(url secret.Text, roots *x509.CertPool) (*redis.Client, error) {
	o, err := redis.ParseURL(url.Reveal())
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL is not understood") // err quotes the password
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = redisTime, redisTime, redisTime
	o.PoolTimeout = redisTime
	o.ContextTimeoutEnabled = true
	o.MaxRetries = -1 // none: INCR, SET NX and PUBLISH are not to be repeated
	o.DialerRetries = 1
	o.MaxActiveConns = maxRedisConns
	o.ConnMaxIdleTime = redisIdle
	o.DisableIdentity = true // CLIENT SETINFO needs a right that an ACL user may not have
	if o.TLSConfig != nil {
		o.TLSConfig.RootCAs = roots
	}
	return redis.NewClient(o), nil
}
