// Package sign writes DKIM signatures (RFC 6376, RFC 8301, RFC 8463) for mail that goes out.
package sign

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"postern/filter"
	"postern/internal/address"
	"postern/internal/canon"
	"postern/internal/mime/header"
	"postern/internal/stamp/keys"
)

// DefaultExpire is how long a signature is good for: longer than any queue keeps mail, short
// for whoever collects signed mail to send it again.
const DefaultExpire = 7 * 24 * time.Hour

// sameDelivery is how old a message may be and still be signed or sealed as of its arrival.
// Later, after a hold or a wait for a server, its time would be running out.
const sameDelivery = time.Hour

// maxNames bounds h=. Mail with so many fields of these names is no honest one, and verifiers
// bound their work too.
const maxNames = 150

// Keys hands out what signs for a domain; *keys.Store is one. None is no error.
type Keys interface {
	Active(domain string) ([]keys.Private, error)
}

// Signer signs outbound mail. It is safe for concurrent use.
type Signer struct {
	Keys   Keys
	Now    func() time.Time
	Expire time.Duration // 0 = DefaultExpire
	// May reports whether the sender of m may speak for the author's domain; nil = everybody
	// whose mail is taken may. Without it one tenant could get another's signature.
	May   func(m *filter.Message, domain string) bool
	Log   *slog.Logger
	Alert func(key, text string, over bool) // a key that should sign cannot; nil = only logged
	// Gateway is the domain that signs beside that of the author, for whoever sends us the mail
	// back in a complaint: nil or "" = none. It signs what has no author too.
	Gateway func() string
	Also    []string // fields that are signed where they stand, beside the usual ones
}

// Sign returns the DKIM-Signature fields for the message that open reads, one for each active
// key of the domain of its author or else of the nearest parent domain that has one, and one
// for each of the gateway's own domain; none where there is no key. An error means that the
// message should be signed and cannot be.
func (s *Signer) Sign(m *filter.Message, open func() (io.Reader, error)) ([]byte, error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	head, body, err := canon.Read(r)
	if errors.Is(err, canon.ErrTooLarge) {
		s.log().Warn("not signed: the header is too large", "message", m.ID)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := s.signers(m, head)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	names := s.covered(head)
	if len(names) > maxNames {
		s.log().Warn("not signed: too many fields", "message", m.ID, "fields", len(names))
		return nil, nil
	}
	sum := canon.NewBody(true)
	if err := canon.HashBody(body, sum); err != nil {
		return nil, err
	}
	var out []byte
	for _, k := range all {
		field, err := s.field(m, k, head, names, sum.Sum())
		if err != nil {
			s.alert(k.Domain, "signing for "+k.Domain+" failed: "+err.Error(), false)
			return nil, fmt.Errorf("DKIM key %s of %s: %w", k.Selector, k.Domain, err)
		}
		out = append(out, field...)
	}
	return out, nil
}

// signers are the keys that sign a message: those of its author, then those of the gateway.
func (s *Signer) signers(m *filter.Message, head *canon.Header) ([]keys.Private, error) {
	var all []keys.Private
	domain, why := author(head)
	switch {
	case why != "":
		s.log().Info("not signed for its author: "+why, "message", m.ID)
	case s.May != nil && !s.May(m, domain):
		s.log().Info("not signed: the sender may not speak for the author's domain", "message", m.ID, "domain", domain)
	default:
		var err error
		if all, err = s.keysOf(domain); err != nil {
			return nil, err
		}
	}
	if s.Gateway == nil {
		return all, nil
	}
	own := s.Gateway()
	if own == "" || len(all) > 0 && all[0].Domain == own {
		return all, nil
	}
	more, err := s.Keys.Active(own)
	if err != nil {
		s.alert(own, "mail cannot be signed for "+own+" and is deferred: "+err.Error(), false)
		return nil, fmt.Errorf("DKIM keys of %s: %w", own, err)
	}
	return append(all, more...), nil
}

func (s *Signer) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

func (s *Signer) alert(domain, text string, over bool) {
	if s.Alert != nil {
		s.Alert("dkim-key:"+domain, text, over)
	}
}

// keysOf are the keys of the domain or of its nearest parent that has some.
func (s *Signer) keysOf(domain string) ([]keys.Private, error) {
	for strings.Contains(domain, ".") {
		all, err := s.Keys.Active(domain)
		if err != nil {
			s.alert(domain, "mail of "+domain+" cannot be signed and is deferred: "+err.Error(), false)
			return nil, fmt.Errorf("DKIM keys of %s: %w", domain, err)
		}
		if len(all) > 0 {
			s.alert(domain, "", true)
			return all, nil
		}
		_, domain, _ = strings.Cut(domain, ".")
	}
	return nil, nil
}

// author is the domain of the one author of a message in A-labels, or why there is none.
func author(h *canon.Header) (domain, why string) {
	at := h.Named("from")
	if len(at) != 1 {
		return "", fmt.Sprintf("%d From fields", len(at))
	}
	boxes := header.Mailboxes(string(h.Fields[at[0]].Value()))
	if len(boxes) != 1 {
		return "", fmt.Sprintf("%d authors", len(boxes))
	}
	a, err := address.Parse(boxes[0].Address, true)
	if err != nil {
		return "", "the author's address cannot be read"
	}
	domain, err = address.ToASCII(a.Domain)
	if err != nil {
		return "", "the author's domain cannot be read"
	}
	return domain, ""
}

// always are the fields that are signed once more than they stand in the message, so that
// nobody can add one: what people are shown, and what decides how the body is read.
func always() []string {
	return []string{
		"From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "In-Reply-To", "References",
		"MIME-Version", "Content-Type", "Content-Transfer-Encoding",
	}
}

// ifThere are the fields that are signed in the same way where they stand. Where they do not,
// a mailing list may add them and the signature holds. RFC 8058 section 4 and RFC 9477
// section 3.1 want theirs signed.
func ifThere() []string {
	return []string{
		"Sender", "List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Post",
		"List-Owner", "List-Archive", "CFBL-Address", "CFBL-Feedback-ID", "Feedback-ID",
	}
}

// covered is h= for a message.
func (s *Signer) covered(h *canon.Header) []string {
	var names []string
	add := func(name string, n int) {
		for range min(n+1, maxNames+1) {
			names = append(names, name)
		}
	}
	for _, name := range always() {
		add(name, len(h.Named(strings.ToLower(name))))
	}
	for _, name := range append(ifThere(), s.Also...) {
		if n := len(h.Named(strings.ToLower(name))); n > 0 {
			add(name, n)
		}
	}
	return names
}

// Moment is the time that a signature or seal over m carries: that of its arrival while m is
// young, so that every copy carries the same, and later now.
func Moment(m *filter.Message, now time.Time) time.Time {
	if age := now.Sub(m.Time); age >= 0 && age < sameDelivery {
		return m.Time
	}
	return now
}

// field is one signature.
func (s *Signer) field(m *filter.Message, k keys.Private, h *canon.Header, names []string, body []byte) ([]byte, error) {
	at, expire := Moment(m, s.Now()), s.Expire
	if expire <= 0 {
		expire = DefaultExpire
	}
	alg, hash := "rsa-sha256", crypto.SHA256
	if k.Algorithm == keys.Ed25519 {
		alg, hash = "ed25519-sha256", 0 // RFC 8463 section 3: the hash itself is what is signed
	}
	b := bytes.NewBufferString("DKIM-Signature: v=1; a=" + alg + "; c=relaxed/relaxed;")
	b.WriteString("\r\n\td=" + k.Domain + ";\r\n\ts=" + k.Selector + ";")
	b.WriteString("\r\n\tt=" + strconv.FormatInt(at.Unix(), 10) + "; x=" + strconv.FormatInt(at.Add(expire).Unix(), 10) + ";")
	b.WriteString("\r\n\tbh=" + base64.StdEncoding.EncodeToString(body) + ";")
	b.WriteString("\r\n\th=")
	list(b, names)
	b.WriteString(";\r\n\tb=")
	lower := make([]string, len(names))
	for i, n := range names {
		lower[i] = strings.ToLower(n)
	}
	digest := h.Digest(lower, b.Bytes(), true)
	sig, err := k.Signer.Sign(rand.Reader, digest, hash)
	if err != nil {
		return nil, err
	}
	fold(b, base64.StdEncoding.EncodeToString(sig))
	b.WriteString("\r\n")
	return b.Bytes(), nil
}

// lineMax is where lines of a signature are folded.
const lineMax = 70

// list writes names with colons between them, folded.
func list(b *bytes.Buffer, names []string) {
	col := len("h=")
	for i, n := range names {
		if i > 0 {
			b.WriteByte(':')
			if col += 1; col+len(n) > lineMax {
				b.WriteString("\r\n\t ")
				col = 0
			}
		}
		b.WriteString(n)
		col += len(n)
	}
}

// fold writes base64, folded.
func fold(b *bytes.Buffer, s string) {
	for n := lineMax - len("b="); len(s) > n; n = lineMax {
		b.WriteString(s[:n])
		b.WriteString("\r\n\t ")
		s = s[n:]
	}
	b.WriteString(s)
}
