package arc

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"time"

	"postern/filter/auth/signature"
	"postern/internal/canon"
)

// validator is the work on one message.
type validator struct {
	header *canon.Header
	sets   []*set
}

// read checks what the sets say before any key is asked for: steps 2 and 3 of RFC 8617
// section 5.2, and the tags of every field.
func (v *validator) read(now time.Time) error {
	for i, s := range v.sets {
		if s.instance != i+1 {
			return fmt.Errorf("there is no set i=%d", i+1)
		}
		for _, f := range []struct {
			name  string
			field *canon.Field
		}{{canon.ArcResults, s.resultsField}, {canon.ArcMessage, s.messageField}, {canon.ArcSeal, s.sealField}} {
			if f.field == nil {
				return fmt.Errorf("there is no %s i=%d", f.name, s.instance)
			}
		}
	}
	newest := v.sets[len(v.sets)-1]
	if newest.seal.Tags["cv"] == "fail" {
		return errors.New("the newest seal says cv=fail")
	}
	for _, s := range v.sets {
		if err := checkSeal(&s.seal, s.instance, now); err != nil {
			return in(canon.ArcSeal, s.instance, err)
		}
		// An older signature that has expired does not fit, no more; the newest must fit.
		err := checkMessage(&s.message, now)
		if late := (dated{}); s != newest && errors.As(err, &late) {
			s.message.BodyHash, err = nil, nil
		}
		if err != nil {
			return in(canon.ArcMessage, s.instance, err)
		}
	}
	return nil
}

// dated is what is wrong with the times of a signature.
type dated struct{ error }

// checkSeal checks an ARC-Seal (RFC 8617 section 4.1.3).
func checkSeal(s *signature.Signature, instance int, now time.Time) error {
	if err := s.Need("a", "b", "cv", "d", "s"); err != nil {
		return err
	}
	want := "pass"
	if instance == 1 {
		want = "none"
	}
	if cv := s.Tags["cv"]; cv != want {
		return fmt.Errorf("cv=%.20s where only %s can stand", cv, want)
	}
	if _, ok := s.Tags["h"]; ok {
		return errors.New("h= is not for seals")
	}
	delete(s.Tags, "x") // unknown in a seal
	if err := s.CheckSigner(); err != nil {
		return err
	}
	return s.CheckTimes(now)
}

// checkMessage checks an ARC-Message-Signature (RFC 8617 section 4.1.2).
func checkMessage(s *signature.Signature, now time.Time) error {
	if err := s.Need("a", "b", "bh", "d", "s"); err != nil {
		return err
	}
	if _, ok := s.Tags["h"]; !ok {
		return errors.New("tag h= is missing")
	}
	for _, step := range []func() error{s.CheckSigner, s.CheckMessage, s.CheckQuery} {
		if err := step(); err != nil {
			return err
		}
	}
	if slices.Contains(s.Names, "arc-seal") {
		return errors.New("h= covers ARC-Seal")
	}
	if err := s.CheckTimes(now); err != nil {
		return dated{err}
	}
	return nil
}

// hash hashes the body once in each form that is needed, and compares.
func (v *validator) hash(body io.Reader) error {
	var bodies signature.Bodies
	for _, s := range v.sets {
		bodies.Need(s.message.Form.RelaxedBody)
	}
	if err := bodies.Hash(body); err != nil {
		return err
	}
	for _, s := range v.sets {
		b := bodies.Of(s.message.Form.RelaxedBody)
		sum := b.Sum()
		s.bodyFits = string(sum) == string(s.message.BodyHash) && (s.message.Length < 0 || s.message.Length == b.Len())
	}
	return nil
}

// validate brings the chain to its result: steps 4 to 6 of RFC 8617 section 5.2.
func (v *validator) validate(ctx context.Context, res Resolver) (err error) {
	defer func() { // arithmetic over hostile keys
		if p := recover(); p != nil {
			err = fmt.Errorf("internal fault: %v", p)
		}
	}()
	newest := v.sets[len(v.sets)-1]
	if !newest.bodyFits {
		return in(canon.ArcMessage, newest.instance, errors.New("the body was changed, or is not signed whole"))
	}
	seals, messages, err := v.keys(ctx, res)
	if err != nil {
		return err
	}
	var later error
	for i, s := range slices.Backward(v.sets) {
		if !s.bodyFits {
			continue
		}
		digest := v.header.Digest(s.message.Names, canon.WithoutValue(s.messageField.Raw), s.message.Form.RelaxedHeader)
		err := verify(&s.message, digest, messages[i])
		s.unchanged = err == nil
		if err != nil && s == newest {
			if err = in(canon.ArcMessage, s.instance, err); !isLater(err) {
				return err
			}
			later = temporary(err)
		}
	}
	digests, err := v.sealDigests()
	if err != nil {
		return err
	}
	for i, s := range slices.Backward(v.sets) {
		if err := verify(&s.seal, digests[i], seals[i]); err != nil {
			if err = in(canon.ArcSeal, s.instance, err); !isLater(err) {
				return err
			}
			if later == nil {
				later = temporary(err)
			}
		}
	}
	return later
}

func isLater(err error) bool {
	var e errTemporary
	return errors.As(err, &e)
}

// temporary keeps the words that were put around an errTemporary.
func temporary(err error) error {
	var e errTemporary
	if errors.As(err, &e) {
		return errTemporary{words: err.Error(), cause: e.cause}
	}
	return err
}

func verify(s *signature.Signature, digest []byte, k signature.Records) error {
	switch {
	case k.None:
		return errors.New("there is no key")
	case k.Fault != nil:
		return errTemporary{words: "the key could not be looked up", cause: k.Fault}
	}
	_, err := s.Verify(digest, k.TXT, nil)
	return err
}

// keys looks up the keys of all seals and of the newest signature, and of older signatures
// as far as MaxKeys allows.
func (v *validator) keys(ctx context.Context, res Resolver) (seals, messages []signature.Records, err error) {
	n := len(v.sets)
	ask := make([]*signature.Signature, 2*n) // seals, then messages
	names := map[[2]string]bool{}
	want := func(at int, s *signature.Signature) bool {
		name := [2]string{s.Selector, s.Domain}
		if !names[name] && len(names) == MaxKeys {
			return false
		}
		names[name], ask[at] = true, s
		return true
	}
	enough := want(2*n-1, &v.sets[n-1].message)
	for i, s := range v.sets {
		enough = want(i, &s.seal) && enough
	}
	if !enough {
		return nil, nil, fmt.Errorf("the chain rests on more than %d keys", MaxKeys)
	}
	for i, s := range slices.Backward(v.sets) {
		if s.bodyFits {
			want(n+i, &s.message)
		}
	}
	found := signature.Fetch(ctx, res, ask)
	return found[:n], found[n:], nil
}

// sealDigests are the hashes that the seals sign: every set up to their own, in the order of
// RFC 8617 section 5.1.1, their own without its value. Each field is hashed twice at most.
func (v *validator) sealDigests() ([][]byte, error) {
	var out [][]byte
	chain := sha256.New()
	for _, s := range v.sets {
		chain.Write(canon.FieldForm(s.resultsField.Raw, true)) // a hash never fails
		chain.Write(canon.FieldForm(s.messageField.Raw, true))
		own, err := fork(chain)
		if err != nil {
			return nil, err
		}
		own.Write(canon.LastForm(canon.WithoutValue(s.sealField.Raw), true))
		out = append(out, own.Sum(nil))
		chain.Write(canon.FieldForm(s.sealField.Raw, true))
	}
	return out, nil
}

// fork is a second hash that has taken what the first has.
func fork(h hash.Hash) (hash.Hash, error) {
	c, ok := h.(hash.Cloner)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return c.Clone()
}
