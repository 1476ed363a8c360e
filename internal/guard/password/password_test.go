package password_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"example.com/portcullis/internal/guard/password"
)

const good = "correct horse battery staple"

func hasher(t testing.TB, o password.Options) *password.Hasher {
	t.Helper()
	h, err := password.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

//control:proves password
func TestNew_refusesLessWorkThanOWASPAsksFor(t *testing.T) {
	for _, o := range []password.Options{
		{MemoryKiB: 1024}, {MemoryKiB: 6 * 1024, Time: 16}, {MemoryKiB: 19 * 1024, Time: 1}, {MemoryKiB: 1 << 20}, {Time: 17},
		{Threads: 9}, {Concurrency: -1}, {QueueWait: -1},
	} {
		if _, err := password.New(o); err == nil {
			t.Errorf("%+v: accepted", o)
		}
	}
	for _, o := range []password.Options{{}, {MemoryKiB: 46 * 1024, Time: 1}, {MemoryKiB: 12 * 1024, Time: 3}, {MemoryKiB: 9 * 1024, Time: 4}, {MemoryKiB: 7 * 1024, Time: 5}} {
		if _, err := password.New(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

//control:proves password
func TestHash_isArgon2idWithSaltOfItsOwn(t *testing.T) {
	h := hasher(t, password.Options{})
	one, err := h.Hash(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	two, err := h.Hash(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	const want = "$argon2id$v=19$m=19456,t=2,p=1$"
	if !strings.HasPrefix(one, want) || one == two || strings.Contains(one, good) {
		t.Errorf("hashes %s and %s, want %s… twice, different", one, two, want)
	}
}

func TestVerify(t *testing.T) {
	h := hasher(t, password.Options{})
	// All traps in one, as each hash takes its time: é in two forms, a NUL, more than bcrypt's 72 bytes.
	const long = "caf\u00e9 before\x00after, and then as many characters as it takes to be past what bcrypt looks at:"
	phc, err := h.Hash(t.Context(), long+"a")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, pw string
		want     bool
	}{
		{"right", long + "a", true},
		{"right, typed on another keyboard", strings.Replace(long, "\u00e9", "e\u0301", 1) + "a", true},
		{"other end", long + "b", false},
		{"other case", strings.ToUpper(long) + "A", false},
		{"only what is before the NUL", "caf\u00e9 before", false},
		{"longer than any", long + "a" + strings.Repeat("x", 256), false},
	} {
		ok, rehash, err := h.Verify(t.Context(), phc, c.pw)
		if err != nil || ok != c.want || rehash {
			t.Errorf("%s: %v rehash %v, %v; want %v", c.name, ok, rehash, err, c.want)
		}
	}
	if _, err := h.Hash(t.Context(), strings.Repeat("x", 257)); err == nil {
		t.Error("hashed what Verify never accepts")
	}
}

//control:proves password
func TestVerify_noticesOlderNumbersOnlyForRightPassword(t *testing.T) {
	old := hasher(t, password.Options{MemoryKiB: 7 * 1024, Time: 5})
	phc, err := old.Hash(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	h := hasher(t, password.Options{})
	if ok, rehash, err := h.Verify(t.Context(), phc, good); !ok || !rehash || err != nil {
		t.Errorf("right: %v rehash %v, %v", ok, rehash, err)
	}
	if ok, rehash, err := h.Verify(t.Context(), phc, "wrong"); ok || rehash || err != nil {
		t.Errorf("wrong: %v rehash %v, %v", ok, rehash, err)
	}
}

//control:proves password
func TestVerify_refusesHashThatIsNotOurs(t *testing.T) {
	h := hasher(t, password.Options{})
	const salt, key = "c2FsdHNhbHRzYWx0c2FsdA", "a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U"
	for name, phc := range map[string]string{
		"nothing":             "",
		"plain text":          good,
		"bcrypt":              "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
		"argon2i":             "$argon2i$v=19$m=19456,t=2,p=1$" + salt + "$" + key,
		"old version":         "$argon2id$v=16$m=19456,t=2,p=1$" + salt + "$" + key,
		"a gigabyte":          "$argon2id$v=19$m=1048576,t=2,p=1$" + salt + "$" + key,
		"a thousand passes":   "$argon2id$v=19$m=19456,t=1000,p=1$" + salt + "$" + key,
		"no pass":             "$argon2id$v=19$m=19456,t=0,p=1$" + salt + "$" + key,
		"no thread":           "$argon2id$v=19$m=19456,t=2,p=0$" + salt + "$" + key,
		"many threads":        "$argon2id$v=19$m=19456,t=2,p=255$" + salt + "$" + key,
		"overflow":            "$argon2id$v=19$m=4294967297,t=2,p=1$" + salt + "$" + key,
		"second spelling":     "$argon2id$v=19$m=019456,t=2,p=1$" + salt + "$" + key,
		"order":               "$argon2id$v=19$t=2,m=19456,p=1$" + salt + "$" + key,
		"trailing":            "$argon2id$v=19$m=19456,t=2,p=1,x=1$" + salt + "$" + key,
		"short salt":          "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$" + key,
		"empty key":           "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$",
		"short key":           "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$a2V5",
		"newline in the salt": "$argon2id$v=19$m=19456,t=2,p=1$" + salt[:4] + "\n" + salt[4:] + "$" + key,
	} {
		ok, _, err := h.Verify(t.Context(), phc, "")
		if ok || err == nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		} else if strings.Contains(err.Error(), "$") {
			t.Errorf("%s: the error shows the hash: %v", name, err)
		}
	}
}

// TestVerifyUnknown_takesAsLongAsVerify is the attack that lists the users of a site: the
// fastest of several tries, with and without a user. An early return is a thousand times
// faster; a busy machine never makes the fastest try five times slower.
//
//control:proves password
func TestVerifyUnknown_takesAsLongAsVerify(t *testing.T) {
	h := hasher(t, password.Options{})
	phc, err := h.Hash(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	known, unknown := time.Hour, time.Hour
	for range 2 {
		start := time.Now()
		if ok, _, err := h.Verify(t.Context(), phc, "wrong"); ok || err != nil {
			t.Fatal(ok, err)
		}
		known = min(known, time.Since(start))
		start = time.Now()
		if err := h.VerifyUnknown(t.Context(), "wrong"); err != nil {
			t.Fatal(err)
		}
		unknown = min(unknown, time.Since(start))
	}
	if ratio := float64(known) / float64(unknown); ratio < 0.2 || ratio > 5 {
		t.Errorf("known %v, unknown %v", known, unknown)
	}
}

//control:proves password
func TestHasher_boundsWorkAndWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hasher(t, password.Options{Concurrency: 2, QueueWait: 3 * time.Second})
		leave := password.Occupy(h)
		start := time.Now()
		var wg sync.WaitGroup
		var busy, early atomic.Int32
		for range 1000 { // sign-ins at once, known and unknown
			wg.Go(func() {
				err := h.VerifyUnknown(t.Context(), "x")
				if errors.Is(err, password.ErrBusy) {
					busy.Add(1)
				} else {
					t.Errorf("error %v, want ErrBusy", err)
				}
				if time.Since(start) == 0 {
					early.Add(1)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("waited %v, want QueueWait", took)
		}
		if waited := int(busy.Load() - early.Load()); waited != password.MaxWaiting(h) {
			t.Errorf("%d waited, want %d; the rest must be told at once", waited, password.MaxWaiting(h))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := h.Hash(ctx, good); !errors.Is(err, password.ErrBusy) || time.Since(start) != 4*time.Second {
			t.Errorf("caller with less time: %v after %v", err, time.Since(start))
		}
		leave()
		if err := h.VerifyUnknown(t.Context(), "x"); err != nil {
			t.Errorf("after the rush: %v", err)
		}
	})
}

//control:proves throttle
func TestQueue_aRushInOneIsNoRushInTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hasher(t, password.Options{Concurrency: 2, QueueWait: 3 * time.Second})
		owners := h.Queue()
		leave := password.Occupy(h)
		ctx, tired := context.WithCancel(t.Context())
		var rush, owner sync.WaitGroup
		for range 1000 {
			rush.Go(func() { _ = h.VerifyUnknown(ctx, "x") }) // fills its queue
		}
		synctest.Wait()
		if err := h.VerifyUnknown(t.Context(), "x"); !errors.Is(err, password.ErrBusy) {
			t.Errorf("one more stranger: %v, want ErrBusy", err)
		}
		owner.Go(func() {
			if err := owners.VerifyUnknown(t.Context(), "x"); err != nil {
				t.Errorf("the owner: %v", err)
			}
		})
		synctest.Wait()
		tired()
		rush.Wait()
		leave()
		owner.Wait()
	})
}

//control:proves password
func TestCheck(t *testing.T) {
	h := hasher(t, password.Options{})
	for _, c := range []struct {
		name, pw, username string
		want               string // reason; "": accepted
	}{
		{"passphrase", good, "alice", ""},
		{"any characters", "пароль из слов 密码 🔑", "alice", ""},
		{"64 characters", strings.Repeat("ab c", 16), "alice", ""},
		{"empty", "", "alice", "too_short"},
		{"nine characters", "tr0ub4dor", "alice", "too_short"},
		{"nine characters in 27 bytes", strings.Repeat("密", 9), "alice", "too_short"},
		{"256 bytes", strings.Repeat("x y ", 64), "alice", ""},
		{"257 bytes", strings.Repeat("x y ", 64) + "z", "alice", "too_long"},
		{"bad UTF-8", "long enough\xff", "alice", "encoding"},
		{"common", "password123", "alice", "common"},
		{"common in other case", "PassWord123", "alice", "common"},
		{"keyboard row", "QWERTYUIOP", "alice", "common"},
		{"digits", "1234567890", "alice", "common"},
		{"dictionary word", "administration", "alice", "common"},
		{"common in another script", "йцукенгшщзхъ", "alice", "common"},
		{"common in another form", "contrasen\u0303a", "alice", "common"},
		{"common with more", "password123 and more", "alice", ""},
		{"user name", "bartholomew.jones", "bartholomew.jones", "username"},
		{"user name in other case", "Bartholomew.JONES", "bartholomew.jones", "username"},
		{"user name and digits", "alice12345", "alice", "username"},
		{"user name twice", "alicealicealice", "alice", "username"},
		{"user name within much else", "alice drinks no tea", "alice", ""},
		{"no user name", "fine without one", "", ""},
	} {
		err := h.Check(c.pw, c.username)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		w, ok := errors.AsType[*password.Weak](err)
		if !ok || w.Reason != c.want {
			t.Errorf("%s: %v, want reason %s", c.name, err, c.want)
			continue
		}
		if w.Public == "" || c.pw != "" && strings.Contains(w.Public, c.pw) {
			t.Errorf("%s: public sentence %q", c.name, w.Public)
		}
	}
}

// TestCommon_isOfUse holds the list to ASVS 6.2.4: lines that the length rule does not
// catch already, at least 3,000 of them; and common.md to the list.
//
//control:proves password
func TestCommon_isOfUse(t *testing.T) {
	h := hasher(t, password.Options{})
	list := password.Common(h)
	for _, line := range list {
		if utf8.RuneCountInString(line) < password.MinCharacters {
			t.Fatalf("line %q is refused by its length already", line)
		}
		if w, ok := errors.AsType[*password.Weak](h.Check(line, "")); !ok || w.Reason != "common" && w.Reason != "too_long" {
			t.Fatalf("line %q is accepted", line)
		}
	}
	about, err := os.ReadFile("common.md")
	if err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(list, "\n")+"\n")))
	if len(list) != 10314 || !strings.Contains(string(about), sum) || !strings.Contains(string(about), "10,314") {
		t.Errorf("%d lines with SHA-256 %s: not what common.md says", len(list), sum)
	}
}

func BenchmarkVerify(b *testing.B) {
	h := hasher(b, password.Options{})
	phc, err := h.Hash(b.Context(), good)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if ok, _, err := h.Verify(b.Context(), phc, good); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	h := hasher(b, password.Options{})
	for b.Loop() {
		if err := h.Check(good, "alice"); err != nil {
			b.Fatal(err)
		}
	}
}
