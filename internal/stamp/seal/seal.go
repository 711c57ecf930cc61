// Package seal adds an ARC Set to a message that is relayed (RFC 8617 section 5.1): what we
// found of its authentication, signed, for hosts behind us that would otherwise see our
// changes and our address alone.
package seal

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"postern/internal/canon"
)

// Sealer adds sets in the name of a domain. It is safe for concurrent use if its key is.
type Sealer struct {
	Domain     string        // d=, whose key is in the DNS under Selector
	Selector   string        // s=
	AuthservID string        // whose Authentication-Results are sealed (RFC 8601 section 2.5)
	Key        crypto.Signer // RSA of at least 1024 bits, or Ed25519

	layout layout
}

// Reasons to add no set. The message is then relayed without one.
var (
	// ErrFailed: a host before us found the chain failed. That is final (RFC 8617 section
	// 5.1.2).
	ErrFailed = errors.New("the chain was found failed before")
	// ErrFull: the chain has as many sets as it can have.
	ErrFull = errors.New("the chain has 50 sets")
	// ErrUnknown: nobody can say now whether the chain passes, and a seal must.
	ErrUnknown = errors.New("the chain could not be validated")
	// ErrNoResults: there is no Authentication-Results field of ours to seal.
	ErrNoResults = errors.New("there are no results to seal")
	// ErrOther: the chain in the message is not the one whose validation is told.
	ErrOther = errors.New("the chain is not as it was validated")
)

// Seal reads a message as it will be relayed, our Authentication-Results field included, and
// returns the three fields to put before it, each line ended by CRLF. validated is what came
// of the chain it carries: "none", "pass" or "fail", in the words of filter/auth/arc; after
// a fail the set says so and covers itself alone. The body is read as it streams by.
//
// The error is that of msg or of the key, canon.ErrTooLarge, or one of the reasons above.
func (s *Sealer) Seal(msg io.Reader, validated string, now time.Time) ([]byte, error) {
	alg, err := algorithm(s.Key)
	if err != nil {
		return nil, err
	}
	h, body, err := canon.Read(msg)
	if err != nil {
		return nil, err
	}
	c, err := readChain(h)
	switch {
	case err != nil:
		return nil, err
	case validated != "none" && validated != "pass" && validated != "fail":
		return nil, ErrUnknown
	case validated == "none" && c.highest > 0, validated == "pass" && !c.whole(), validated == "fail" && c.highest == 0:
		return nil, ErrOther
	}
	results := ownResults(h, s.AuthservID)
	if results == "" {
		return nil, ErrNoResults
	}
	hash := canon.NewBody(true)
	if err := canon.HashBody(body, hash); err != nil {
		return nil, err
	}
	w := &work{Sealer: s, header: h, alg: alg, instance: c.highest + 1, at: now.Unix()}
	return w.write(c, validated, results, hash.Sum())
}

func algorithm(key crypto.Signer) (string, error) {
	if key == nil {
		return "", errors.New("there is no key to seal with")
	}
	switch pub := key.Public().(type) {
	case *rsa.PublicKey:
		if n := pub.N.BitLen(); n < 1024 {
			return "", fmt.Errorf("an RSA key of %d bits; nobody takes less than 1024", n)
		}
		return "rsa-sha256", nil
	case ed25519.PublicKey:
		return "ed25519-sha256", nil
	default:
		return "", fmt.Errorf("a key of type %T seals nothing", pub)
	}
}

// work is one set in the making.
type work struct {
	*Sealer
	header   *canon.Header
	alg      string
	instance int
	at       int64
}

func (w *work) write(c *chain, validated, results string, bodyHash []byte) ([]byte, error) {
	own := fold(canon.ArcResults, append([]string{"i=" + strconv.Itoa(w.instance) + ";"}, strings.Fields(results)...))

	names := w.names(w.header)
	message, err := w.signed(canon.ArcMessage, w.layout.message, map[string]string{
		"c": "relaxed/relaxed", "h": strings.Join(names, ":"), "bh": base64.StdEncoding.EncodeToString(bodyHash),
	}, func(unsigned []byte) []byte { return w.header.Digest(names, unsigned, true) })
	if err != nil {
		return nil, err
	}
	seal, err := w.signed(canon.ArcSeal, w.layout.seal, map[string]string{"cv": validated}, func(unsigned []byte) []byte {
		sum := sha256.New()
		if validated != "fail" { // RFC 8617 section 5.1.2: a failed chain is not covered
			c.writeTo(sum)
		}
		sum.Write(canon.FieldForm(own, true)) // a hash never fails
		sum.Write(canon.FieldForm(message, true))
		sum.Write(canon.LastForm(unsigned, true))
		return sum.Sum(nil)
	})
	if err != nil {
		return nil, err
	}
	return append(append(seal, message...), own...), nil
}

// signed writes a field with the tags in an order, first without b= for its digest, and then
// with it.
func (w *work) signed(name string, order []string, tags map[string]string, digest func(unsigned []byte) []byte) ([]byte, error) {
	tags["i"], tags["a"], tags["d"], tags["s"] = strconv.Itoa(w.instance), w.alg, w.Domain, w.Selector
	tags["t"] = strconv.FormatInt(w.at, 10)
	sum := digest(w.field(name, order, tags))
	var opts crypto.SignerOpts = crypto.SHA256
	if w.alg == "ed25519-sha256" {
		opts = crypto.Hash(0) // RFC 8463 section 3: the digest is signed as a message
	}
	sig, err := w.Key.Sign(rand.Reader, sum, opts)
	if err != nil {
		return nil, fmt.Errorf("sealing for %s: %w", w.Domain, err)
	}
	tags["b"] = base64.StdEncoding.EncodeToString(sig)
	return w.field(name, order, tags), nil
}

// shown are the fields whose forgery a person would believe. They are signed once more than
// they stand, so that nobody adds one.
var shown = []string{"from", "subject", "to", "cc", "date", "reply-to", "sender", "content-type"}

// plain are further fields of RFC 6376 section 5.4.1, and what RFC 8617 section 4.1.2 asks
// for. Fields of ARC and Authentication-Results must not be among them.
var plain = []string{
	"message-id", "mime-version", "content-transfer-encoding", "in-reply-to", "references", "resent-from", "resent-to", "resent-date",
	"list-id", "list-unsubscribe", "list-unsubscribe-post", "dkim-signature",
}

// maxNames bounds the h= we write; verifiers bound what they read.
const maxNames = 100

// signedNames lists the fields of a message to sign, each as often as it stands.
func signedNames(h *canon.Header) []string {
	var out []string
	add := func(name string, n int) {
		for range min(n, maxNames-len(out)) {
			out = append(out, name)
		}
	}
	for _, name := range shown {
		add(name, len(h.Named(name))+1)
	}
	for _, name := range plain {
		add(name, min(len(h.Named(name)), 10))
	}
	return out
}
