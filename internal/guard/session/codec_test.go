package session_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"example.com/portcullis/internal/guard/session"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func record() session.Record {
	now := time.Date(2026, 11, 23, 12, 0, 0, 123456000, time.UTC)
	return session.Record{
		SID: uuid.MustParse("6f0c5b4e-6a53-4f0e-9f60-3f1f5d1a1b2c"), User: uuid.MustParse("0192f3a1-0000-7000-8000-000000000001"),
		CreatedAt: now, AuthenticatedAt: now, EndsAt: now.Add(lifetime),
		CSRF: []byte("0123456789abcdef0123456789abcdef"), IP: "2001:db8::/64", UserAgent: `Mozilla "5.0" <ü>`,
	}
}

func TestParseRecord_readsWhatEncodeWrote(t *testing.T) {
	anonymous := record()
	anonymous.User, anonymous.AuthenticatedAt = uuid.Nil, time.Time{}
	for _, want := range []session.Record{record(), anonymous} {
		b, err := session.Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := session.ParseRecord(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
}

func TestParseRecord_refusesRecordThatCouldBeReadTwoWays(t *testing.T) {
	b, err := session.Encode(record())
	if err != nil {
		t.Fatal(err)
	}
	good := string(b)
	without := func(member string) string {
		_, rest, _ := strings.Cut(good, `"`+member+`":`)
		value, _, _ := strings.Cut(rest, `,"`)
		return strings.Replace(good, `"`+member+`":`+value+`,`, "", 1)
	}
	for name, bad := range map[string]string{
		"nothing":            "",
		"null":               "null",
		"empty object":       "{}",
		"array":              "[]",
		"gob":                "\x3f\xff\x81\x03\x01\x02\xff\x82\x00\x01\x02",
		"trailing data":      good + "{}",
		"doubled member":     strings.Replace(good, "{", `{"user":"0192f3a1-0000-7000-8000-000000000002",`, 1),
		"unknown member":     strings.Replace(good, "{", `{"role":"admin",`, 1),
		"name in other case": strings.Replace(good, `"user"`, `"User"`, 1),
		"no sid":             without("sid"),
		"no end":             without("ends_at"),
		"no start":           without("created_at"),
		"no secret":          without("csrf"),
		"no password proof":  without("authenticated_at"),
		"zero sid":           strings.Replace(good, record().SID.String(), uuid.Nil.String(), 1),
		"short secret":       strings.Replace(good, `"csrf":"MDEy`, `"csrf":"`, 1),
		"bad UTF-8":          strings.Replace(good, "Mozilla", "\xff", 1),
		"too long":           strings.Replace(good, "Mozilla", strings.Repeat("m", 5000), 1),
	} {
		if bad == good {
			t.Fatalf("%s: the case changes nothing", name)
		}
		if r, err := session.ParseRecord([]byte(bad)); err == nil {
			t.Errorf("%s: read as %+v", name, r)
		}
	}
}

func TestEncode_refusesRecordThatNobodyCouldRead(t *testing.T) {
	for name, change := range map[string]func(*session.Record){
		"no sid":        func(r *session.Record) { r.SID = uuid.Nil },
		"ends at start": func(r *session.Record) { r.EndsAt = r.CreatedAt },
		"no secret":     func(r *session.Record) { r.CSRF = nil },
	} {
		r := record()
		change(&r)
		if b, err := session.Encode(r); err == nil {
			t.Errorf("%s: wrote %s", name, b)
		}
	}
}

func TestHashToken_isNotTheToken(t *testing.T) {
	const token = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	h := session.HashToken(token)
	if len(h) != 32 || bytes.Contains(h, []byte(token)) || !bytes.Equal(h, session.HashToken(token)) || bytes.Equal(h, session.HashToken(token+"A")) {
		t.Errorf("hash %x", h)
	}
}

func BenchmarkEncode(b *testing.B) {
	r := record()
	for b.Loop() {
		if _, err := session.Encode(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseRecord(b *testing.B) {
	data, err := session.Encode(record())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := session.ParseRecord(data); err != nil {
			b.Fatal(err)
		}
	}
}
