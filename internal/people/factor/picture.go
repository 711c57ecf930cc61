package factor

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"strings"
)

// pictureSize is the width of a QR code in pixels.
const pictureSize = 232

// Picture is the QR code as the address of an image.
func (o Offer) Picture() (string, error) {
	img, err := o.key.Image(pictureSize, pictureSize)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return "", err
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

// URL is what the QR code says.
func (o Offer) URL() string { return o.key.URL() }

// Spaced is the secret in groups of four.
func (o Offer) Spaced() string {
	var b strings.Builder
	for i, c := range o.Secret {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}
