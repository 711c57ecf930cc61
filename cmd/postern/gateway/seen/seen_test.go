package seen_test

import (
	"bytes"
	"io"
	"testing"

	"postern/cmd/postern/gateway/seen"
	"postern/filter"
	"postern/internal/mime"
	"postern/internal/stamp"
)

// What is traced is what the stamper writes: nothing into mail from outside or that is signed.
func TestGiven(t *testing.T) {
	stamper := &stamp.Stamper{Names: stamp.DefaultNames("mx1.example.com"), Key: []byte("k")}
	given := seen.Given(stamper)
	for raw, want := range map[string]map[filter.Direction]string{
		"From: ann@us.example\r\n\r\nx\r\n":                        {filter.Outbound: "<01jd9x5h3k2m4n6p8q0r1s2t3v@mx1.example.com>", filter.Inbound: ""},
		"From: ann@us.example\r\nDKIM-Signature: v=1\r\n\r\nx\r\n": {filter.Outbound: ""},
	} {
		for direction, id := range want {
			b := []byte(raw)
			m := &filter.Message{ID: "01jd9x5h3k2m4n6p8q0r1s2t3v", Direction: direction, Body: bytes.NewReader(b), Size: int64(len(b))}
			if got := given(m); got != "" {
				t.Errorf("nobody can read it: %q", got)
			}
			m.Parts = func() (*mime.Tree, error) { return mime.Walk(bytes.NewReader(b), int64(len(b)), mime.DefaultLimits()) }
			if got := given(m); got != id {
				t.Errorf("%s %q: %q, want %q", direction, raw, got, id)
			}
			r, _, err := stamper.Open(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			sent, err := io.ReadAll(r)
			if err != nil || bytes.Contains(sent, []byte("Message-ID: "+id+"\r\n")) != (id != "") {
				t.Errorf("%s %q, %v: what is sent is\n%s", direction, raw, err, sent)
			}
		}
	}
}
