package attack

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"net/http"
	"strings"
)

const (
	formBoundary = "tide-table"
	formType     = "multipart/form-data; boundary=" + formBoundary
	hostile      = "<script>fetch('/api/session')</script>"
)

// Upload sends one file to a room, with a name and a type of the attacker's choice.
func (c *Client) Upload(ctx context.Context, room, name, declared string, content []byte) (Answer, error) {
	body := fmt.Sprintf("--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\nContent-Type: %s\r\n\r\n%s\r\n--%s--\r\n", formBoundary, name, declared, content, formBoundary)
	header := http.Header{"Content-Type": {formType}, "X-Csrf-Token": {c.CSRF}, "Origin": {c.t.Base.String()}}
	return c.Raw(ctx, http.MethodPost, "/api/rooms/"+room+"/uploads", header, strings.NewReader(body))
}

// stored sends a file that must be taken, and returns its id.
func (c *Client) stored(ctx context.Context, room, name, declared string, content []byte) (string, error) {
	a, err := c.Upload(ctx, room, name, declared, content)
	if err != nil {
		return "", err
	}
	var out struct {
		ID string `json:"upload_id"`
	}
	if a.Status != http.StatusCreated {
		return "", fmt.Errorf("upload: %d %s", a.Status, a.Body)
	}
	err = json.Unmarshal(a.Body, &out)
	return out.ID, err
}

func tinyPNG() []byte {
	var b bytes.Buffer
	_ = png.Encode(&b, image.NewRGBA(image.Rect(0, 0, 8, 8))) // to memory: it cannot fail
	return b.Bytes()
}

func tinyJPEG() []byte {
	var b bytes.Buffer
	_ = jpeg.Encode(&b, image.NewRGBA(image.Rect(0, 0, 8, 8)), nil)
	return b.Bytes()
}

func tinyGIF() []byte {
	var b bytes.Buffer
	_ = gif.Encode(&b, image.NewRGBA(image.Rect(0, 0, 8, 8)), nil)
	return b.Bytes()
}

// hugePNG is a picture of one pixel whose header claims 60,000 × 60,000.
func hugePNG() []byte {
	b := tinyPNG()
	binary.BigEndian.PutUint32(b[16:], 60_000)
	binary.BigEndian.PutUint32(b[20:], 60_000)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

// withPlace is a photograph that says where it was taken.
func withPlace() []byte {
	b, data := tinyJPEG(), "Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x00GPSLatitude 52.5200 N"
	segment := binary.BigEndian.AppendUint16([]byte{0xFF, 0xE1}, uint16(len(data)+2))
	return append(append(bytes.Clone(b[:2]), append(segment, data...)...), b[2:]...)
}

// eicar is the harmless test file of eicar.org, in halves so that scanners leave this program alone.
func eicar() []byte {
	return []byte(`X5O!P%@AP[4\PZX54(P^)7CC)7}$` + `EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`)
}

func uploadAttacks() []Attack {
	attacks := []Attack{
		{
			Control: "upload",
			Title:   "a file that is a picture and a script comes back from the chat's own origin with the script in it",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				return comesBack(ctx, t, "cat.gif", "image/gif", append(tinyGIF(), "*/=1;"+hostile...), "fetch(")
			},
		},
		{
			Control: "upload",
			Title:   "a member of a room reads in a photograph where its author lives",
			Run: func(ctx context.Context, t *Target) (Outcome, error) {
				return comesBack(ctx, t, "garden.jpg", "image/jpeg", withPlace(), "GPSLatitude")
			},
		},
		{Control: "upload", Title: "a stranger fetches a file of a closed room by its id", Run: stealFile},
		{Control: "upload", Title: "a member posts another member's file, and one of another room, as their own", Run: postOthersFile},
	}
	for _, a := range []struct {
		title, name, declared string
		content               func() []byte
	}{
		{"a page is uploaded as a picture", "cat.png", "image/png", func() []byte { return []byte("<!doctype html>" + hostile) }},
		{"a page is uploaded as a page", "cat.html", "text/html", func() []byte { return []byte("<!doctype html>" + hostile) }},
		{"a drawing that runs script is uploaded", "cat.svg", "image/svg+xml", func() []byte { return []byte(`<svg xmlns="http://www.w3.org/2000/svg">` + hostile + `</svg>`) }},
		{"a picture is declared as a page, so that it is served as one", "cat.png", "text/html", func() []byte { return append(tinyPNG(), hostile...) }},
		{"a picture has a second extension, so that it is served as a page", "cat.png.html", "image/png", func() []byte { return append(tinyPNG(), hostile...) }},
		{"a picture is named as a file of the server", "../../static/js/main.js", "image/png", tinyPNG},
		{"a header of forty bytes claims 60,000 by 60,000 pixels", "cat.png", "image/png", hugePNG},
		{"an archive is uploaded", "cat.zip", "application/zip", func() []byte { return append([]byte("PK\x03\x04\x14\x00\x00\x00\x00\x00"), eicar()...) }},
	} {
		attacks = append(attacks, refusedFile("upload", a.title, a.name, a.declared, "upload_rejected", a.content))
	}
	return append(attacks,
		refusedFile("malware", "a file that every virus scanner knows is uploaded as text", "notes.txt", "text/plain", "upload_infected", eicar),
		refusedFile("malware", "the same file hides in a text that goes on for a while", "notes.txt", "text/plain", "upload_infected", func() []byte {
			return append(append(bytes.Repeat([]byte("all quiet on the quay\n"), 20_000), eicar()...), "\nnothing to see"...)
		}),
	)
}

// refusedFile uploads a file and wins when it is taken.
func refusedFile(control, title, name, declared, code string, content func() []byte) Attack {
	return Attack{Control: control, Title: title, Run: func(ctx context.Context, t *Target) (Outcome, error) {
		c, s, room, err := ownRoom(ctx, t, "closed")
		if err != nil {
			return Outcome{}, err
		}
		defer s.Close()
		a, err := c.Upload(ctx, room, name, declared, content())
		if err != nil {
			return Outcome{}, err
		}
		if a.Status < 300 {
			return won("it was taken: %s", a.Body)
		}
		if a.Code() != code {
			return Outcome{}, fmt.Errorf("refused with %d %s, not %s", a.Status, a.Body, code)
		}
		return lost("%d %s", a.Status, a.Code())
	}}
}

// comesBack uploads a file and wins when needle is in what is served.
func comesBack(ctx context.Context, t *Target, name, declared string, content []byte, needle string) (Outcome, error) {
	c, s, room, err := ownRoom(ctx, t, "closed")
	if err != nil {
		return Outcome{}, err
	}
	defer s.Close()
	id, err := c.stored(ctx, room, name, declared, content)
	if err != nil {
		return Outcome{}, err
	}
	a, err := c.Call(ctx, http.MethodGet, "/uploads/"+id, nil)
	if err != nil || a.Status != http.StatusOK {
		return Outcome{}, fmt.Errorf("get the file: %d %w", a.Status, err)
	}
	if bytes.Contains(a.Body, []byte(needle)) {
		return won("%q is in the file that everybody gets", needle)
	}
	if !strings.Contains(a.Header.Get("Content-Security-Policy"), "sandbox") || a.Header.Get("X-Content-Type-Options") != "nosniff" {
		return won("the browser may take the file for a page: %v", a.Header)
	}
	return lost("%s of %d bytes without %q", a.Header.Get("Content-Type"), len(a.Body), needle)
}

func stealFile(ctx context.Context, t *Target) (Outcome, error) {
	victim, s, room, err := ownRoom(ctx, t, "closed")
	if err != nil {
		return Outcome{}, err
	}
	defer s.Close()
	id, err := victim.stored(ctx, room, "plan.png", "image/png", tinyPNG())
	if err != nil {
		return Outcome{}, err
	}
	if f, err := s.Ask("message.send", map[string]any{"room_id": room, "body": "the plan", "upload_ids": []string{id}}); err != nil || f.Type != "ack" {
		return Outcome{}, fmt.Errorf("post the file: %s %w", f.Raw, err)
	}
	mallory, err := t.Person(ctx, "mallory")
	if err != nil {
		return Outcome{}, err
	}
	a, err := mallory.Call(ctx, http.MethodGet, "/uploads/"+id, nil)
	if err != nil {
		return Outcome{}, err
	}
	if a.Status == http.StatusOK {
		return won("%d bytes of somebody else's file", len(a.Body))
	}
	return lost("%d %s", a.Status, a.Code())
}

func postOthersFile(ctx context.Context, t *Target) (Outcome, error) {
	victim, vs, theirs, err := ownRoom(ctx, t, "closed")
	if err != nil {
		return Outcome{}, err
	}
	defer vs.Close()
	mallory, ms, room, err := ownRoom(ctx, t, "closed")
	if err != nil {
		return Outcome{}, err
	}
	defer ms.Close()
	foreign, err := victim.stored(ctx, theirs, "plan.png", "image/png", tinyPNG())
	if err != nil {
		return Outcome{}, err
	}
	second, err := mallory.Room(ctx, "closed")
	if err != nil {
		return Outcome{}, err
	}
	elsewhere, err := mallory.stored(ctx, second, "own.png", "image/png", tinyPNG())
	if err != nil {
		return Outcome{}, err
	}
	for what, id := range map[string]string{"another person's file": foreign, "a file of another room": elsewhere} {
		f, err := ms.Ask("message.send", map[string]any{"room_id": room, "body": "look", "upload_ids": []string{id}})
		if err != nil {
			return Outcome{}, err
		}
		if f.Type == "ack" {
			return won("%s was posted", what)
		}
	}
	return lost("both were refused")
}
