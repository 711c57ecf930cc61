// Package arc validates Authenticated Received Chains (RFC 8617): what the hosts that a
// message passed say they saw of it. A chain that passes proves who said so, not that it is
// true; whom to believe is for the caller.
package arc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"postern/filter/auth/signature"
	"postern/internal/canon"
)

// Result is the state of a chain.
type Result string

// The states of RFC 8617 section 4.4. TempError: a key could not be looked up, and nothing
// else speaks against the chain.
const (
	None      Result = "none"
	Pass      Result = "pass"
	Fail      Result = "fail"
	TempError Result = "temperror"
)

// MaxKeys is how many keys a chain may rest on. One of more fails, so that no stranger spends
// all of a message's questions to the DNS. Fifty sets of twenty hosts are taken.
const MaxKeys = 20

// Set is one ARC Set: what one host added. What its fields say is worth something only in a
// chain that passed.
type Set struct {
	Instance int
	Sealer   string // d= of ARC-Seal, lower case
	Selector string // s= of ARC-Seal
	CV       string // cv=: what the sealer found of the chain before it
	Results  string // ARC-Authentication-Results behind its i=, unfolded

	Signer    string // d= of ARC-Message-Signature, lower case
	SignsFrom bool   // ARC-Message-Signature covers every From field there is
	Unchanged bool   // ARC-Message-Signature still fits the message; set in a chain that passed
}

// Chain is what came of all sets.
type Chain struct {
	Result Result
	Reason string // plain words, "" for pass and none
	Sets   []Set  // by instance, as far as they could be read
	// OldestPass is the lowest instance whose signature still fits, as do all above it
	// (RFC 8617 section 5.2 step 5): nobody changed the message since. 0 = the first one, so
	// the message is as the first host saw it; also 0 without a pass.
	OldestPass int
	Err        error // the cause of a temperror
}

// Resolver asks for keys; *dns.Resolver is one. Errors are *net.DNSError.
type Resolver = signature.Resolver

// Validate validates the chain of a message of size octets (RFC 8617 section 5.2). Keys are
// looked up side by side, and only for a chain that can still pass. The error is that of r,
// or canon.ErrTooLarge; a chain's own trouble is in its result.
func Validate(ctx context.Context, res Resolver, r io.ReaderAt, size int64, now time.Time) (Chain, error) {
	h, body, err := canon.Open(r, size)
	if err != nil {
		return Chain{}, err
	}
	sets, err := collect(h)
	if err == nil && len(sets) == 0 {
		return Chain{Result: None}, nil
	}
	v := &validator{header: h, sets: sets}
	if err == nil {
		err = v.read(now)
	}
	if err != nil {
		return v.chain(err), nil
	}
	if err := v.hash(body); err != nil {
		return Chain{}, err
	}
	return v.chain(v.validate(ctx, res)), nil
}

// errTemporary: nobody can say now whether the chain passes.
type errTemporary struct {
	words string
	cause error
}

func (e errTemporary) Error() string { return e.words }

// chain is the outcome; err is why the chain does not pass.
func (v *validator) chain(err error) Chain {
	c := Chain{Result: Pass}
	var later errTemporary
	switch {
	case errors.As(err, &later):
		c.Result, c.Reason, c.Err = TempError, later.words, later.cause
	case err != nil:
		c.Result, c.Reason = Fail, err.Error()
	default:
		c.OldestPass = v.oldestPass()
	}
	for _, s := range v.sets {
		c.Sets = append(c.Sets, Set{
			Instance: s.instance, Sealer: s.seal.Domain, Selector: s.seal.Selector, CV: s.seal.Tags["cv"], Results: s.results,
			Signer: s.message.Domain, SignsFrom: v.signsFrom(s), Unchanged: c.Result == Pass && s.unchanged,
		})
	}
	return c
}

// oldestPass goes down from the newest set to the first one that no longer fits.
func (v *validator) oldestPass() int {
	for i := len(v.sets) - 1; i >= 0; i-- {
		if !v.sets[i].unchanged {
			return v.sets[i].instance + 1
		}
	}
	return 0
}

// signsFrom says whether nobody could change or add a From field unseen.
func (v *validator) signsFrom(s *set) bool {
	n := 0
	for _, name := range s.message.Names {
		if name == "from" {
			n++
		}
	}
	return n > 0 && n >= len(v.header.Named("from"))
}

// in names the field that an error is about.
func in(field string, instance int, err error) error {
	if instance == 0 {
		return fmt.Errorf("%s: %w", field, err)
	}
	return fmt.Errorf("%s i=%d: %w", field, instance, err)
}
