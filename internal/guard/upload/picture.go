package upload

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/webp"
)

const (
	// maxSide is beyond every screen and every camera's shorter side.
	maxSide = 8192
	// maxDecoded bounds the pixels in memory: 4,096 × 4,096 of four bytes each. A
	// progressive JPEG needs up to four times as much while it is decoded.
	maxDecoded = 64 << 20
	// decodes is how many pictures are decoded at once: maxDecoded is the memory of one,
	// and decoding is work for a core.
	decodes = 2
	// quality of the JPEG that we make; above it files grow and pictures do not improve.
	quality = 88
)

var errMoved = errors.New("the picture has another size than its header says")

// picture decodes and encodes again.
//
//control:name upload
func (g *Guard) picture(ctx context.Context, k kind, f File) (Clean, error) {
	size, err := header(k, f.Bytes)
	if err != nil {
		return Clean{}, &Refused{Why: Broken, Err: err}
	}
	if !fits(size) {
		return Clean{}, &Refused{Why: Pixels}
	}
	if k.magic == "image/jpeg" && scans(f.Bytes) > maxScans {
		return Clean{}, &Refused{Why: Pixels, Err: errScans}
	}
	select {
	case g.turns <- struct{}{}:
		defer func() { <-g.turns }()
	case <-ctx.Done():
		return Clean{}, ctx.Err()
	}
	img, err := decode(k, f.Bytes)
	if err == nil && (img.Bounds().Dx() > size.Width || img.Bounds().Dy() > size.Height) {
		err = errMoved
	}
	if err != nil {
		return Clean{}, &Refused{Why: Broken, Err: err}
	}
	turned := upright(img, orientation(k, f.Bytes))
	c, err := g.encode(k, turned)
	if err != nil {
		return Clean{}, err
	}
	c.Name = cleanName(f.Name, extensionOf(c.Mime))
	c.Width, c.Height = turned.Bounds().Dx(), turned.Bounds().Dy()
	return c, nil
}

// header reads the size and the colours without decoding a pixel.
func header(k kind, b []byte) (image.Config, error) {
	r := bytes.NewReader(b)
	switch k.magic {
	case "image/png":
		return png.DecodeConfig(r)
	case "image/jpeg":
		return jpeg.DecodeConfig(r)
	case "image/gif":
		return gif.DecodeConfig(r)
	default:
		return webp.DecodeConfig(r)
	}
}

// fits reports whether a picture of that size may be decoded.
//
//control:name upload
func fits(c image.Config) bool {
	if c.Width < 1 || c.Height < 1 || c.Width > maxSide || c.Height > maxSide {
		return false
	}
	pixel := 4
	switch c.ColorModel {
	case color.RGBA64Model, color.NRGBA64Model, color.Gray16Model:
		pixel = 8
	}
	return c.Width*c.Height*pixel <= maxDecoded
}

// decode reads the first frame.
func decode(k kind, b []byte) (image.Image, error) {
	r := bytes.NewReader(b)
	switch k.magic {
	case "image/png":
		return png.Decode(r)
	case "image/jpeg":
		return jpeg.Decode(r)
	case "image/gif":
		return gif.Decode(r)
	default:
		return webp.Decode(r)
	}
}

// encode writes img as PNG where that was the kind of picture, or it has transparent
// parts, and as JPEG otherwise. A PNG that would be larger than a file may be becomes
// a JPEG if it can, too.
func (g *Guard) encode(k kind, img image.Image) (Clean, error) {
	opaque := true
	if o, ok := img.(interface{ Opaque() bool }); ok {
		opaque = o.Opaque()
	}
	var out bytes.Buffer
	if !opaque || k.magic == "image/png" || k.magic == "image/gif" {
		if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&out, img); err != nil {
			return Clean{}, &Refused{Why: Broken, Err: err}
		}
		if int64(out.Len()) <= g.o.MaxBytes {
			return Clean{Mime: "image/png", Bytes: out.Bytes()}, nil
		}
		if !opaque {
			return Clean{}, &Refused{Why: TooLarge}
		}
		out.Reset()
	}
	if err := jpeg.Encode(&out, img, &jpeg.Options{Quality: quality}); err != nil {
		return Clean{}, &Refused{Why: Broken, Err: err}
	}
	if int64(out.Len()) > g.o.MaxBytes {
		return Clean{}, &Refused{Why: TooLarge}
	}
	return Clean{Mime: "image/jpeg", Bytes: out.Bytes()}, nil
}

func extensionOf(mime string) string {
	if mime == "image/png" {
		return "png"
	}
	return "jpg"
}

// upright turns a picture as its camera asked, since the wish itself is lost with the
// metadata. The values are those of EXIF 2.32 §4.6.4 (tag 0x0112).
func upright(img image.Image, o int) image.Image {
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	if o <= 1 || o > 8 {
		return img
	}
	src := image.NewRGBA(image.Rect(0, 0, w, h)) // JPEG has no transparency
	draw.Draw(src, src.Bounds(), img, b.Min, draw.Src)
	size := image.Rect(0, 0, w, h)
	if o >= 5 {
		size = image.Rect(0, 0, h, w)
	}
	dst := image.NewRGBA(size)
	for y := range h {
		for x := range w {
			var tx, ty int
			switch o {
			case 2:
				tx, ty = w-1-x, y
			case 3:
				tx, ty = w-1-x, h-1-y
			case 4:
				tx, ty = x, h-1-y
			case 5:
				tx, ty = y, x
			case 6:
				tx, ty = h-1-y, x
			case 7:
				tx, ty = h-1-y, w-1-x
			case 8:
				tx, ty = y, w-1-x
			}
			from, to := src.PixOffset(x, y), dst.PixOffset(tx, ty)
			copy(dst.Pix[to:to+4], src.Pix[from:from+4])
		}
	}
	return dst
}
