package testkit

import (
	"crypto/rand"
	"testing"

	"github.com/redis/go-redis/v9"

	"example.com/portcullis/internal/embedded"
)

// RedisURL returns the URL of a Redis that all tests of this process, or of the machine, share.
func RedisURL(t testing.TB) string {
	t.Helper()
	return process.redis.start(t, "REDIS_URL", embedded.Need{Redis: true})
}

// Redis returns a client and a prefix for keys and channels that no other test has. Database numbers would not do: they do
// not separate channels. Never FLUSHALL.
func Redis(t testing.TB) (client *redis.Client, prefix string) {
	t.Helper()
	options, err := redis.ParseURL(RedisURL(t))
	if err != nil {
		t.Fatal("testkit:", err)
	}
	client = redis.NewClient(options)
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error("testkit:", err)
		}
	})
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal("testkit:", err)
	}
	return client, "t:" + rand.Text()[:16] + ":"
}
