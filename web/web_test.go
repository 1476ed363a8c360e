package web

import (
	"bytes"
	"html/template"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// What the pages are given, as internal/site gives it.
type (
	user  struct{ ID, Username, DisplayName, Role string }
	flash struct{ Kind, Text string }
	page  struct {
		Title, Nonce, CSRF, AssetBase, Path string
		User                                *user
		OpenSignUp, Controls                bool
		Flash                               flash
		OldBrowser                          bool
		Notice                              string
		RequestID                           string
		Data                                any
	}
	form struct {
		Username, DisplayName, Next, Error string
		Demo                               []string
		Passkeys, Renew                    bool
	}
	sessions struct {
		Sessions    []sessionView
		Limit       int
		Passkeys    []passkey
		Offer       bool
		DeleteError string
	}
	passkey struct{ ID, Name, Created, LastUsed string }
	chat    struct {
		RoomID   string
		Messages []message
		Writes   bool
		Given    string
	}
	message struct {
		Letter, Name, Username, Body string
		More, Gone                   bool
	}
	sessionView struct {
		SID, Created, LastSeen, IP, Device, UserAgent string
		Sockets                                       int
		This                                          bool
	}
	failure struct {
		Status              int
		Heading, Text, Next string
	}
	link       struct{ Text, URL string }
	layer      string
	controlRow struct {
		Name, Title, Threat, Words string
		Shown                      bool
		Tests, Attacks             int
		Links                      []link
	}
	controlGroup struct {
		Layer layer
		Shown bool
		Rows  []controlRow
	}
	controls struct {
		Query, Layer                         string
		Layers                               []layer
		Groups                               []controlGroup
		Shown, Total, Tests, Attacks, Places int
	}
	line struct {
		Number                int
		Text, Control, Marked string
		Remark, Key           bool
		Without               []string
	}
	place struct {
		File, Func string
		From       int
		Start, End int
		Paragraphs []string
		Lines      []line
	}
	exploit struct {
		Title, File, Base string
		Line              int
	}
	change struct {
		Gone bool
		Text string
	}
	failing struct {
		Name, File string
		Line       int
	}
	cut struct {
		Removes, File string
		Start         int
		Changes       []change
		Failing       []failing
	}
	knob    struct{ Name, Value, Default, Range, Doc string }
	control struct {
		Name, Title, Sentence, Layer, Page, Threat, NoAttack string
		NotStopped, Events                                   []string
		Code, Tests                                          []place
		Cuts                                                 []cut
		Attacks                                              []exploit
		Links                                                []link
		Knobs                                                []knob
	}
	mark struct {
		Control string
		Proves  bool
		Start   int
	}
	source struct {
		Path     string
		Controls []mark
		Lines    []line
	}
)

// Meets is what the catalogue says of a layer.
func (l layer) Meets() string { return "what is met" }

// render executes a page as the server does, with every text that a stranger can choose set to evil.
func render(t *testing.T, name, evil string) string {
	t.Helper()
	p := page{
		Title: evil, Nonce: "N0NCE", CSRF: "T0KEN", AssetBase: "/static/abc", Path: evil, OpenSignUp: true, Controls: true,
		User: &user{"u1", evil, evil, "user"}, Flash: flash{"ok", evil}, Notice: evil, RequestID: evil,
	}
	switch name {
	case "sign-in", "sign-up":
		p.User, p.Data = nil, form{Username: evil, DisplayName: evil, Next: evil, Error: evil, Demo: []string{evil, "bob"}, Passkeys: true, Renew: true}
	case "step-up":
		p.Data = form{Username: evil, Next: evil, Error: evil, Passkeys: true}
	case "chat":
		p.Data = chat{evil, []message{{"E", evil, evil, evil, false, false}, {"E", "You", "", evil, true, true}}, true, `{"socket":"wss://app.example.com/ws","rooms":["` + evil + `"]}`}
	case "sessions":
		p.Data = sessions{[]sessionView{{SID: "s1", Created: evil, LastSeen: evil, IP: evil, Device: evil, UserAgent: evil, Sockets: 2}, {SID: "s2", This: true}}, 10, []passkey{{"k1", evil, evil, evil}}, true, evil}
	case "error":
		p.Data = failure{404, evil, evil, evil}
	case "controls":
		l, row := layer("session"), controlRow{"some-name", evil, evil, evil, true, 2, 1, []link{{Text: evil}, {evil, "https://cwe.mitre.org/x"}}}
		p.Data = controls{Query: evil, Layer: evil, Layers: []layer{l}, Groups: []controlGroup{{l, true, []controlRow{row}}}, Shown: 1, Total: 1}
	case "control":
		at := place{"web/embed.go", evil, 1, 1, 2, []string{evil}, []line{{Number: 1, Text: evil, Remark: true}, {Number: 2, Text: evil, Control: "some-name", Key: true, Without: []string{evil}}}}
		p.Data = control{Name: "some-name", Title: evil, Sentence: evil, Layer: "session", Page: "docs/x.md", Threat: evil, NoAttack: evil, NotStopped: []string{evil}, Events: []string{evil},
			Code: []place{at}, Tests: []place{at}, Cuts: []cut{{evil, "web/embed.go", 7, []change{{true, evil}, {false, evil}}, []failing{{evil, "web/embed.go", 7}, {Name: evil}}}},
			Attacks: []exploit{{evil, "web/embed.go", evil, 7}}, Links: []link{{Text: evil}}, Knobs: []knob{{evil, evil, evil, evil, evil}}}
	case "source":
		p.Data = source{Path: evil, Controls: []mark{{"some-name", true, 1}}, Lines: []line{{Number: 1, Text: evil, Control: "some-name", Marked: "test"}, {Number: 2, Text: evil}}}
	}
	tmpl, err := template.New(name).Option("missingkey=error").ParseFS(FS, "templates/layout.html", "templates/"+name+".html")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := tmpl.ExecuteTemplate(&out, "layout", p); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

var pages = []string{"sign-in", "sign-up", "chat", "sessions", "error", "controls", "control", "source", "step-up"}

var (
	tag    = regexp.MustCompile(`<[a-zA-Z/!](?:"[^"]*"|'[^']*'|[^>"'])*>`)
	quoted = regexp.MustCompile(`"[^"]*"|'[^']*'`)
)

// skeleton is the markup of a page without any value: tags and names of attributes.
func skeleton(html string) string {
	return quoted.ReplaceAllString(strings.Join(tag.FindAllString(html, -1), "\n"), "")
}

//control:proves output
func TestPages_textOfStrangersStaysText(t *testing.T) {
	for _, name := range pages {
		want := skeleton(render(t, name, "harmless"))
		for _, evil := range []string{`"><script>alert(1)</script>`, `' onfocus=alert(1) autofocus x='`, `javascript:alert(1)`, `</title><img src=x onerror=alert(1)>`, "<!--", "`${alert(1)}`"} {
			html := render(t, name, evil)
			if got := skeleton(html); got != want {
				t.Errorf("%s with %q has other markup:\n%s", name, evil, got)
			}
			if regexp.MustCompile(`(href|src|action)="\s*javascript:`).MatchString(html) {
				t.Errorf("%s with %q has a link that is code", name, evil)
			}
		}
	}
}

func TestPages_runNothingInline(t *testing.T) {
	handler := regexp.MustCompile(`\s(on[a-z]+|style)\s*=`)
	for _, name := range pages {
		html := render(t, name, "x")
		for _, tag := range tag.FindAllString(html, -1) {
			if handler.MatchString(tag) {
				t.Errorf("%s: inline code or style in %s", name, tag)
			}
			if strings.HasPrefix(tag, "<script") && (!strings.Contains(tag, ` nonce="N0NCE"`) || !strings.Contains(tag, ` src="/static/abc/js/`)) {
				t.Errorf("%s: script without nonce or file: %s", name, tag)
			}
			if strings.HasPrefix(tag, "<style") || strings.Contains(tag, "//") && !strings.Contains(tag, "wss://app.example.com/ws") && !strings.Contains(tag, `<a href="https://cwe.mitre.org/x" rel="noopener noreferrer">`) {
				t.Errorf("%s: %s", name, tag)
			}
		}
		if strings.Contains(html, "</script>") && regexp.MustCompile(`<script[^>]*>[^<]`).MatchString(html) {
			t.Errorf("%s: a script with text", name)
		}
	}
}

func TestPages_everyFormThatChangesSomethingHasTheToken(t *testing.T) {
	forms := regexp.MustCompile(`(?s)<form method="post".*?</form>`)
	for name, want := range map[string]int{"sign-in": 1, "sign-up": 1, "chat": 1, "sessions": 7, "error": 1, "controls": 1, "control": 1, "source": 1, "step-up": 2} {
		found := forms.FindAllString(render(t, name, "x"), -1)
		if len(found) != want {
			t.Errorf("%s: got %d forms, want %d", name, len(found), want)
		}
		for _, f := range found {
			if !strings.Contains(f, `<input type="hidden" name="csrf_token" value="T0KEN">`) {
				t.Errorf("%s: a form without the token: %s", name, f)
			}
		}
	}
}

func TestChat_tellsTheScriptWhatItStartsFrom(t *testing.T) {
	html := render(t, "chat", "x")
	for _, want := range []string{`data-given="{&#34;socket&#34;:&#34;wss://app.example.com/ws&#34;,&#34;rooms&#34;:[&#34;x&#34;]}"`, `data-user-id="u1"`, `data-csrf="T0KEN"`} {
		if !strings.Contains(html, want) {
			t.Errorf("%s is missing", want)
		}
	}
	// Its scripts are fetched by main.js, which runs when all that can be read is there.
	if n := strings.Count(html, "<script"); n != 2 {
		t.Errorf("%d scripts in the page, want theme.js and main.js", n)
	}
	for _, name := range pages {
		if strings.Contains(render(t, name, "x"), "ZgotmplZ") {
			t.Errorf("%s: the escaper blanked a value", name)
		}
	}
}

func TestPages_haveOneIDEach(t *testing.T) {
	for _, name := range pages {
		seen := map[string]bool{}
		for _, m := range regexp.MustCompile(`\sid="([^"]+)"`).FindAllStringSubmatch(render(t, name, "x"), -1) {
			if seen[m[1]] {
				t.Errorf("%s: id %q twice", name, m[1])
			}
			seen[m[1]] = true
		}
	}
}

func TestFiles_whatIsNamedIsThere(t *testing.T) {
	exists := func(from, file string) {
		files := fs.FS(FS)
		if strings.HasPrefix(file, "types/") { // what only the checker reads is not served
			files = os.DirFS(".")
		}
		if _, err := fs.Stat(files, file); err != nil {
			t.Errorf("%s names %s: %v", from, file, err)
		}
	}
	for _, name := range pages {
		for _, m := range regexp.MustCompile(`"/static/abc/([^"#]+)`).FindAllStringSubmatch(render(t, name, "x"), -1) {
			exists(name, "static/"+m[1])
		}
	}
	sprite, err := fs.ReadFile(FS, "static/icons.svg")
	if err != nil {
		t.Fatal(err)
	}
	err = fs.WalkDir(FS, "static", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if ext := path.Ext(file); ext != ".css" && ext != ".js" && ext != ".svg" {
			t.Errorf("%s does not belong here", file)
		}
		body, err := fs.ReadFile(FS, file)
		for _, m := range regexp.MustCompile(`(?:from|import\() ?'(\.[^']+)'`).FindAllSubmatch(body, -1) {
			exists(file, path.Join(path.Dir(file), string(m[1])))
		}
		for _, m := range regexp.MustCompile(`icon\('(\w+)'\)`).FindAllSubmatch(body, -1) {
			if !bytes.Contains(sprite, []byte(`<symbol id="`+string(m[1])+`"`)) {
				t.Errorf("%s draws %s, which is not in the sprite", file, m[1])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
