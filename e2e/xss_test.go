package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.com/portcullis/internal/attack"
)

// run is what every payload tries to do.
const run = "window.pwned=1"

// payloads are more than 200 texts that are script somewhere: each shape in each of
// the places that markup has for one.
func payloads() []string {
	code := []string{
		"<script>%s</script>", "<ScRiPt>%s</sCrIpT>", "<script/x>%s</script>", "<script src=data:text/javascript,%s></script>", "<script type=module>%s</script>",
		`<img src=x onerror="%s">`, "<img src=x onerror=%s>", "<img/src=x/onerror=%s>", `<img src="x" onerror='%s'//`, "<image src=x onerror=%s>", "<img srcset=x onerror=%s>",
		"<svg onload=%s>", "<svg><script>%s</script></svg>", "<svg><animate onbegin=%s attributeName=x dur=1s>", `<svg><a xlink:href="javascript:%s"><text y=9>x</text></a></svg>`,
		"<svg><foreignObject><iframe srcdoc='<script>parent.%s</script>'></iframe></foreignObject></svg>", "<math><mtext><img src=x onerror=%s></mtext></math>",
		"<iframe src=javascript:parent.%s>", `<iframe srcdoc="<script>parent.%s</script>">`, "<object data=javascript:%s>", "<embed src=javascript:%s>",
		"<body onload=%s>", "<video src=x onerror=%s>", "<video><source onerror=%s></video>", "<audio src=x onerror=%s>", "<details open ontoggle=%s>x</details>",
		"<input autofocus onfocus=%s>", "<select autofocus onfocus=%s>", "<textarea autofocus onfocus=%s>", "<div tabindex=0 autofocus onfocus=%s>", "<marquee onstart=%s>",
		`<a href="javascript:%s">x</a>`, `<a href="&#106;avascript:%s">x</a>`, "<a href=\"java\tscript:%s\">x</a>", "<form action=javascript:%s><button>x</button></form>",
		`<button formaction="javascript:%s">x</button>`, "<meta http-equiv=refresh content='0;url=javascript:%s'>", "<link rel=stylesheet href=javascript:%s>",
		"<style>@import 'javascript:%s';</style>", `<p style="animation:x" onanimationstart="%s">x</p>`, "<base href=javascript:%s//>", "<template><script>%s</script></template>",
		"<noscript><p title=\"</noscript><img src=x onerror=%s>\">", "<xmp><img src=x onerror=%s></xmp>", "<!--><img src=x onerror=%s>-->", "<![CDATA[<img src=x onerror=%s>]]>",
		"javascript:%s", "data:text/html,<script>%s</script>", "{{constructor.constructor('%s')()}}", "${%s}", "`${%s}`", "[x](javascript:%s)", "![x](x\"onerror=\"%s)",
	}
	around := []string{"%s", `">%s`, "'>%s", "</textarea></title></script>%s", "https://example.com/%s"}
	var all []string
	for _, c := range code {
		for _, a := range around {
			all = append(all, fmt.Sprintf(a, fmt.Sprintf(c, run)))
		}
	}
	return all
}

// One page of a reader, everything that an author can write into it.
//
//control:proves output
func TestXSS_noPayloadRunsInAReadersPage(t *testing.T) {
	t.Parallel()
	all := payloads()
	if len(all) < 200 {
		t.Fatalf("%d payloads, want at least 200", len(all))
	}
	s := startGenerous(t)
	mallory := signUp(t, s, "mallory")
	id := room(t, mallory, "open")
	ms := enter(t, mallory, id)

	reader := newBrowser(t).open(t, s.Base, "reader", wide)
	reader.signUp("reader-of-all", attack.Password)
	reader.joins("/rooms/" + id)
	reader.until("document.getElementById('message')?.checkVisibility()")
	var shown []string
	for some := range slices.Chunk(all, 100) { // the page keeps the newest only
		for _, p := range some {
			say(t, ms, id, p)
		}
		reader.until("[...document.querySelectorAll('#log article .body')].at(-1)?.textContent.startsWith(" + quote(some[len(some)-1][:8]) + ")")
		shown = append(shown, reader.timeline()...)
	}
	missing := slices.DeleteFunc(slices.Clone(all), func(p string) bool {
		// A link shows its real host beside it where the two differ.
		return slices.ContainsFunc(shown, func(s string) bool { return s == p || strings.HasPrefix(s, p[:min(len(p), 20)]) })
	})
	if len(missing) > 0 {
		t.Errorf("%d payloads are not on the page as text, the first is %q", len(missing), missing[0])
	}
	if evaluate[bool](reader, "'pwned' in window") {
		t.Error("a payload ran")
	}
	made := `[...document.querySelectorAll('#log .body *')].filter((e) => !['A', 'SPAN'].includes(e.tagName) || [...e.attributes].some((a) => a.name.startsWith('on') || /^\s*javascript:/i.test(a.value))).map((e) => e.outerHTML)`
	if elements := evaluate[[]string](reader, made); len(elements) > 0 {
		t.Errorf("%d elements were made of text, the first is %s", len(elements), elements[0])
	}
}
