package samples

import (
	"bytes"
	"image/png"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// QR is a PNG with a code that holds a text.
func QR(text string) []byte {
	const side = 180
	var buf bytes.Buffer
	if m, err := qrcode.NewQRCodeWriter().Encode(text, gozxing.BarcodeFormat_QR_CODE, side, side, nil); err == nil {
		png.Encode(&buf, m) //nolint:errcheck // into memory
	}
	return buf.Bytes()
}
