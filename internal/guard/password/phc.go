package password

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

const (
	saltBytes = 16 // RFC 9106 §3.1
	keyBytes  = 32
)

// cost is the work of one hash.
type cost struct {
	memory  uint32 // KiB
	time    uint32 // passes
	threads uint8
}

func (c cost) check() error {
	if c.memory < 8*uint32(c.threads) || c.memory > maxMemoryKiB || c.time < 1 || c.time > maxTime || c.threads < 1 || c.threads > maxThreads {
		return fmt.Errorf("password: cost m=%d,t=%d,p=%d is out of bounds", c.memory, c.time, c.threads)
	}
	return nil
}

// hash is a PHC string in parts.
type hash struct {
	cost      cost
	salt, key []byte
}

func (h hash) derive(pw string) []byte {
	return argon2.IDKey([]byte(pw), h.salt, h.cost.time, h.cost.memory, h.cost.threads, keyBytes)
}

func (h hash) matches(pw string) bool { return subtle.ConstantTimeCompare(h.derive(pw), h.key) == 1 }

// String writes the PHC form, such as $argon2id$v=19$m=19456,t=2,p=1$salt$key.
func (h hash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.cost.memory, h.cost.time, h.cost.threads,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.key))
}

var errPHC = errors.New("stored hash is not one of ours") // without the hash: errors are logged

// parse reads what String wrote, and nothing else.
func parse(phc string) (hash, error) {
	parts := strings.Split(phc, "$")
	if len(phc) > 200 || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return hash{}, errPHC
	}
	var h hash
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.cost.memory, &h.cost.time, &h.cost.threads); n != 3 || err != nil {
		return hash{}, errPHC
	}
	var saltErr, keyErr error
	h.salt, saltErr = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	h.key, keyErr = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if saltErr != nil || keyErr != nil || len(h.salt) != saltBytes || len(h.key) != keyBytes || h.String() != phc {
		return hash{}, errPHC
	}
	return h, h.cost.check()
}
