// Package keys keeps the DKIM keys of the hosted domains in files: one folder a domain, in it
// the private keys as PEM and keys.json with what became of each key. A key is pending until
// its record is seen in the DNS, active while it signs, and retired after that.
package keys

import (
	"crypto"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/internal/address"
	"postern/internal/filemark"
	"postern/internal/said"
)

// State is where a key stands in its life.
type State string

// The states, in the order a key goes through them.
const (
	Pending State = "pending" // made; its record was not seen yet, so it does not sign
	Active  State = "active"  // signs; one key an algorithm and domain
	Retired State = "retired" // signs no more; its record stays, for what it has signed
)

// The algorithms: k= of RFC 6376 section 3.6.1 and RFC 8463 section 3.
const (
	RSA     = "rsa"
	Ed25519 = "ed25519"
)

// KeepRetired is how long a retired key and its record stay: so long may a complaint bring
// back mail that it signed.
const KeepRetired = 180 * 24 * time.Hour

// pollEvery is how often at most the disk is asked whether another process changed a key.
const pollEvery = 2 * time.Second

// Key is one key as it is shown: nothing of it is secret.
type Key struct {
	Domain    string    `json:"domain"`   // lower case, A-labels
	Selector  string    `json:"selector"` // lower case
	Algorithm string    `json:"algorithm"`
	Bits      int       `json:"bits"`
	State     State     `json:"state"`
	Created   time.Time `json:"created"`
	Activated time.Time `json:"activated,omitzero"`
	Ended     time.Time `json:"retired,omitzero"`
	Public    string    `json:"public"` // p= of the record: base64 of SPKI for RSA, of the raw key for Ed25519
}

// Removable reports whether a key may be forgotten: it never signed, or long ago.
func (k Key) Removable(now time.Time) bool {
	return k.State == Pending || k.State == Retired && now.Sub(k.Ended) >= KeepRetired
}

// Private is an active key with what signs.
type Private struct {
	Key
	Signer crypto.Signer
}

// Change is one key before and after; a new key has no Before, a forgotten one no After.
type Change struct {
	Before *Key `json:"before,omitempty"`
	After  *Key `json:"after,omitempty"`
}

// What a Refusal is about.
var (
	ErrNotFound = said.New("dkim.no-such-key", "no such key")
	ErrConflict = said.New("dkim.the-state-of-the-key-forbids-it", "the state of the key forbids it")
	ErrInvalid  = said.New("dkim.not-a-fit-domain-selector-or-key", "not a fit domain, selector or key")
)

// Refusal says in plain words why something was not done; it wraps one of the errors above.
type Refusal struct {
	Kind  error
	Words said.Words
}

func (r *Refusal) Error() string { return r.Words.English }

// Said implements said.Sayer.
func (r *Refusal) Said() said.Words { return r.Words }

// Unwrap returns the kind.
func (r *Refusal) Unwrap() error { return r.Kind }

func refuse(kind error, code, format string, pairs ...any) error {
	return &Refusal{kind, said.Say(code, format, pairs...)}
}

// Store is the keys below one folder. It is safe for concurrent use, by several processes too.
type Store struct {
	dir string
	now func() time.Time

	mu      sync.Mutex
	domains map[string]*domain
	seen    filemark.Mark // of the file that changes with every change
	asked   time.Time     // when that file was last looked at
}

// domain is what is known of one domain. It is replaced as a whole, only private grows.
type domain struct {
	name    string
	keys    []Key
	err     error               // its files cannot be read
	private map[string]*Private // by selector; read when first needed
}

// Open reads the keys below dir, which is made with mode 0700 where it is missing. A domain
// whose files are broken does not stop the others: Faults names it.
func Open(dir string, now func() time.Time) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &Store{dir: dir, now: now}
	return s, s.Reload()
}

// Reload reads everything anew. A domain that was fine and now is broken goes on with what
// was known; Faults names it.
func (s *Store) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reload()
}

func (s *Store) reload() error {
	seen := filemark.Of(filepath.Join(s.dir, changedFile))
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	all := map[string]*domain{}
	for _, e := range entries {
		if !e.IsDir() || !fitDomain(e.Name()) {
			continue
		}
		d := s.read(e.Name())
		if old := s.domains[d.name]; d.err != nil && old != nil {
			d.keys, d.private = old.keys, old.private
		}
		all[d.name] = d
	}
	s.domains, s.seen, s.asked = all, seen, s.now()
	return nil
}

// ReloadIfChanged reads the keys anew when another process changed them. It asks the disk at
// most every two seconds.
func (s *Store) ReloadIfChanged() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reloadIfChanged()
}

func (s *Store) reloadIfChanged() error {
	now := s.now()
	if since := now.Sub(s.asked); since >= 0 && since < pollEvery {
		return nil
	}
	s.asked = now
	if filemark.Of(filepath.Join(s.dir, changedFile)) == s.seen {
		return nil
	}
	return s.reload()
}

// Faults are the domains whose files cannot be read, each with the name of the file.
func (s *Store) Faults() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []error
	for _, d := range s.domains {
		if d.err != nil {
			all = append(all, d.err)
		}
	}
	slices.SortFunc(all, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return all
}

// List is all keys, by domain and then by age.
func (s *Store) List() []Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Key
	for _, d := range s.domains {
		all = append(all, d.keys...)
	}
	slices.SortFunc(all, func(a, b Key) int {
		if c := strings.Compare(a.Domain, b.Domain); c != 0 {
			return c
		}
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.Selector, b.Selector)
	})
	return all
}

// Of is the keys of one domain, by age.
func (s *Store) Of(name string) ([]Key, error) {
	name, err := Domain(name)
	if err != nil {
		return nil, err
	}
	var all []Key
	for _, k := range s.List() {
		if k.Domain == name {
			all = append(all, k)
		}
	}
	return all, nil
}

// Active is what signs for a domain: RSA first, since every verifier knows it. None is no
// error. The error means that a key should sign and cannot be used.
func (s *Store) Active(name string) ([]Private, error) {
	name, err := Domain(name)
	if err != nil {
		return nil, nil // what is no domain has no key
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.reloadIfChanged(); err != nil {
		return nil, err
	}
	d := s.domains[name]
	if d == nil {
		return nil, nil
	}
	if d.err != nil && d.keys == nil {
		return nil, d.err
	}
	var all []Private
	for _, k := range d.keys {
		if k.State != Active {
			continue
		}
		p, err := s.load(d, k)
		if err != nil {
			return nil, err
		}
		all = append(all, *p)
	}
	slices.SortStableFunc(all, func(a, b Private) int { return strings.Compare(b.Algorithm, a.Algorithm) })
	return all, nil
}

// load reads a private key once.
func (s *Store) load(d *domain, k Key) (*Private, error) {
	if p := d.private[k.Selector]; p != nil {
		return p, nil
	}
	path := s.pemPath(k)
	text, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	signer, err := ParsePEM(path, text)
	if err != nil {
		return nil, err
	}
	if public, err := publicOf(signer); err != nil || public != k.Public {
		return nil, fmt.Errorf("%s: this is not the key that %s names", path, stateFile)
	}
	p := &Private{Key: k, Signer: signer}
	d.private[k.Selector] = p
	return p, nil
}

// Domain is the form of a domain under which its keys are kept: lower case, A-labels. The
// error says what is wrong with it.
func Domain(name string) (string, error) {
	ascii, err := address.ToASCII(strings.TrimSuffix(strings.TrimSpace(name), "."))
	if err != nil || !fitDomain(ascii) {
		return "", refuse(ErrInvalid, "dkim.is-no-domain", "%.100q is no domain", "name", name)
	}
	return ascii, nil
}

func fitDomain(name string) bool {
	return strings.Contains(name, ".") && name == strings.ToLower(name) && address.ValidDomain(name)
}

// fitSelector reports whether s can stand before "._domainkey." and name a file: labels of
// letters, digits, hyphens and underscores (RFC 6376 section 3.1), in lower case.
func fitSelector(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
				return false
			}
		}
	}
	return len(s) <= 100
}
