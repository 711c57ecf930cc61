package keys

import (
	"crypto"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// New says which key to add. The zero value asks for an RSA key of the usual size under a
// selector made of the date.
type New struct {
	Selector  string
	Algorithm string // RSA or Ed25519; "" = RSA, or what PEM holds
	Bits      int    // of an RSA key; 0 = DefaultBits
	PEM       []byte // a private key from elsewhere; nil = one is made
	From      string // name of the file that PEM was in, for errors
}

// Add keeps a new key of a domain as pending.
func (s *Store) Add(name string, n New) (Key, error) {
	name, err := Domain(name)
	if err != nil {
		return Key{}, err
	}
	signer, err := n.signer()
	if err != nil {
		return Key{}, err
	}
	var k Key
	err = s.change(name, func(keys []Key) ([]Key, error) {
		if k, err = s.fresh(name, n.Selector, signer, keys); err != nil {
			return nil, err
		}
		for _, old := range keys {
			switch {
			case old.Algorithm == k.Algorithm && old.State == Active:
				return nil, refuse(ErrConflict, "dkim.signs-with-already-rotate-it-to-get", "%s signs with %s already (%s); rotate it to get a new key", "name", name, "selector", old.Selector, "algorithm", old.Algorithm)
			case old.Algorithm == k.Algorithm && old.State == Pending:
				return nil, refuse(ErrConflict, "dkim.has-the-key-waiting-for-its-record", "%s has the %s key %s waiting for its record; publish or remove it first", "name", name, "algorithm", old.Algorithm, "selector", old.Selector)
			}
		}
		return append(keys, k), s.keep(k, signer)
	})
	return k, err
}

// signer is the private key to add.
func (n New) signer() (crypto.Signer, error) {
	if n.PEM == nil {
		if n.Algorithm == "" {
			n.Algorithm = RSA
		}
		return generate(n.Algorithm, n.Bits)
	}
	signer, err := ParsePEM(n.From, n.PEM)
	if err != nil {
		return nil, err
	}
	var k Key
	if err := describe(&k, signer); err != nil {
		return nil, err
	}
	if n.Algorithm != "" && n.Algorithm != k.Algorithm || n.Bits != 0 && n.Bits != k.Bits {
		return nil, refuse(ErrInvalid, "dkim.it-holds-an-key-of-bits-not", "%s: it holds an %s key of %d bits, not what was asked for", "from", n.From, "algorithm", k.Algorithm, "bits", k.Bits)
	}
	return signer, nil
}

// fresh describes a key that is to be added beside keys.
func (s *Store) fresh(name, selector string, signer crypto.Signer, keys []Key) (Key, error) {
	now := s.now().UTC()
	k := Key{Domain: name, Selector: strings.ToLower(selector), State: Pending, Created: now}
	if err := describe(&k, signer); err != nil {
		return k, err
	}
	taken := func(selector string) bool {
		return slices.ContainsFunc(keys, func(o Key) bool { return o.Selector == selector })
	}
	if k.Selector == "" {
		day := k.Algorithm[:1] + now.Format("20060102")
		k.Selector = day
		for c := 'b'; taken(k.Selector) && c <= 'z'; c++ {
			k.Selector = day + string(c)
		}
	}
	record := k.Record().Name
	switch {
	case !fitSelector(k.Selector) || len(record) > 253:
		return k, refuse(ErrInvalid, "dkim.selector-labels-of-letters-digits-and-hyphens", "selector %.120q: labels of letters, digits and hyphens are taken, at most 100 octets, and %.300s must be a name", "selector", k.Selector, "record", record)
	case taken(k.Selector):
		return k, refuse(ErrConflict, "dkim.has-a-key-with-selector-a-selector", "%s has a key with selector %s; a selector is used once", "name", name, "selector", k.Selector)
	case slices.ContainsFunc(keys, func(o Key) bool { return o.Public == k.Public }):
		return k, refuse(ErrConflict, "dkim.has-this-very-key-already", "%s has this very key already", "name", name)
	}
	return k, nil
}

// keep writes the private key; the state file makes it count.
func (s *Store) keep(k Key, signer crypto.Signer) error {
	text, err := encode(signer)
	if err != nil {
		return err
	}
	return s.write(filepath.Join(k.Domain, k.Selector+".pem"), text)
}

// Rotate gives every active key of a domain a successor of its kind, pending until its record
// is seen; the old ones go on signing. A successor that waits already is returned again.
func (s *Store) Rotate(name string) ([]Key, error) {
	name, err := Domain(name)
	if err != nil {
		return nil, err
	}
	before, err := s.Of(name)
	if err != nil {
		return nil, err
	}
	made := map[string]crypto.Signer{}
	for _, k := range before { // outside the lock: a large key takes seconds
		if k.State != Active || pendingOf(before, k.Algorithm) != nil {
			continue
		}
		bits := k.Bits
		if k.Algorithm == Ed25519 {
			bits = 0
		}
		if made[k.Algorithm], err = generate(k.Algorithm, bits); err != nil {
			return nil, err
		}
	}
	var next []Key
	err = s.change(name, func(keys []Key) ([]Key, error) {
		for _, k := range slices.Clone(keys) {
			if k.State != Active {
				continue
			}
			if p := pendingOf(keys, k.Algorithm); p != nil {
				next = append(next, *p)
				continue
			}
			if made[k.Algorithm] == nil {
				return nil, refuse(ErrConflict, "dkim.the-keys-of-were-changed-at-the", "the keys of %s were changed at the same time; try again", "name", name)
			}
			fresh, err := s.fresh(name, "", made[k.Algorithm], keys)
			if err != nil {
				return nil, err
			}
			if err := s.keep(fresh, made[k.Algorithm]); err != nil {
				return nil, err
			}
			keys, next = append(keys, fresh), append(next, fresh)
		}
		if len(next) == 0 {
			return nil, refuse(ErrNotFound, "dkim.has-no-active-key-to-rotate-add", "%s has no active key to rotate; add one, or publish the record of the one that waits", "name", name)
		}
		return keys, nil
	})
	return next, err
}

func pendingOf(keys []Key, algorithm string) *Key {
	for i := range keys {
		if keys[i].Algorithm == algorithm && keys[i].State == Pending {
			return &keys[i]
		}
	}
	return nil
}

// SetActive makes a pending key sign; the one that signed with the same algorithm retires.
func (s *Store) SetActive(name, selector string) ([]Change, error) {
	return s.move(name, selector, func(keys []Key, at int) error {
		if keys[at].State != Pending {
			return refuse(ErrConflict, "dkim.key-of-is-only-a-pending-key", "key %s of %s is %s; only a pending key becomes active", "selector", selector, "name", name, "state", keys[at].State)
		}
		now := s.now().UTC()
		for i := range keys {
			if keys[i].State == Active && keys[i].Algorithm == keys[at].Algorithm {
				keys[i].State, keys[i].Ended = Retired, now
			}
		}
		keys[at].State, keys[at].Activated = Active, now
		return nil
	})
}

// Retire makes an active key sign no more. Without another active key the mail of the domain
// goes out unsigned.
func (s *Store) Retire(name, selector string) ([]Change, error) {
	return s.move(name, selector, func(keys []Key, at int) error {
		if keys[at].State != Active {
			return refuse(ErrConflict, "dkim.key-of-is-only-an-active-key", "key %s of %s is %s; only an active key retires", "selector", selector, "name", name, "state", keys[at].State)
		}
		keys[at].State, keys[at].Ended = Retired, s.now().UTC()
		return nil
	})
}

// move changes states in one write.
func (s *Store) move(name, selector string, f func(keys []Key, at int) error) ([]Change, error) {
	name, err := Domain(name)
	if err != nil {
		return nil, err
	}
	var changes []Change
	err = s.change(name, func(keys []Key) ([]Key, error) {
		at := indexOf(keys, selector)
		if at < 0 {
			return nil, refuse(ErrNotFound, "dkim.has-no-key-with-selector", "%s has no key with selector %.100q", "name", name, "selector", selector)
		}
		was := slices.Clone(keys)
		if err := f(keys, at); err != nil {
			return nil, err
		}
		for i := range keys {
			if keys[i] != was[i] {
				after := keys[i]
				changes = append(changes, Change{Before: &was[i], After: &after})
			}
		}
		return keys, nil
	})
	if err != nil {
		return nil, err
	}
	return changes, nil
}

func indexOf(keys []Key, selector string) int {
	return slices.IndexFunc(keys, func(k Key) bool { return strings.EqualFold(k.Selector, selector) })
}

// Remove forgets a key that never signed, or that has been retired for KeepRetired.
func (s *Store) Remove(name, selector string) (Change, error) {
	name, err := Domain(name)
	if err != nil {
		return Change{}, err
	}
	var gone Key
	err = s.change(name, func(keys []Key) ([]Key, error) {
		at := indexOf(keys, selector)
		if at < 0 {
			return nil, refuse(ErrNotFound, "dkim.has-no-key-with-selector", "%s has no key with selector %.100q", "name", name, "selector", selector)
		}
		gone = keys[at]
		switch {
		case gone.State == Active:
			return nil, refuse(ErrConflict, "dkim.key-of-signs-retire-it-first", "key %s of %s signs; retire it first", "selector", selector, "name", name)
		case !gone.Removable(s.now()):
			return nil, refuse(ErrConflict, "dkim.key-of-can-be-removed-from-on", "key %s of %s can be removed from %s on: until then complaints may bring back mail it signed", "selector", selector, "name", name, "keepretired", gone.Ended.Add(KeepRetired).Format("2006-01-02"))
		}
		return slices.Delete(slices.Clone(keys), at, at+1), nil
	})
	if err != nil {
		return Change{}, err
	}
	if err := os.Remove(s.pemPath(gone)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Change{}, err
	}
	return Change{Before: &gone}, nil
}
