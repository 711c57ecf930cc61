package desk

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"postern/abuse/proof"
	"postern/filter/auth/dkim"
	"postern/internal/stamp/keys"
)

// OwnSignatures verifies what the hosted domains signed, with their own public keys: a key
// that retired has no record any more, and complaints come late.
type OwnSignatures struct {
	Keys *keys.Store
	Now  func() time.Time
}

// signedWithin is how long after a message came it may have been signed: it was held, say.
const signedWithin = time.Hour

// Verify implements proof.Verify. A signature whose time had run out when the complaint came
// was good when the message was sent; one made after a hold was not yet good then.
func (o OwnSignatures) Verify(ctx context.Context, message []byte, sent time.Time) ([]proof.Signature, error) {
	var out []proof.Signature
	for _, at := range []time.Time{sent.Add(signedWithin), o.Now()} {
		all, err := dkim.Verify(ctx, o, bytes.NewReader(message), int64(len(message)), at)
		if errors.Is(err, dkim.ErrTooLarge) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		out = out[:0]
		passed := false
		for _, s := range all {
			if !o.ours(s.Domain, s.Selector) {
				continue
			}
			pass := s.Result == dkim.Pass && len(s.Added) == 0
			reason := s.Reason
			if len(s.Added) > 0 {
				reason = "fields were put in: " + strings.Join(s.Added, ", ")
			}
			out = append(out, proof.Signature{Domain: s.Domain, Selector: s.Selector, Pass: pass, Reason: reason})
			passed = passed || pass
		}
		if passed || len(out) == 0 {
			break
		}
	}
	return out, nil
}

func (o OwnSignatures) ours(domain, selector string) bool {
	_, ok := o.key(domain, selector)
	return ok
}

func (o OwnSignatures) key(domain, selector string) (keys.Key, bool) {
	all, err := o.Keys.Of(domain)
	if err != nil {
		return keys.Key{}, false
	}
	for _, k := range all {
		if strings.EqualFold(k.Selector, selector) {
			return k, true
		}
	}
	return keys.Key{}, false
}

// TXT implements dkim.Resolver with the records that our keys have or had.
func (o OwnSignatures) TXT(_ context.Context, name string) ([]string, error) {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	selector, domain, ok := strings.Cut(name, "._domainkey.")
	if ok {
		if k, ok := o.key(domain, selector); ok {
			return []string{k.Record().Text}, nil
		}
	}
	return nil, &net.DNSError{Err: "no such key of ours", Name: name, IsNotFound: true}
}
