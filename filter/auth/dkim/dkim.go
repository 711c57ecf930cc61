// Package dkim verifies DomainKeys Identified Mail signatures: RFC 6376 with RFC 8301 and
// RFC 8463. The work is linear in the message and bounded, whatever a stranger sends.
package dkim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"postern/filter/auth/signature"
	"postern/internal/canon"
)

// Result is what came of one signature, in the terms of RFC 8601 section 2.7.1.
type Result string

// The results. Policy: the signature is valid, and yet not taken for one.
const (
	Pass      Result = "pass"
	Fail      Result = "fail"
	Policy    Result = "policy"
	TempError Result = "temperror"
	PermError Result = "permerror"
)

// Signature is one DKIM-Signature field and what came of it.
type Signature struct {
	Result   Result
	Reason   string // plain words, "" for a plain pass
	Err      error  // the cause of a temperror
	Domain   string // d=, lower case; "" where it could not be read
	Selector string // s=
	Identity string // domain of i=, lower case
	Alg      string // a=, lower case
	Value    string // the first 8 characters of b= (RFC 6008)
	KeyBits  int    // 0 where no key was used
	Weak     bool   // rsa-sha1, or a key that RFC 8301 no longer takes; the result is no pass
	Testing  bool   // the key says the domain is trying DKIM out
	Added    []string
	// Added names fields that stand once more than was signed, of those that people are
	// shown: someone may have put them in after signing.
}

// Resolver asks for keys; *dns.Resolver is one. Errors are *net.DNSError.
type Resolver = signature.Resolver

// ErrTooLarge: the header is larger than any honest one, so nothing is verified.
var ErrTooLarge = canon.ErrTooLarge

// MaxSignatures is how many signatures of a message are looked at.
const MaxSignatures = 10

// Verify verifies the signatures of a message, at most ten, in the order they stand. No
// signature gives an empty list. The error is that of r, or ErrTooLarge; a signature's own
// trouble is in its result.
func Verify(ctx context.Context, res Resolver, r io.ReaderAt, size int64, now time.Time) ([]Signature, error) {
	h, body, err := canon.Open(r, size)
	if err != nil {
		return nil, err
	}
	at := h.Named("dkim-signature")
	at = at[:min(len(at), MaxSignatures)]
	if len(at) == 0 {
		return nil, nil
	}
	v := &verifier{header: h, sigs: make([]signed, len(at)), out: make([]Signature, len(at))}
	for i, index := range at {
		v.sigs[i].field = h.Fields[index]
		v.read(i, now)
	}
	keys := v.fetch(ctx, res)
	if err := v.hash(body); err != nil {
		return nil, err
	}
	for i := range v.out {
		if v.out[i].Result == "" {
			v.verify(i, keys[i].TXT)
		}
	}
	return v.out, nil
}

// verifier is the work on one message. An empty Result in out means that a signature may
// still pass.
type verifier struct {
	header *canon.Header
	sigs   []signed
	out    []Signature
	bodies signature.Bodies
}

// signed is one signature field.
type signed struct {
	signature.Signature
	field    canon.Field
	identity string // domain of i=, lower case
}

func (v *verifier) read(i int, now time.Time) {
	s, out := &v.sigs[i], &v.out[i]
	err := s.Read(s.field, canon.ParseTags)
	if err == nil {
		err = s.check(now)
	}
	out.Domain, out.Selector, out.Identity, out.Alg, out.Value = s.Domain, s.Selector, s.identity, s.Alg, s.Short()
	if err != nil {
		out.Result, out.Reason, out.Weak = PermError, err.Error(), errors.Is(err, signature.ErrSHA1)
	}
}

func (s *signed) check(now time.Time) error {
	if err := s.Need("v", "a", "b", "bh", "d", "h", "s"); err != nil {
		return err
	}
	if v := s.Tags["v"]; v != "1" {
		return fmt.Errorf("version %.20q", v)
	}
	for _, step := range []func() error{s.CheckSigner, s.CheckMessage, s.CheckQuery, s.checkIdentity} {
		if err := step(); err != nil {
			return err
		}
	}
	if !slices.Contains(s.Names, "from") {
		return errors.New("h= leaves From unsigned")
	}
	return s.CheckTimes(now)
}

// checkIdentity checks i=, by default that of d= itself.
func (s *signed) checkIdentity() error {
	s.identity = s.Domain
	i, ok := s.Tags["i"]
	if !ok {
		return nil
	}
	at := strings.LastIndexByte(i, '@')
	if at < 0 {
		return errors.New("i= is no address")
	}
	s.identity = signature.ASCII(i[at+1:])
	if s.identity != s.Domain && !strings.HasSuffix(s.identity, "."+s.Domain) {
		return errors.New("i= is outside of d=")
	}
	return nil
}

func (v *verifier) fetch(ctx context.Context, res Resolver) []signature.Records {
	asked := make([]*signature.Signature, len(v.sigs))
	for i := range v.sigs {
		if v.out[i].Result == "" {
			asked[i] = &v.sigs[i].Signature
		}
	}
	keys := signature.Fetch(ctx, res, asked)
	for i, k := range keys {
		out := &v.out[i]
		switch {
		case k.None:
			out.Result, out.Reason = PermError, "there is no key"
		case errors.Is(k.Fault, signature.ErrInternal):
			out.Result, out.Reason, out.Err = TempError, "internal fault", k.Fault
		case k.Fault != nil:
			out.Result, out.Reason, out.Err = TempError, "the key could not be looked up", k.Fault
		}
	}
	return keys
}

// hash hashes the body once in each form that is needed.
func (v *verifier) hash(body io.Reader) error {
	for i := range v.sigs {
		if v.out[i].Result == "" {
			v.bodies.Need(v.sigs[i].Form.RelaxedBody)
		}
	}
	return v.bodies.Hash(body)
}

// verify brings one signature to its result. It recovers from panics of the arithmetic
// below over hostile keys.
func (v *verifier) verify(i int, records []string) {
	s, out := &v.sigs[i], &v.out[i]
	defer func() {
		if p := recover(); p != nil {
			out.Result, out.Reason, out.Err = PermError, "internal fault", fmt.Errorf("panic: %v", p)
		}
	}()
	digest := v.header.Digest(s.Names, canon.WithoutValue(s.field.Raw), s.Form.RelaxedHeader)
	k, err := s.Verify(digest, records, func(k *signature.Key) error {
		if k.Strict && s.identity != s.Domain {
			return errors.New("the key is not for subdomains")
		}
		return nil
	})
	if k != nil {
		out.KeyBits, out.Testing = k.Bits(), k.Testing
	}
	body := v.bodies.Of(s.Form.RelaxedBody)
	hash := body.Sum()
	switch {
	case errors.Is(err, signature.ErrMismatch):
		out.Result, out.Reason = Fail, err.Error()
	case err != nil:
		out.Result, out.Reason, out.Weak = PermError, err.Error(), errors.Is(err, signature.ErrWeak)
	case s.Length > body.Len():
		out.Result, out.Reason = PermError, "l= is longer than the body"
	case s.Length >= 0 && s.Length < body.Len():
		out.Result, out.Reason = Policy, fmt.Sprintf("l= leaves %d octets of the body unsigned", body.Len()-s.Length)
	case string(hash) != string(s.BodyHash):
		out.Result, out.Reason = Fail, "the body was changed"
	default:
		out.Result = Pass
		out.Added = added(v.header, s.Names)
	}
}

// shown are the fields whose forgery a person would believe.
var shown = []string{"from", "subject", "to", "cc", "date", "reply-to", "sender", "content-type"}

// added lists the shown fields that were signed, and stand more often than they were.
func added(h *canon.Header, names []string) []string {
	signed := map[string]int{}
	for _, n := range names {
		signed[n]++
	}
	var out []string
	for _, n := range shown {
		if signed[n] > 0 && len(h.Named(n)) > signed[n] {
			out = append(out, n)
		}
	}
	return out
}
