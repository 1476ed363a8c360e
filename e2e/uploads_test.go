package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"testing"

	"example.com/portcullis/internal/attack"
	"example.com/portcullis/internal/testkit"
)

// pictureOf is a gradient, so that a screenshot shows that it is shown.
func pictureOf(t *testing.T, w, h int) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetRGBA(x, y, color.RGBA{uint8(x * 255 / w), uint8(y * 255 / h), 140, 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// attach chooses a file as a person does with the button.
func (tb *tab) attach(name, kind string, content []byte) {
	tb.t.Helper()
	evaluate[bool](tb, fmt.Sprintf(`(() => {
		const bytes = Uint8Array.from(atob(%s), (c) => c.charCodeAt(0)), d = new DataTransfer(), input = document.getElementById('file');
		d.items.add(new File([bytes], %s, { type: %s }));
		input.files = d.files;
		return input.dispatchEvent(new Event('change'));
	})()`, quote(base64.StdEncoding.EncodeToString(content)), quote(name), quote(kind)))
}

// With a real virus scanner behind the real server: what it knows is refused, while it
// is away nothing is published, and what waited is published when it is back.
//
//control:proves malware
//control:proves upload
func TestUploads_waitForTheScannerAndAreShownAfterIt(t *testing.T) {
	t.Parallel()
	daemon := testkit.StartClamd(t)
	s := startGenerous(t, "PORTCULLIS_CLAMD="+daemon.Address)
	ctx := t.Context()

	person, err := s.Target(t).Person(ctx, "carol")
	if err != nil {
		t.Fatal(err)
	}
	room, err := person.Room(ctx, "open")
	if err != nil {
		t.Fatal(err)
	}
	upload := func(name, content string) (attack.Answer, string, string) {
		t.Helper()
		a, err := person.Upload(ctx, room, name, "text/plain", []byte(content))
		if err != nil {
			t.Fatal(err)
		}
		var out struct {
			ID     string `json:"upload_id"`
			Status string `json:"status"`
		}
		if err := json.Unmarshal(a.Body, &out); err != nil {
			t.Fatal(err)
		}
		return a, out.ID, out.Status
	}
	mark := s.Logs.Mark()
	if a, _, _ := upload("bad.txt", "a "+testkit.ClamdSignature); a.Status != http.StatusUnprocessableEntity || a.Code() != "upload_infected" {
		t.Errorf("what the scanner knows: %d %s", a.Status, a.Body)
	}
	if _, ok := s.Logs.Wait(mark, soon, func(e Event) bool { return e.Name == "upload_validation" && e.Control == "malware" }); !ok {
		t.Error("no event")
	}
	daemon.Stop()
	a, id, status := upload("good.txt", "all quiet")
	if a.Status != http.StatusCreated || status != "pending" {
		t.Fatalf("without the scanner: %d %s", a.Status, a.Body)
	}
	if got, err := person.Call(ctx, http.MethodGet, "/uploads/"+id, nil); err != nil || got.Status != http.StatusNotFound {
		t.Errorf("a file in quarantine: %d, %v", got.Status, err)
	}
	daemon.Start()
	testkit.Eventually(t, 4*soon, func() bool {
		got, err := person.Call(ctx, http.MethodGet, "/uploads/"+id, nil)
		return err == nil && got.Status == http.StatusOK && string(got.Body) == "all quiet"
	})

	// The same with the buttons of the page.
	tb := newBrowser(t).open(t, s.Base, "dora", wide)
	tb.signUp("dora", attack.Password)
	tb.joins("/rooms/" + room)
	tb.until("document.getElementById('attach')?.checkVisibility()")
	tb.attach("the quay.png", "image/png", pictureOf(t, 1200, 800))
	tb.attach("minutes.txt", "text/plain", []byte("everybody was there"))
	tb.until("document.querySelectorAll('#files li[data-state=ready]').length === 2")
	tb.say("two files")
	tb.until("document.querySelector('#log .attached img')?.naturalWidth === 1200")
	tb.until("document.querySelector('#log .attached img')?.alt === 'PNG picture from Dora: the quay.png'")
	tb.until("document.querySelector('#log .attached a.file')?.download === 'minutes.txt'")
	tb.excuse("status of 422")
	tb.attach("page.png", "image/png", []byte("<html>no picture</html>"))
	tb.until("document.querySelector('#files li[data-state=failed]')?.textContent.includes('not sent')")
	tb.shoot("uploads")
	tb.see(narrow)
	tb.shoot("uploads")
	tb.click("#files button")
	tb.until("document.getElementById('files').hidden")
}
