// Package dkim verifies DomainKeys Identified Mail signatures: RFC 6376 with RFC 8301 and
// RFC 8463. The work is linear in the message and bounded, whatever a stranger sends.
package dkim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
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
	Testing  bool   // the key says the domain is trying DKIM out
	Added    []string
	// Added names fields that stand once more than was signed, of those that people are
	// shown: someone may have put them in after signing.
}

// Resolver asks for keys; *dns.Resolver is one. Errors are *net.DNSError.
type Resolver interface {
	TXT(ctx context.Context, name string) ([]string, error)
}

// Verify verifies the signatures of a message, at most ten, in the order they stand. No
// signature gives an empty list. The error is that of r, or ErrTooLarge; a signature's own
// trouble is in its result.
func Verify(ctx context.Context, res Resolver, r io.ReaderAt, size int64, now time.Time) ([]Signature, error) {
	m, err := split(r, size)
	if err != nil {
		return nil, err
	}
	at := m.byName["dkim-signature"]
	at = at[:min(len(at), maxSignatures)]
	if len(at) == 0 {
		return nil, nil
	}
	out := make([]Signature, len(at))
	sigs := make([]signature, len(at))
	for i, index := range at {
		sigs[i].index = index
		out[i] = m.read(&sigs[i], now)
	}
	keys := fetchKeys(ctx, res, sigs, out)
	bodies, err := m.hashBodies(r, size, sigs, out)
	if err != nil {
		return nil, err
	}
	for i := range out {
		if out[i].Result == "" {
			m.verify(&sigs[i], keys[i], bodies[sigs[i].relaxedBody], &out[i])
		}
	}
	return out, nil
}

// read parses one signature field; an empty Result means it may go on.
func (m *message) read(s *signature, now time.Time) Signature {
	raw := m.fields[s.index].raw
	if len(raw) > maxSignature {
		return Signature{Result: PermError, Reason: fmt.Sprintf("the signature is larger than %d octets", maxSignature)}
	}
	value := string(raw[len("dkim-signature"):])
	for i := range len(value) {
		if value[i] == ':' {
			value = value[i+1:]
			break
		}
	}
	err := s.parse(value, now)
	out := Signature{Domain: s.domain, Selector: s.selector, Identity: s.identity, Alg: s.alg}
	if t, terr := parseTags(value); terr == nil {
		b := squeeze(t["b"])
		out.Value = b[:min(len(b), 8)]
	}
	if err != nil {
		out.Result, out.Reason = PermError, err.Error()
	}
	return out
}

// fetchKeys looks up all keys side by side.
func fetchKeys(ctx context.Context, res Resolver, sigs []signature, out []Signature) [][]string {
	keys := make([][]string, len(sigs))
	var wg sync.WaitGroup
	for i := range sigs {
		if out[i].Result != "" {
			continue
		}
		wg.Go(func() {
			defer func() { // a panic in a goroutine would end the process
				if v := recover(); v != nil {
					out[i].Result, out[i].Reason, out[i].Err = TempError, "internal fault", fmt.Errorf("panic: %v", v)
				}
			}()
			var err error
			keys[i], err = res.TXT(ctx, sigs[i].selector+"._domainkey."+sigs[i].domain)
			var dnsErr *net.DNSError
			switch {
			case errors.As(err, &dnsErr) && dnsErr.IsNotFound:
				out[i].Result, out[i].Reason = PermError, "there is no key"
			case err != nil:
				out[i].Result, out[i].Reason, out[i].Err = TempError, "the key could not be looked up", err
			}
		})
	}
	wg.Wait()
	return keys
}

// hashBodies hashes the body once in each form that is needed.
func (m *message) hashBodies(r io.ReaderAt, size int64, sigs []signature, out []Signature) (map[bool]*bodyHash, error) {
	forms := map[bool]*bodyHash{}
	var all []*bodyHash
	for i := range sigs {
		relaxed := sigs[i].relaxedBody
		if out[i].Result == "" && forms[relaxed] == nil {
			forms[relaxed] = &bodyHash{h: sha256.New(), relaxed: relaxed}
			all = append(all, forms[relaxed])
		}
	}
	if len(all) == 0 {
		return forms, nil
	}
	if err := hashBody(io.NewSectionReader(r, m.body, size-m.body), size-m.body, all); err != nil {
		return nil, err
	}
	for _, h := range all {
		h.digest = h.sum()
	}
	return forms, nil
}

// verify brings one signature to its result. It recovers from panics of the arithmetic
// below over hostile keys.
func (m *message) verify(s *signature, records []string, body *bodyHash, out *Signature) {
	defer func() {
		if v := recover(); v != nil {
			out.Result, out.Reason, out.Err = PermError, "internal fault", fmt.Errorf("panic: %v", v)
		}
	}()
	k, err := m.tryKeys(s, records)
	if k != nil {
		out.KeyBits, out.Testing = k.bits(), k.testing
	}
	switch {
	case errors.Is(err, errSignature):
		out.Result, out.Reason = Fail, err.Error()
	case err != nil:
		out.Result, out.Reason = PermError, err.Error()
	case s.length >= 0 && s.length > body.n:
		out.Result, out.Reason = PermError, "l= is longer than the body"
	case s.length >= 0 && s.length < body.n:
		out.Result, out.Reason = Policy, fmt.Sprintf("l= leaves %d octets of the body unsigned", body.n-s.length)
	case string(body.digest) != string(s.bodyHash):
		out.Result, out.Reason = Fail, "the body was changed"
	default:
		out.Result = Pass
		out.Added = m.added(s)
	}
}

var errSignature = errors.New("the signature does not match")

// tryKeys verifies against the key records until one fits. It returns the key that the
// result rests on.
func (m *message) tryKeys(s *signature, records []string) (*key, error) {
	digest := m.digest(s)
	var last *key
	err := errors.New("there is no key")
	for _, txt := range records[:min(len(records), maxKeys)] {
		k, e := parseKey(txt)
		switch {
		case e != nil:
			if last == nil {
				err = e
			}
		case k.alg() != s.alg:
			if last == nil {
				err = fmt.Errorf("the key is not for %s", s.alg)
			}
		case k.strict && s.identity != s.domain:
			last, err = k, errors.New("the key is not for subdomains")
		case k.verify(digest, s.value):
			return k, nil
		default:
			last, err = k, errSignature
		}
	}
	return last, err
}

// digest is the hash over the signed fields, taken from the bottom up, and the signature
// field itself.
func (m *message) digest(s *signature) []byte {
	h := sha256.New()
	left := map[string]int{}
	for _, name := range s.names {
		at := m.byName[name]
		n, seen := left[name]
		if !seen {
			n = len(at)
		}
		if n > 0 {
			h.Write(canonicalField(m.fields[at[n-1]].raw, s.relaxedHeader, false))
			n--
		}
		left[name] = n
	}
	h.Write(canonicalField(withoutValue(m.fields[s.index].raw), s.relaxedHeader, true))
	return h.Sum(nil)
}

// shown are the fields whose forgery a person would believe.
var shown = []string{"from", "subject", "to", "cc", "date", "reply-to", "sender", "content-type"}

// added lists the shown fields that were signed, and stand more often than they were.
func (m *message) added(s *signature) []string {
	signed := map[string]int{}
	for _, n := range s.names {
		signed[n]++
	}
	var out []string
	for _, n := range shown {
		if signed[n] > 0 && len(m.byName[n]) > signed[n] {
			out = append(out, n)
		}
	}
	return out
}
