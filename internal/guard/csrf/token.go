package csrf

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
)

// secretBytes is the size of a session's secret: 256 bits, not to be guessed.
const secretBytes = 32

// NewSecret returns 32 random bytes to keep in the session.
func NewSecret() []byte {
	secret := make([]byte, secretBytes)
	rand.Read(secret) // never fails: crypto/rand ends the program instead
	return secret
}

// Mask returns the secret as a token for one response: a random pad and the
// secret XOR that pad, in URL-safe base64, 86 characters. Each call gives another
// text. A secret that is not 32 bytes long gives "", which is never valid.
//
//control:name csrf
func Mask(secret []byte) string {
	if len(secret) != secretBytes {
		return ""
	}
	var masked [2 * secretBytes]byte
	rand.Read(masked[:secretBytes])
	subtle.XORBytes(masked[secretBytes:], masked[:secretBytes], secret)
	return base64.RawURLEncoding.EncodeToString(masked[:])
}

// Valid reports whether token was made by Mask from secret. The comparison takes
// the same time wherever the bytes differ.
func Valid(secret []byte, token string) bool {
	var masked [2 * secretBytes]byte
	if len(secret) != secretBytes || len(token) != base64.RawURLEncoding.EncodedLen(len(masked)) {
		return false
	}
	if n, err := base64.RawURLEncoding.Strict().Decode(masked[:], []byte(token)); err != nil || n != len(masked) {
		return false
	}
	subtle.XORBytes(masked[secretBytes:], masked[:secretBytes], masked[secretBytes:])
	return subtle.ConstantTimeCompare(masked[secretBytes:], secret) == 1
}
