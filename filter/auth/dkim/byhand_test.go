package dkim_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
)

// byHand signs From of a message in simple form with further tags, which the oracle does
// not write. With l= the body hash is over so many octets.
func (s *signer) byHand(tags, msg string) string {
	header, body, _ := strings.Cut(msg, "\r\n\r\n")
	canonical := strings.TrimRight(body, "\r\n") + "\r\n"
	if _, l, ok := strings.Cut(tags, "l="); ok {
		n, err := strconv.Atoi(l[:strings.IndexByte(l, ';')])
		if err != nil {
			s.t.Fatal(err)
		}
		canonical = canonical[:min(n, len(canonical))]
	}
	bh := sha256.Sum256([]byte(canonical))
	field := "DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=s; h=From; " + tags +
		"bh=" + base64.StdEncoding.EncodeToString(bh[:]) + "; b="
	from := header[strings.Index(header, "From:"):]
	from = from[:strings.Index(from, "\r\n")+2]
	digest := sha256.Sum256([]byte(from + field))
	key, ok := s.key.(ed25519.PrivateKey)
	if !ok {
		s.t.Fatal("not an Ed25519 key")
	}
	return field + base64.StdEncoding.EncodeToString(ed25519.Sign(key, digest[:])) + "\r\n" + msg
}
