package csrf_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"example.com/portcullis/internal/guard/csrf"
)

const (
	own     = "https://app.example.com"
	partner = "https://partner.example.org"
	form    = "application/x-www-form-urlencoded"
)

func guard(t testing.TB) *csrf.Guard {
	t.Helper()
	g, err := csrf.New(partner)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func wantWhy(t *testing.T, err error, want csrf.Why) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	refused, ok := errors.AsType[*csrf.Refused](err)
	if !ok {
		t.Fatalf("got %v, want a refusal for %q", err, want)
	}
	if refused.Why != want {
		t.Errorf("refused for %q, want %q", refused.Why, want)
	}
}

//control:proves csrf
func TestCheck(t *testing.T) {
	secret, other := csrf.NewSecret(), csrf.NewSecret()
	good, foreign := csrf.Mask(secret), csrf.Mask(other)
	field := func(values ...string) string { return url.Values{csrf.Field: values, "body": {"hi"}}.Encode() }
	tests := []struct {
		name   string
		method string // POST if empty
		header http.Header
		target string // "/api/x" if empty
		body   string
		why    csrf.Why
	}{
		{name: "token in the header", header: http.Header{"X-Csrf-Token": {good}, "Content-Type": {"application/json"}}, body: "{}"},
		{name: "token in the form", header: http.Header{"Content-Type": {form}}, body: field(good)},
		{name: "form type with charset", header: http.Header{"Content-Type": {form + "; charset=utf-8"}}, body: field(good)},
		{name: "same origin says the browser", header: http.Header{"X-Csrf-Token": {good}, "Sec-Fetch-Site": {"same-origin"}, "Origin": {own}}},
		{name: "old browser, Origin equals Host", header: http.Header{"X-Csrf-Token": {good}, "Origin": {own}}},
		{name: "trusted origin", header: http.Header{"X-Csrf-Token": {good}, "Sec-Fetch-Site": {"cross-site"}, "Origin": {partner}}},
		{name: "DELETE with token", method: http.MethodDelete, header: http.Header{"X-Csrf-Token": {good}}},

		{name: "no token", why: csrf.Missing},
		{name: "PUT without token", method: http.MethodPut, why: csrf.Missing},
		{name: "PATCH without token", method: http.MethodPatch, why: csrf.Missing},
		{name: "DELETE without token", method: http.MethodDelete, why: csrf.Missing},
		{name: "method in lower case is no GET", method: "get", why: csrf.Missing},
		{name: "made-up method", method: "PROPFIND", why: csrf.Missing},
		{name: "empty header", header: http.Header{"X-Csrf-Token": {""}}, why: csrf.Invalid},
		{name: "another session's token", header: http.Header{"X-Csrf-Token": {foreign}}, why: csrf.Invalid},
		{name: "two header lines", header: http.Header{"X-Csrf-Token": {good, good}}, why: csrf.Invalid},
		{name: "another session's token in the form", header: http.Header{"Content-Type": {form}}, body: field(foreign), why: csrf.Invalid},
		{name: "two fields", header: http.Header{"Content-Type": {form}}, body: field(good, good), why: csrf.Invalid},
		{name: "wrong header is not saved by the form", header: http.Header{"X-Csrf-Token": {foreign}, "Content-Type": {form}}, body: field(good), why: csrf.Invalid},
		{name: "form without field", header: http.Header{"Content-Type": {form}}, body: "a=b", why: csrf.Missing},
		{name: "token in the query", header: http.Header{"Content-Type": {form}}, target: "/api/x?csrf_token=" + good, why: csrf.Missing},
		{name: "token in the query, JSON", header: http.Header{"Content-Type": {"application/json"}}, target: "/api/x?csrf_token=" + good, why: csrf.Missing},
		{name: "form smuggled as text", header: http.Header{"Content-Type": {"text/plain"}}, body: field(good), why: csrf.Missing},
		{name: "form without a type", body: field(good), why: csrf.Missing},
		{name: "broken form", header: http.Header{"Content-Type": {form}}, body: "%zz=" + good, why: csrf.BadForm},
		{name: "form over the limit", header: http.Header{"Content-Type": {form}}, body: "a=" + strings.Repeat("b", 64<<10) + "&" + field(good), why: csrf.BadForm},

		{name: "another site with a stolen token", header: http.Header{"X-Csrf-Token": {good}, "Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}, why: csrf.CrossOrigin},
		{name: "sibling with a stolen token", header: http.Header{"X-Csrf-Token": {good}, "Sec-Fetch-Site": {"same-site"}, "Origin": {"https://attacker.example.com"}}, why: csrf.CrossOrigin},
		{name: "old browser, foreign Origin", header: http.Header{"X-Csrf-Token": {good}, "Origin": {"https://evil.example"}}, why: csrf.CrossOrigin},
		{name: "null Origin", header: http.Header{"X-Csrf-Token": {good}, "Origin": {"null"}}, why: csrf.CrossOrigin},

		{name: "GET is not checked", method: http.MethodGet},
		{name: "HEAD is not checked", method: http.MethodHead},
		{name: "OPTIONS is not checked", method: http.MethodOptions},
	}
	g := guard(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			target := "/api/x"
			if tt.target != "" {
				target = tt.target
			}
			r := httptest.NewRequest(http.MethodPost, own+target, strings.NewReader(tt.body))
			if tt.method != "" {
				r.Method = tt.method
			}
			maps.Copy(r.Header, tt.header)
			wantWhy(t, g.Check(r, secret), tt.why)
		})
	}
}

//control:proves csrf
func TestCheck_refusesASessionWithoutSecret(t *testing.T) {
	for name, secret := range map[string][]byte{"nil": nil, "empty": {}, "short": make([]byte, 31), "long": make([]byte, 33)} {
		for _, sent := range []string{csrf.Mask(secret), strings.Repeat("A", 86)} {
			r := httptest.NewRequest(http.MethodPost, own, nil)
			r.Header.Set(csrf.Header, sent)
			if guard(t).Check(r, secret) == nil {
				t.Errorf("%s secret, token %q: accepted", name, sent)
			}
		}
	}
}

// Parsing an upload to look for a field would write it to disk first.
//
//control:proves csrf
func TestCheck_doesNotReadMultipartBodies(t *testing.T) {
	secret := csrf.NewSecret()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	if err := w.WriteField(csrf.Field, csrf.Mask(secret)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	sent := body.Len()
	r := httptest.NewRequest(http.MethodPost, own, &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	wantWhy(t, guard(t).Check(r, secret), csrf.Missing)
	if rest, err := io.ReadAll(r.Body); err != nil || len(rest) != sent {
		t.Errorf("%d of %d bytes left, %v", len(rest), sent, err)
	}
}

func TestCheck_leavesTheFormToTheHandler(t *testing.T) {
	secret := csrf.NewSecret()
	r := httptest.NewRequest(http.MethodPost, own, strings.NewReader(url.Values{csrf.Field: {csrf.Mask(secret)}, "username": {"ada"}}.Encode()))
	r.Header.Set("Content-Type", form)
	wantWhy(t, guard(t).Check(r, secret), "")
	if got := r.PostFormValue("username"); got != "ada" {
		t.Errorf("username = %q", got)
	}
}

//control:proves csrf
func TestMask_givesAnotherTextEachTime(t *testing.T) {
	secret := csrf.NewSecret()
	seen := map[string]bool{}
	for range 1000 {
		token := csrf.Mask(secret)
		if seen[token] {
			t.Fatal("a token came twice")
		}
		seen[token] = true
		if !csrf.Valid(secret, token) {
			t.Fatalf("Valid refuses %q", token)
		}
	}
}

//control:proves csrf
func TestValid_refusesEveryChangedCharacter(t *testing.T) {
	secret := csrf.NewSecret()
	token := csrf.Mask(secret)
	for i := range token {
		for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=\n ") {
			changed := token[:i] + string(c) + token[i+1:]
			if changed != token && csrf.Valid(secret, changed) {
				t.Fatalf("accepted with %q at %d", c, i)
			}
		}
	}
	for _, changed := range []string{"", token[:85], token + "A", token + "=", token + "==", "\n" + token, strings.ToUpper(token)} {
		if csrf.Valid(secret, changed) {
			t.Errorf("accepted %q", changed)
		}
	}
}

func TestNewSecret_isFreshAndLong(t *testing.T) {
	a, b := csrf.NewSecret(), csrf.NewSecret()
	if len(a) != 32 || bytes.Equal(a, b) {
		t.Errorf("secrets %x and %x", a, b)
	}
}

//control:proves csrf
func TestNew_refusesWhatIsNoOrigin(t *testing.T) {
	for _, o := range []string{"", "*", "app.example.com", "https://app.example.com/", "https://"} {
		if _, err := csrf.New(o); err == nil {
			t.Errorf("New(%q) accepted it", o)
		}
	}
}
