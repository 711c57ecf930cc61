package link_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"postern/filter"
	"postern/filter/link"
	"postern/internal/mailtest/samples"
	"postern/internal/mime"
)

// reader says the same of every picture, and counts them.
type reader struct {
	texts []string
	err   error
	read  int
}

func (r *reader) Read(ctx context.Context, _ []byte) ([]string, error) {
	r.read++
	return r.texts, errors.Join(r.err, ctx.Err())
}

// letter is one with pictures, and a link to its author.
func letter(pictures ...[]byte) *filter.Message {
	raw := "From: Ann <ann@sender.test>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=B\r\n\r\n--B\r\nContent-Type: text/html\r\n\r\n<a href=\"https://sender.test/\">home</a>\r\n"
	for i, p := range pictures {
		raw += fmt.Sprintf("--B\r\nContent-Type: image/png; name=p%d.png\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n", i, base64.StdEncoding.EncodeToString(p))
	}
	tree := mime.Bytes([]byte(raw+"--B--\r\n"), mime.Limits{})
	return &filter.Message{Parts: func() (*mime.Tree, error) { return tree, nil }}
}

func found(t *testing.T, r *reader, m *filter.Message) (string, error) {
	t.Helper()
	c := link.New([]string{"example.com"})
	if r != nil {
		c.Pictures = r
	}
	all, err := c.Check(t.Context(), m)
	var out []string
	for _, f := range all {
		out = append(out, f.Symbol)
	}
	return strings.Join(out, " "), err
}

func TestCodes(t *testing.T) {
	code := samples.QR("https://any.example/")
	for text, want := range map[string]string{
		"https://sender.test/pay":    "QR_LINK",
		"HTTPS://SENDER.TEST/PAY":    "QR_LINK",
		"https://other.test/":        "QR_LINK",
		"www.other.test/x":           "QR_LINK",
		"https://bit.ly/abc":         "QR_LINK QR_LINK_HIDES",
		"https://www.qrco.de/abc":    "QR_LINK QR_LINK_HIDES",
		"https://rabbit.ly/abc":      "QR_LINK",
		"http://192.0.2.7/x":         "QR_LINK QR_LINK_HIDES",
		"http://3221225991/x":        "QR_LINK QR_LINK_HIDES",
		"http://[2001:db8::1]/":      "QR_LINK QR_LINK_HIDES",
		"https://exarnple.com/login": "QR_LINK LINK_LIKE_OWN",
		"https://раураl.com/":        "QR_LINK LINK_LOOKALIKE",
		"https://www.sonder.test/":   "QR_LINK LINK_LIKE_SENDER",
		"WIFI:S:guests;T:WPA;P:x;;":  "",
		"BEGIN:VCARD\nN:Ann\nEND":    "",
		"mailto:ann@other.test":      "",
		"tel:+491234":                "",
		"A ticket, number 12345":     "",
		"":                           "",
	} {
		got, err := found(t, &reader{texts: []string{text}}, letter(code))
		if got != want || err != nil {
			t.Errorf("%q: %q, want %q; %v", text, got, want, err)
		}
	}
	if got, err := found(t, nil, letter(code)); got != "" || err != nil {
		t.Errorf("without a reader: %q %v", got, err)
	}
}

// A code is a link that a reader can follow: a letter with nothing else leads to strangers.
func TestCodeAlone(t *testing.T) {
	raw := "From: Ann <ann@sender.test>\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(samples.QR("x"))
	tree := mime.Bytes([]byte(raw), mime.Limits{})
	m := &filter.Message{Parts: func() (*mime.Tree, error) { return tree, nil }}
	if got, err := found(t, &reader{texts: []string{"https://other.test/"}}, m); got != "QR_LINK LINK_ELSEWHERE LINK_STRANGE" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

// A picture that could not be looked at is said, and all else counts.
func TestUnreadPictures(t *testing.T) {
	r := &reader{texts: []string{"https://bit.ly/a"}, err: errors.New("it died")}
	got, err := found(t, r, letter(samples.QR("a"), samples.QR("b")))
	var plain filter.PlainError
	if !errors.As(err, &plain) || !errors.Is(err, r.err) || got != "QR_LINK QR_LINK_HIDES" {
		t.Errorf("%q %v", got, err)
	}
}

// Few pictures of a message are looked at, each once, and only those that may show a code.
func TestWhichPictures(t *testing.T) {
	var many [][]byte
	for i := range 20 {
		many = append(many, samples.QR(fmt.Sprint(i)))
	}
	for name, x := range map[string]struct {
		pictures [][]byte
		want     int
	}{
		"none":       {nil, 0},
		"one":        {many[:1], 1},
		"the same":   {slices.Repeat(many[:1], 10), 1},
		"very many":  {many, link.MaxPictures},
		"a pixel":    {[][]byte{samples.PNG()}, 0},
		"no picture": {[][]byte{[]byte(strings.Repeat("Dear Bob, ", 30))}, 0},
		"a program":  {[][]byte{samples.PE()}, 0},
	} {
		r := &reader{}
		if _, err := found(t, r, letter(x.pictures...)); err != nil || r.read != x.want {
			t.Errorf("%s: %d pictures were looked at, want %d; %v", name, r.read, x.want, err)
		}
	}
}
