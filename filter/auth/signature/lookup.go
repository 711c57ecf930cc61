package signature

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// Resolver asks for keys; *dns.Resolver is one. Errors are *net.DNSError.
type Resolver interface {
	TXT(ctx context.Context, name string) ([]string, error)
}

// Records are what the DNS holds for one signer.
type Records struct {
	TXT   []string
	None  bool  // there is no key
	Fault error // the DNS did not say
}

// Fetch looks up the keys of all signatures side by side, each name once. A nil signature
// stands for one that needs no key.
func Fetch(ctx context.Context, res Resolver, all []*Signature) []Records {
	found := map[string]*Records{}
	var wg sync.WaitGroup
	for _, s := range all {
		if s == nil || found[s.keyName()] != nil {
			continue
		}
		name, r := s.keyName(), &Records{}
		found[name] = r
		wg.Go(func() { r.fetch(ctx, res, name) })
	}
	wg.Wait()
	out := make([]Records, len(all))
	for i, s := range all {
		if s != nil {
			out[i] = *found[s.keyName()]
		}
	}
	return out
}

func (s *Signature) keyName() string { return s.Selector + "._domainkey." + s.Domain }

func (r *Records) fetch(ctx context.Context, res Resolver, name string) {
	defer func() { // a panic in a goroutine would end the process
		if v := recover(); v != nil {
			r.Fault = fmt.Errorf("%w: %v", ErrInternal, v)
		}
	}()
	var err error
	r.TXT, err = res.TXT(ctx, name)
	var dnsErr *net.DNSError
	switch {
	case errors.As(err, &dnsErr) && dnsErr.IsNotFound:
		r.None = true
	case err != nil:
		r.Fault = err
	}
}

// ErrInternal: a resolver panicked.
var ErrInternal = errors.New("internal fault")

// ErrMismatch: a key fits the signature, and yet did not make it.
var ErrMismatch = errors.New("the signature does not match")

// Verify tries the key records until one made the signature. accept may refuse a key; nil
// takes every one. It returns the key that the result rests on, if there is one.
func (s *Signature) Verify(digest []byte, records []string, accept func(*Key) error) (*Key, error) {
	var last *Key
	err := errors.New("there is no key")
	for _, txt := range records[:min(len(records), maxKeys)] {
		k, e := ParseKey(txt)
		if k != nil && k.Alg() != s.Alg {
			k, e = nil, fmt.Errorf("the key is not for %s", s.Alg)
		}
		if e != nil {
			if last == nil {
				last, err = k, e
			}
			continue
		}
		if accept != nil {
			if e := accept(k); e != nil {
				last, err = k, e
				continue
			}
		}
		if k.Verify(digest, s.Value) {
			return k, nil
		}
		last, err = k, ErrMismatch
	}
	return last, err
}
