// Package qr reads QR codes in pictures, in processes of its own: a picture of a stranger that makes
// the reader fail, hang or grow ends a helper and nothing else.
package qr

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"time"

	"github.com/makiuchi-d/gozxing"
	multi "github.com/makiuchi-d/gozxing/multi/qrcode"
	"golang.org/x/image/bmp"
	"golang.org/x/image/webp"

	"postern/internal/archive/kind"
)

// The limits on a picture and on what is read from it.
const (
	MaxBytes  = 2 << 20 // of a picture
	MinBytes  = 60      // what is smaller shows no code
	MaxPixels = 4 << 20
	minSide   = 21  // squares of the smallest code
	seenSide  = 700 // points of the longer side of what is looked at
	maxCodes  = 4   // of one picture
	maxText   = 2048
)

// form is how pictures of a kind are read.
type form struct {
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

// formOf is nil for kinds that are not read: TIFF among them, whose readers are a history of faults.
func formOf(k string) *form {
	switch k {
	case kind.PNG:
		return &form{png.DecodeConfig, png.Decode}
	case kind.JPEG:
		return &form{jpeg.DecodeConfig, jpeg.Decode}
	case kind.GIF:
		return &form{gif.DecodeConfig, gif.Decode}
	case kind.BMP:
		return &form{bmp.DecodeConfig, bmp.Decode}
	case kind.WebP:
		return &form{webp.DecodeConfig, webp.Decode}
	}
	return nil
}

// May reports whether data is a picture that is worth a helper's time.
func May(data []byte) bool {
	return len(data) >= MinBytes && len(data) <= MaxBytes && formOf(kind.File(data[:min(len(data), kind.Head)])) != nil
}

// decode reads the codes of a picture: none of what is no picture, damaged, or too large to be looked
// at. It runs in a helper alone.
func decode(data []byte) []string {
	began := time.Now()
	f := formOf(kind.File(data[:min(len(data), kind.Head)]))
	if f == nil {
		return nil
	}
	c, err := f.config(bytes.NewReader(data))
	if err != nil || c.Width < minSide || c.Height < minSide || c.Width > MaxPixels/c.Height {
		return nil
	}
	picture, err := f.decode(bytes.NewReader(data))
	if err != nil {
		return nil
	}
	source := gozxing.NewLuminanceSourceFromImage(shrunk(picture))
	if out := codes(source); len(out) > 0 || time.Since(began) > Each/4 {
		return out
	}
	return codes(source.Invert())
}

// greys is a picture in shades of grey; those of a photo are a plane of their own.
func greys(picture image.Image) *image.Gray {
	switch m := picture.(type) {
	case *image.Gray:
		return m
	case *image.YCbCr:
		return &image.Gray{Pix: m.Y, Stride: m.YStride, Rect: m.Rect}
	}
	b := picture.Bounds()
	gray := image.NewGray(b)
	draw.Draw(gray, b, image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(gray, b, picture, b.Min, draw.Over)
	return gray
}

// shrunk is a picture in shades of grey, no longer than seenSide; what is transparent is shown on
// white. Each point is the mean of those it stands for.
func shrunk(picture image.Image) *image.Gray {
	b := picture.Bounds()
	gray := greys(picture)
	by := (max(b.Dx(), b.Dy()) + seenSide - 1) / seenSide
	if by <= 1 {
		return gray
	}
	small := image.NewGray(image.Rect(0, 0, b.Dx()/by, b.Dy()/by))
	for y := range small.Rect.Dy() {
		for x := range small.Rect.Dx() {
			sum := 0
			for dy := range by {
				at := (y*by+dy)*gray.Stride + x*by
				for _, v := range gray.Pix[at : at+by] {
					sum += int(v)
				}
			}
			small.Pix[y*small.Stride+x] = byte(sum / (by * by))
		}
	}
	return small
}

// codes reads the codes that a picture shows dark on light.
func codes(source gozxing.LuminanceSource) []string {
	bitmap, err := gozxing.NewBinaryBitmap(gozxing.NewHybridBinarizer(source))
	if err != nil {
		return nil
	}
	results, err := multi.NewQRCodeMultiReader().DecodeMultiple(bitmap, nil)
	if err != nil {
		return nil
	}
	var out []string
	for _, r := range results[:min(len(results), maxCodes)] {
		text := r.GetText()
		out = append(out, text[:min(len(text), maxText)])
	}
	return out
}
