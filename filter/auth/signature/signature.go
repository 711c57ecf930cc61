// Package signature reads what DKIM-Signature, ARC-Message-Signature and ARC-Seal fields
// have in common: their tags (RFC 6376 section 3.5), and the public keys they rest on
// (section 3.6).
package signature

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/internal/canon"
)

// Bounds on one signature.
const (
	maxNames = 200      // names in h=
	maxField = 16 << 10 // octets of one signature field
)

// Signature is what a field says, as far as it was read.
type Signature struct {
	Tags     canon.Tags
	Alg      string   // a=, lower case
	Domain   string   // d=, lower case; with A-labels once CheckSigner took it
	Selector string   // s=, likewise
	Value    []byte   // b=
	BodyHash []byte   // bh=
	Names    []string // h=, lower case
	Form     canon.Form
	Length   int64 // l=; -1 = none

	valueErr error
}

// Read takes in the tags of a field. Alg, Domain, Selector and Value are set as far as they
// are there, also before an error of the checks below, so that a result can name them.
func (s *Signature) Read(f canon.Field, parse func(string) (canon.Tags, error)) error {
	s.Length = -1
	if len(f.Raw) > maxField {
		return fmt.Errorf("the signature is larger than %d octets", maxField)
	}
	t, err := parse(string(f.Value()))
	if err != nil {
		return err
	}
	s.Tags = t
	s.Alg = strings.ToLower(t["a"])
	s.Domain = strings.ToLower(strings.TrimSuffix(t["d"], "."))
	s.Selector = t["s"]
	s.Value, s.valueErr = base64.StdEncoding.DecodeString(canon.Squeeze(t["b"]))
	return nil
}

// Short is the first 8 characters of b= (RFC 6008).
func (s *Signature) Short() string {
	b := canon.Squeeze(s.Tags["b"])
	return b[:min(len(b), 8)]
}

// Need says which of the tags is missing or empty.
func (s *Signature) Need(names ...string) error {
	for _, name := range names {
		if s.Tags[name] == "" {
			return fmt.Errorf("tag %s= is missing", name)
		}
	}
	return nil
}

// CheckSigner checks who signed and how: a=, b=, d= and s=. The algorithms are those of RFC
// 8301 and RFC 8463.
func (s *Signature) CheckSigner() error {
	if s.valueErr != nil {
		return errors.New("b= is no base64")
	}
	switch s.Alg {
	case "rsa-sha256", "ed25519-sha256":
	case "rsa-sha1":
		return ErrSHA1
	default:
		return fmt.Errorf("algorithm %.30q", s.Alg)
	}
	var err error
	if s.Selector, err = selector(s.Selector); err != nil {
		return err
	}
	s.Domain, err = Domain(s.Domain)
	return err
}

// ErrSHA1: a signature of rsa-sha1 is never taken (RFC 8301 section 3.1).
var ErrSHA1 = errors.New("rsa-sha1 is no longer valid")

// CheckMessage checks what the signature covers, and sets it: bh=, c=, h= and l=.
func (s *Signature) CheckMessage() (err error) {
	if s.BodyHash, err = base64.StdEncoding.DecodeString(canon.Squeeze(s.Tags["bh"])); err != nil || len(s.BodyHash) != 32 {
		return errors.New("bh= is no SHA-256")
	}
	if c, ok := s.Tags["c"]; ok && c == "" {
		return errors.New("c= is incomplete")
	}
	if s.Form, err = canon.ParseForm(s.Tags["c"]); err != nil {
		return err
	}
	h := s.Tags["h"]
	if strings.Count(h, ":") >= maxNames {
		return fmt.Errorf("h= has more than %d names", maxNames)
	}
	s.Names = canon.List(h)
	if l, ok := s.Tags["l"]; ok {
		n, err := number(l)
		if err != nil {
			return errors.New("l= is no length")
		}
		s.Length = n
	}
	return nil
}

// CheckQuery checks q=: keys are looked up in the DNS alone.
func (s *Signature) CheckQuery() error {
	q := s.Tags["q"]
	if q != "" && !slices.Contains(canon.List(q), "dns/txt") {
		return fmt.Errorf("query method %.30q", q)
	}
	return nil
}

// number reads digits alone. What is too large for any clock or message is still a number
// (RFC 6376 section 3.5: up to 12 digits of a time, 76 of a length).
func number(v string) (int64, error) {
	if v == "" || strings.Trim(v, "0123456789") != "" {
		return 0, errors.New("no number")
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n > 1<<40 {
		n = 1 << 40
	}
	return n, nil
}

// Skew is how far a signer's clock may be off.
const Skew = 300 * time.Second

// CheckTimes checks t= and x=.
func (s *Signature) CheckTimes(now time.Time) error {
	at := [2]int64{-1, -1}
	for i, name := range []string{"t", "x"} {
		if v, ok := s.Tags[name]; ok {
			n, err := number(v)
			if err != nil {
				return fmt.Errorf("%s= is no time", name)
			}
			at[i] = n
		}
	}
	switch signed, expires := at[0], at[1]; {
	case signed >= 0 && time.Unix(signed, 0).After(now.Add(Skew)):
		return errors.New("signed in the future")
	case expires >= 0 && signed >= 0 && expires <= signed:
		return errors.New("expires before it was signed")
	case expires >= 0 && now.After(time.Unix(expires, 0).Add(Skew)):
		return errors.New("expired")
	}
	return nil
}
