package upload

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
	"testing/synctest"
)

const limit = 1 << 20

func guard(t testing.TB, o Options) *Guard {
	t.Helper()
	if o.MaxBytes == 0 {
		o.MaxBytes = limit
	}
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// flag is a picture whose corners can be told apart: red at the top left.
func flag(w, h int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{0, 0, 200, 255}
			if x < w/2 && y < h/2 {
				c = color.RGBA{220, 0, 0, 255}
			}
			m.SetRGBA(x, y, c)
		}
	}
	return m
}

func pngOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gifOf(t testing.TB, frames int) []byte {
	t.Helper()
	var g gif.GIF
	for range frames {
		p := image.NewPaletted(image.Rect(0, 0, 16, 8), color.Palette{color.Black, color.White})
		p.SetColorIndex(3, 3, 1)
		g.Image, g.Delay = append(g.Image, p), append(g.Delay, 10)
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, &g); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// webpOf is one blue pixel, lossless.
func webpOf(t testing.TB) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// chunked adds a chunk to a PNG, behind the header.
func chunked(b []byte, name, data string) []byte {
	c := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	c = append(c, name+data...)
	c = binary.BigEndian.AppendUint32(c, crc32.ChecksumIEEE([]byte(name+data)))
	const head = 8 + 25 // signature and IHDR
	return append(append(bytes.Clone(b[:head]), c...), b[head:]...)
}

// claiming is a PNG whose header claims a size that it does not have.
func claiming(t testing.TB, w, h uint32) []byte {
	b := pngOf(t, flag(1, 1))
	binary.BigEndian.PutUint32(b[16:], w)
	binary.BigEndian.PutUint32(b[20:], h)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

// exif puts metadata with an orientation and a place in front of a JPEG's pixels.
func exif(b []byte, orientation uint16) []byte {
	tiff := []byte("MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01")
	tiff = binary.BigEndian.AppendUint16(tiff, orientation)
	tiff = append(tiff, "\x00\x00\x00\x00\x00\x00GPSLatitude 52.5200 N"...)
	data := append([]byte("Exif\x00\x00"), tiff...)
	segment := binary.BigEndian.AppendUint16([]byte{0xFF, 0xE1}, uint16(len(data)+2))
	segment = append(segment, data...)
	return append(append(bytes.Clone(b[:2]), segment...), b[2:]...)
}

func refused(t *testing.T, err error, want Why) {
	t.Helper()
	r, ok := errors.AsType[*Refused](err)
	if !ok || r.Why != want {
		t.Fatalf("error %v, want a refusal for %q", err, want)
	}
	if r.Public() == "" {
		t.Errorf("%q has no sentence", want)
	}
}

//control:proves upload
func TestCheck_refusesWhatIsNotWhatItSaysItIs(t *testing.T) {
	picture := pngOf(t, flag(8, 8))
	for _, tt := range []struct {
		name string
		file File
		want Why
	}{
		{"nothing", File{"a.png", "image/png", nil}, Empty},
		{"too many bytes", File{"a.txt", "text/plain", bytes.Repeat([]byte("a"), limit+1)}, TooLarge},
		{"a page named as a picture", File{"a.png", "image/png", []byte("<!doctype html><script>alert(1)</script>")}, Type},
		{"a page named as text", File{"a.txt", "text/plain", []byte("<html><script>alert(1)</script>")}, Type},
		{"SVG", File{"a.svg", "image/svg+xml", []byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`)}, Type},
		{"an archive", File{"a.zip", "application/zip", []byte("PK\x03\x04\x14\x00\x00\x00\x00\x00")}, Type},
		{"a program", File{"a.png", "image/png", []byte("\x7fELF\x02\x01\x01\x00")}, Type},
		{"script behind the magic number of GIF", File{"a.gif", "image/gif", []byte("GIF89a/*\x00\x00*/=1;alert(1)")}, Pixels}, // "/*" is a width of 10,799
		{"script behind a small header of GIF", File{"a.gif", "image/gif", []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00=1;alert(1)")}, Broken},
		{"a picture declared as a page", File{"a.png", "text/html", picture}, Declared},
		{"a picture declared as another kind", File{"a.png", "image/jpeg", picture}, Declared},
		{"no declared type", File{"a.png", "", picture}, Declared},
		{"two declared types", File{"a.png", "image/png, text/html", picture}, Declared},
		{"a second extension", File{"a.png.html", "image/png", picture}, Extension},
		{"an extension of another kind", File{"a.gif", "image/png", picture}, Extension},
		{"no extension", File{"png", "image/png", picture}, Extension},
		{"an extension behind a NUL", File{"a.html\x00.gif", "image/png", picture}, Extension},
		{"60,000 by 60,000 in a header", File{"a.png", "image/png", claiming(t, 60_000, 60_000)}, Pixels},
		{"one very long line", File{"a.png", "image/png", claiming(t, maxSide+1, 1)}, Pixels},
		{"sides that fit and an area that does not", File{"a.png", "image/png", claiming(t, maxSide, maxSide)}, Pixels},
		{"no pixels at all", File{"a.png", "image/png", claiming(t, 0, 1)}, Broken},
		{"a picture that ends in the middle", File{"a.png", "image/png", picture[:len(picture)-20]}, Broken},
		{"text that is not UTF-8", File{"a.txt", "text/plain", append([]byte("caf\xe9 and more text "), 0xC3)}, Text},
		{"text for a terminal", File{"a.txt", "text/plain", []byte("hello \x1b[2Jworld")}, Text},
		{"text that reads backwards", File{"a.txt", "text/plain", []byte("pay \u202Eeciov")}, Text},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := guard(t, Options{}).Check(t.Context(), tt.file)
			refused(t, err, tt.want)
		})
	}
}

//control:proves upload
func TestCheck_takesTheListedKinds(t *testing.T) {
	for _, tt := range []struct {
		name          string
		file          File
		mime          string
		width, height int
	}{
		{"PNG", File{"a.PNG", "image/png", pngOf(t, flag(8, 6))}, "image/png", 8, 6},
		{"JPEG", File{"a.jpeg", "image/jpeg", jpegOf(t, flag(8, 6))}, "image/jpeg", 8, 6},
		{"GIF", File{"a.gif", "image/gif", gifOf(t, 1)}, "image/png", 16, 8},
		{"WebP", File{"a.webp", "image/webp", webpOf(t)}, "", 1, 1},
		{"text", File{"notes.txt", "text/plain; charset=utf-8", []byte("Grüße,\n\tBob\r\n")}, "text/plain", 0, 0},
		{"PDF", File{"a.pdf", "application/pdf", []byte("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")}, "application/pdf", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := guard(t, Options{}).Check(t.Context(), tt.file)
			if err != nil {
				t.Fatal(err)
			}
			if tt.mime != "" && c.Mime != tt.mime || c.Width != tt.width || c.Height != tt.height || len(c.Bytes) == 0 {
				t.Errorf("%s %d×%d of %d bytes", c.Mime, c.Width, c.Height, len(c.Bytes))
			}
		})
	}
}

// A file that is a picture and a program: what is stored is a picture only.
//
//control:proves upload
func TestCheck_keepsNothingButThePixels(t *testing.T) {
	const script = "<script>alert(document.cookie)</script>"
	for _, tt := range []struct {
		name string
		file File
	}{
		{"bytes behind the end of a PNG", File{"a.png", "image/png", append(pngOf(t, flag(8, 8)), script...)}},
		{"a comment in a PNG", File{"a.png", "image/png", chunked(pngOf(t, flag(8, 8)), "tEXt", "Comment\x00"+script)}},
		{"bytes behind the end of a JPEG", File{"a.jpg", "image/jpeg", append(jpegOf(t, flag(8, 8)), script...)}},
		{"bytes behind the end of a GIF", File{"a.gif", "image/gif", append(gifOf(t, 1), script...)}},
		{"an archive behind a picture", File{"a.png", "image/png", append(pngOf(t, flag(8, 8)), "PK\x03\x04"+script...)}},
		{"metadata of a camera", File{"a.jpg", "image/jpeg", exif(jpegOf(t, flag(8, 8)), 1)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := guard(t, Options{}).Check(t.Context(), tt.file)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range []string{"script", "GPSLatitude", "Exif", "PK\x03\x04", "tEXt"} {
				if bytes.Contains(c.Bytes, []byte(s)) {
					t.Errorf("the stored picture still holds %q", s)
				}
			}
		})
	}
}

//control:proves upload
func TestCheck_keepsOneFrameOfAnAnimation(t *testing.T) {
	c, err := guard(t, Options{}).Check(t.Context(), File{"a.gif", "image/gif", gifOf(t, 40)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(c.Bytes)); err != nil || c.Name != "a.png" {
		t.Errorf("%s: %v", c.Name, err)
	}
}

//control:proves upload
func TestCheck_turnsAPictureBeforeItForgetsHow(t *testing.T) {
	for o := uint16(1); o <= 8; o++ {
		c, err := guard(t, Options{}).Check(t.Context(), File{"a.jpg", "image/jpeg", exif(jpegOf(t, flag(64, 32)), o)})
		if err != nil {
			t.Fatal(err)
		}
		w, h := 64, 32
		if o >= 5 {
			w, h = h, w
		}
		m, err := jpeg.Decode(bytes.NewReader(c.Bytes))
		if err != nil || c.Width != w || c.Height != h || m.Bounds().Dx() != w {
			t.Fatalf("orientation %d: %d×%d, %v", o, c.Width, c.Height, err)
		}
		// Where the red quarter, which the camera stored at the top left, has to be seen.
		right := o == 2 || o == 3 || o == 6 || o == 7
		bottom := o == 3 || o == 4 || o == 7 || o == 8
		x, y := w/4, h/4
		if right {
			x = 3 * w / 4
		}
		if bottom {
			y = 3 * h / 4
		}
		if r, _, b, _ := m.At(x, y).RGBA(); r < b {
			t.Errorf("orientation %d: the red corner is not at %d,%d", o, x, y)
		}
	}
}

//control:proves upload
func TestCheck_withoutAScannerTakesOnlyPictures(t *testing.T) {
	g := guard(t, Options{OnlyImages: true})
	if _, err := g.Check(t.Context(), File{"a.png", "image/png", pngOf(t, flag(4, 4))}); err != nil {
		t.Error(err)
	}
	_, err := g.Check(t.Context(), File{"a.pdf", "application/pdf", []byte("%PDF-1.7\n")})
	refused(t, err, Unscanned)
}

//control:proves upload
func TestCheck_namesAreForPeople(t *testing.T) {
	for sent, want := range map[string]string{
		"holiday.jpeg.png":                "holiday_jpeg.png",
		"../../etc/passwd.png":            "passwd.png",
		`C:\Users\bob\a.png`:              "a.png",
		"shell.php.png":                   "shell_php.png",
		".png":                            "file.png",
		"\"; filename=x.html;.png":        "filename_x_html.png",
		"a\r\nSet-Cookie: x.png":          "a__Set-Cookie_ x.png",
		"\u202Egnp.exe.png":               "gnp_exe.png",
		"Grüße aus Köln.png":              "Grüße aus Köln.png",
		strings.Repeat("a", 300) + ".png": strings.Repeat("a", maxStem) + ".png",
	} {
		c, err := guard(t, Options{}).Check(t.Context(), File{sent, "image/png", pngOf(t, flag(4, 4))})
		if err != nil || c.Name != want {
			t.Errorf("%q became %q, want %q (%v)", sent, c.Name, want, err)
		}
	}
}

// A PNG as large as a photograph, which grows when it is stored without loss.
func TestCheck_storesNothingLargerThanTheLimit(t *testing.T) {
	noise := image.NewRGBA(image.Rect(0, 0, 200, 200))
	seed := uint32(1)
	for i := range noise.Pix {
		seed = seed*1664525 + 1013904223
		noise.Pix[i] = byte(seed >> 24)
		if i%4 == 3 {
			noise.Pix[i] = 255
		}
	}
	b := pngOf(t, noise)
	g := guard(t, Options{MaxBytes: int64(len(b))})
	c, err := g.Check(t.Context(), File{"a.png", "image/png", b})
	if err != nil || len(c.Bytes) > len(b) {
		t.Fatalf("%d bytes became %d: %v", len(b), len(c.Bytes), err)
	}
}

//control:proves upload
func TestCheck_decodesTwoPicturesAtOnceAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Options{})
		for range decodes {
			g.turns <- struct{}{} // as if pictures were being decoded
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := g.Check(ctx, File{"a.png", "image/png", pngOf(t, flag(4, 4))})
			done <- err
		}()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("a third picture was decoded: %v", err)
		default:
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

func TestNew_refusesNoLimit(t *testing.T) {
	for _, n := range []int64{0, -1, MaxBytes + 1} {
		if _, err := New(Options{MaxBytes: n}); err == nil {
			t.Errorf("MaxBytes %d was taken", n)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("a.png", "image/png", pngOf(f, flag(4, 4)))
	f.Add("a.jpg", "image/jpeg", exif(jpegOf(f, flag(4, 4)), 6))
	f.Add("a.gif", "image/gif", gifOf(f, 2))
	f.Add("a.webp", "image/webp", webpOf(f))
	f.Add("a.txt", "text/plain", []byte("hello"))
	g, err := New(Options{MaxBytes: limit})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, declared string, b []byte) {
		c, err := g.Check(t.Context(), File{name, declared, b})
		if err == nil && (strings.ContainsAny(c.Name, "/\\\r\n\"\x00") || int64(len(c.Bytes)) > limit) {
			t.Errorf("%q of %d bytes", c.Name, len(c.Bytes))
		}
	})
}
