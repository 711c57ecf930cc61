package arc_test

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"postern/filter/auth/arc"
	"postern/internal/canon"
)

// byHand is a first set with further tags in its two signatures, which our sealer does not
// write. The body hash is over the first so many octets of the body; -1 = all.
func (w *world) byHand(msg, domain, messageTags, sealTags string, length int) string {
	w.t.Helper()
	h, _, err := canon.Read(strings.NewReader(msg))
	if err != nil {
		w.t.Fatal(err)
	}
	_, body, _ := strings.Cut(msg, "\r\n\r\n")
	if length >= 0 {
		body = body[:length]
	}
	bh := sha256.Sum256([]byte(body))
	sign := func(digest []byte) string {
		sig, err := w.host(domain).Key.Sign(nil, digest, crypto.Hash(0))
		if err != nil {
			w.t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(sig)
	}
	who := "a=ed25519-sha256; d=" + domain + "; s=s; "
	results := "ARC-Authentication-Results: i=1; " + domain + "; spf=pass\r\n"
	message := "ARC-Message-Signature: i=1; " + who + "c=simple/simple; h=from; " + messageTags + "bh=" + base64.StdEncoding.EncodeToString(bh[:]) + "; b="
	message += sign(h.Digest([]string{"from"}, []byte(message+"\r\n"), false)) + "\r\n"
	seal := "ARC-Seal: i=1; cv=none; " + who + sealTags + "b="
	sum := sha256.New()
	for _, f := range []string{results, message} {
		sum.Write(canon.FieldForm([]byte(f), true))
	}
	sum.Write(canon.LastForm([]byte(seal+"\r\n"), true))
	return seal + sign(sum.Sum(nil)) + "\r\n" + message + results + msg
}

func TestTagsOfTheSignatures(t *testing.T) {
	w := newWorld(t)
	size := len("Hello world\r\n")
	at := func(d int) string { return fmt.Sprint(now.Unix() + int64(d)) }
	for name, c := range map[string]struct {
		message, seal string
		length        int
		reason        string // "" = pass
	}{
		"plain":                         {"", "", -1, ""},
		"l= of the whole body":          {fmt.Sprintf("l=%d; ", size), "", -1, ""},
		"l= leaves something":           {fmt.Sprintf("l=%d; ", size-2), "", size - 2, "ARC-Message-Signature i=1: the body was changed, or is not signed whole"},
		"l= leaves all":                 {"l=0; ", "", 0, "ARC-Message-Signature i=1: the body was changed, or is not signed whole"},
		"l= is more than there is":      {fmt.Sprintf("l=%d; ", size+1), "", -1, "ARC-Message-Signature i=1: the body was changed, or is not signed whole"},
		"l= is no length":               {"l=-1; ", "", -1, "ARC-Message-Signature i=1: l= is no length"},
		"expired in 300 s":              {"x=" + at(-300) + "; ", "", -1, ""},
		"expired":                       {"x=" + at(-301) + "; ", "", -1, "ARC-Message-Signature i=1: expired"},
		"signed in the future":          {"t=" + at(301) + "; ", "", -1, "ARC-Message-Signature i=1: signed in the future"},
		"sealed in the future":          {"", "t=" + at(301) + "; ", -1, "ARC-Seal i=1: signed in the future"},
		"x= means nothing in a seal":    {"", "x=1; ", -1, ""},
		"another query method":          {"q=http/json; ", "", -1, `ARC-Message-Signature i=1: query method "http/json"`},
		"unknown tags":                  {"zz=1; ", "zz=1; ", -1, ""},
		"a version, unknown to ARC too": {"v=1; ", "v=1; ", -1, ""},
	} {
		got := w.validate(w.byHand(plain, "one.example", c.message, c.seal, c.length))
		if got.Reason != c.reason || (got.Result == arc.Pass) != (c.reason == "") {
			t.Errorf("%s: %s (%s), want %s", name, got.Result, got.Reason, c.reason)
		}
	}
}

// An older signature that expired no longer fits; the chain does not rest on it.
func TestAnExpiredOldSignature(t *testing.T) {
	w := newWorld(t)
	got := w.validate(w.relay(w.byHand(plain, "one.example", "x=100; ", "", -1), "two.example", "pass"))
	if got.Result != arc.Pass || got.OldestPass != 2 || got.Sets[0].Unchanged || !got.Sets[1].Unchanged {
		t.Errorf("%+v", got)
	}
}
