package site_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	portcullis "example.com/portcullis"
	"example.com/portcullis/internal/guard/catalogue"
	"example.com/portcullis/internal/site"
	"example.com/portcullis/web"
)

// real is a world with the product's own templates.
func real(t *testing.T, change ...func(*site.Options)) *browser {
	return newWorld(t, append([]func(*site.Options){func(o *site.Options) { o.Web = web.FS }}, change...)...).browser()
}

// visible are the names of the controls that a page lists and does not hide.
func visible(page string) (names []string) {
	for _, m := range regexp.MustCompile(`<li data-words="[^"]*"( hidden)?>\s*<h3><a href="/controls/([a-z0-9-]+)"`).FindAllStringSubmatch(page, -1) {
		if m[1] == "" {
			names = append(names, m[2])
		}
	}
	return names
}

func TestControls_areListedForEverybody(t *testing.T) {
	b := real(t)
	page := b.open("/controls")
	if got, want := len(visible(page)), len(catalogue.All()); got != want {
		t.Errorf("%d controls are visible, want %d", got, want)
	}
	if b.cookie != "" {
		t.Error("looking at a page made a session")
	}
	for _, want := range []string{`<a href="/controls/origin">`, `href="https://cwe.mitre.org/data/definitions/1385.html"`, `action="/controls"`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestControls_areFoundByWordsAndLayerWithoutAnyScript(t *testing.T) {
	b := real(t)
	for _, tt := range []struct {
		name, query string
		want        []string // nil: only that the first is there
		first       string
	}{
		{name: "a reference", query: "q=CWE-1385&layer=handshake", want: []string{"origin"}},
		{name: "several words, any case", query: "q=HIJACKING+browser", want: []string{"origin"}},
		{name: "an event", query: "q=ws_slow_consumer", want: []string{"slow-consumer"}},
		{name: "a variable", query: "q=PORTCULLIS_PING_EVERY", want: []string{"heartbeat"}},
		{name: "a layer", query: "layer=session", first: "session"},
		{name: "a layer that does not exist is all of them", query: "layer=%3Cscript%3E", first: "handshake"},
		{name: "nothing has it", query: "q=zzzzzz", want: []string{}},
		{name: "space is nothing", query: "q=+++", first: "handshake"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := visible(b.open("/controls?" + tt.query))
			if tt.want != nil && strings.Join(got, " ") != strings.Join(tt.want, " ") {
				t.Errorf("found %v, want %v", got, tt.want)
			}
			if tt.first != "" && !strings.Contains(strings.Join(got, " ")+" ", tt.first+" ") {
				t.Errorf("found %v without %s", got, tt.first)
			}
		})
	}
}

//control:proves output
func TestControls_searchTextIsShownAsText(t *testing.T) {
	b := real(t)
	evil := `"><script>alert(1)</script>`
	page := b.open("/controls?q=" + url.QueryEscape(evil) + "&layer=" + url.QueryEscape(evil))
	if strings.Contains(page, "<script>alert") || !strings.Contains(page, `value="&#34;&gt;&lt;script&gt;`) {
		t.Error("the search text is not escaped")
	}
	if long := b.open("/controls?q=" + strings.Repeat("ä", 5000)); strings.Count(long, "ä") > 200 {
		t.Errorf("%d characters of a search came back", strings.Count(long, "ä"))
	}
}

func TestControl_showsTheLinesThatRunAndWhatProvesThem(t *testing.T) {
	b := real(t, func(o *site.Options) {
		o.Knobs = []site.Knob{{Name: "PORTCULLIS_ALLOWED_ORIGINS", Value: "not set", Doc: "More exact origins."}}
	})
	page := b.open("/controls/origin")
	for _, want := range []string{
		"func (p *Policy) Check(r *http.Request) error {",                // the code
		`<a href="/source/internal/guard/origin/origin.go#L`,             // where it is
		`<a href="/source/internal/guard/origin/origin_test.go#L`,        // a test
		"cross-site WebSocket hijacking from a sibling on the same site", // an attack
		"malicious_cors", // an event
		`href="https://www.rfc-editor.org/rfc/rfc6455#section-10.2"`, // references
		`href="https://www.cve.org/CVERecord?id=CVE-2025-24010"`,     //
		"ASVS 5.0 4.4.2", //
		"A page may open a socket only if its origin is, byte for byte, on the", // the first sentence of its document
		"PORTCULLIS_ALLOWED_ORIGINS", // a knob
		"More exact origins.",        //
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, c := range catalogue.All() {
		if res := b.send("GET", "/controls/"+c.Name, ""); res.Code != http.StatusOK {
			t.Errorf("%s: %d", c.Name, res.Code)
		}
	}
}

func TestControl_saysOfEachLineWhatHappensWithoutIt(t *testing.T) {
	b := real(t)
	page := b.open("/controls/origin")
	line := regexp.MustCompile(`<span class="line key" data-n="\d+">\s*case !p\.Allowed\(sent\[0\]\):</span>\s*<span class="without">without this, the list of origins says yes to everybody</span>`)
	if !line.MatchString(page) {
		t.Error("the line that asks the list does not say what happens without it")
	}
	if strings.Contains(page, `class="line key" data-n="96"`) || strings.Count(page, `class="line key"`) > 12 {
		t.Error("lines are marked that no test misses")
	}
	list := page[strings.Index(page, `id="cuts"`):]
	for _, want := range []string{
		`<span class="line gone"><span class="sr">taken out: </span>case !p.Allowed(sent[0]):</span>`,
		`<span class="line instead"><span class="sr">instead: </span>case p.own == &#34;&#34; &amp;&amp; !p.Allowed(sent[0]):</span>`,
		`<code>TestCheck_refusesAnOriginThatOnlyEqualsTheHost</code></a>`,
	} {
		if !strings.Contains(list, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(page, "[Refused]") {
		t.Error("a link of a comment is shown as brackets")
	}
}

// A page that shows code of which no test misses a line shows the wrong code: the rule is
// elsewhere, or nothing proves it. The cure is a directive where the rule is, or a mutant
// that takes out what is shown.
//
//control:proves living-documents
func TestControl_eachShowsALineThatATestMisses(t *testing.T) {
	b := real(t, func(o *site.Options) { o.Source = portcullis.Source() })
	key := regexp.MustCompile(`<span class="line( remark)? key" `)
	for _, c := range catalogue.All() {
		page := b.open("/controls/" + c.Name)
		_, code, found := strings.Cut(page, `id="rule"`)
		code, _, ended := strings.Cut(code, `</section>`)
		if !found || !ended || !key.MatchString(code) || !strings.Contains(code, `<span class="without">`) {
			t.Errorf("%s: no line under \"The lines that stop it\" is one that tests fail without", c.Name)
		}
	}
}

func TestTemplates_leadOnlyToControlsThatAreThere(t *testing.T) {
	known := map[string]bool{}
	for _, c := range catalogue.All() {
		known[c.Name] = true
	}
	files, err := fs.Glob(web.FS, "templates/*.html")
	if err != nil || len(files) == 0 {
		t.Fatalf("no templates: %v", err)
	}
	links := 0
	for _, file := range files {
		body, err := fs.ReadFile(web.FS, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`href="/controls/([a-z0-9-]+)"`).FindAllStringSubmatch(string(body), -1) {
			if links++; !known[m[1]] {
				t.Errorf("%s leads to a control %q", file, m[1])
			}
		}
	}
	if links == 0 {
		t.Error("the chat does not say what guards its socket")
	}
}

func TestControl_ofNoSuchNameIsNotFound(t *testing.T) {
	b := real(t)
	for _, target := range []string{"/controls/nothing", "/controls/Origin", "/controls/origin%00", "/controls/../sessions", "/controls/%2e%2e", "/controls/origin/"} {
		if res := b.send("GET", target, ""); res.Code != http.StatusNotFound {
			t.Errorf("%s: %d", target, res.Code)
		}
	}
}

func TestSource_showsAFileWithItsControls(t *testing.T) {
	b := real(t)
	page := b.open("/source/internal/guard/origin/origin.go")
	for _, want := range []string{`id="L1"`, `//control:name <a href="/controls/origin">origin</a>`, `class="line code"`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s", want)
		}
	}
	page = b.open("/source/web/templates/layout.html")
	if !strings.Contains(page, `&lt;script nonce=`) || strings.Contains(page, `>&lt;!doctype html>`) || strings.Count(page, "<body") != 1 {
		t.Error("the source of a page has become markup")
	}
	if page := b.open("/source/internal/guard/origin/origin_test.go"); !strings.Contains(page, `class="line test"`) && !strings.Contains(page, `class="line remark test"`) {
		t.Error("a test is not marked")
	}
}

func TestSource_readsNoOtherFile(t *testing.T) {
	b := real(t)
	for _, target := range []string{
		"/source/", "/source/.", "/source/..", "/source/../../etc/passwd", "/source/..%2f..%2fetc%2fpasswd", "/source/%2e%2e/%2e%2e/etc/passwd", "/source/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
		"/source//etc/passwd", "/source/%2fetc%2fpasswd", `/source/..\..\etc\passwd`, "/source/internal/../go.mod", "/source/./go.mod", "/source/go.mod/", "/source/go.mod%00", "/source/go.mod%00.go",
		"/source/internal", "/source/internal/guard", "/source/.git/config", "/source/.env", "/source/web/node_modules/typescript/package.json", "/source/GO.MOD", "/source/file:///etc/passwd", "/source/" + strings.Repeat("a/", 2000),
	} {
		r := httptest.NewRequest("GET", own+"/", nil)
		path, err := url.PathUnescape(target)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Path, r.URL.RawPath = path, target
		res := httptest.NewRecorder()
		b.w.handler.ServeHTTP(res, r)
		if res.Code != http.StatusNotFound || strings.Contains(res.Body.String(), "root:") {
			t.Errorf("%s: %d", target, res.Code)
		}
	}
	if res := b.send("GET", "/source/go.mod", ""); res.Code != http.StatusOK {
		t.Errorf("go.mod: %d", res.Code)
	}
}

// A directive that sits on nothing is a fault of the build: the page says that
// something broke, and shows no half of a list.
func TestControls_sourceThatCannotBeReadIsAnError(t *testing.T) {
	b := real(t, func(o *site.Options) {
		o.Source = fstest.MapFS{"a.go": {Data: []byte("package a\n\n//control:name origin\n\nfunc f() {}\n")}}
	})
	if res := b.send("GET", "/controls", ""); res.Code != http.StatusInternalServerError || strings.Contains(res.Body.String(), "a.go") {
		t.Errorf("%d %s", res.Code, res.Body)
	}
}

// Who keeps the source to themselves gives none: then there is no page about it, and no
// link to one.
func TestControls_withoutSourceThereIsNoPageAndNoLink(t *testing.T) {
	w := newWorld(t, func(o *site.Options) { o.Web, o.Source = web.FS, nil })
	b := w.browser()
	for _, path := range []string{"/controls", "/controls/origin", "/source/go.mod"} {
		if res := b.send("GET", path, ""); res.Code != http.StatusNotFound || strings.Contains(res.Body.String(), `href="/controls`) {
			t.Errorf("%s: %d %s", path, res.Code, res.Body)
		}
	}
	if page := w.signedIn("ada").open("/"); strings.Contains(page, `href="/controls`) || strings.Contains(page, "Guarded by") {
		t.Error("the chat links to pages that are not there")
	}
}
