package keys

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"postern/internal/canon"
)

// stringMax is the longest string of a TXT record (RFC 1035 section 3.3).
const stringMax = 255

// Record is what belongs into the DNS for a key.
type Record struct {
	Name    string   `json:"name"` // without the final dot
	Text    string   `json:"text"` // all strings joined
	Strings []string `json:"strings"`
	Zone    string   `json:"zone"` // as it stands in a zone file
}

// Record is the key's record (RFC 6376 section 3.6).
func (k Key) Record() Record {
	r := Record{Name: k.Selector + "._domainkey." + k.Domain, Text: "v=DKIM1; k=" + k.Algorithm + "; p=" + k.Public}
	for rest := r.Text; rest != ""; {
		n := min(stringMax, len(rest))
		r.Strings = append(r.Strings, rest[:n])
		rest = rest[n:]
	}
	quoted := make([]string, len(r.Strings))
	for i, s := range r.Strings {
		quoted[i] = `"` + s + `"`
	}
	r.Zone = r.Name + ". IN TXT " + quoted[0]
	if len(quoted) > 1 {
		r.Zone = r.Name + ". IN TXT (\n\t" + strings.Join(quoted, "\n\t") + " )"
	}
	return r
}

// Resolver asks for text records; *dns.Resolver is one.
type Resolver interface {
	TXT(ctx context.Context, name string) ([]string, error)
}

// Answer is what the DNS says about a key.
type Answer struct {
	Key       Key    `json:"key"`
	Record    Record `json:"record"`
	Published bool   `json:"published"`
	Problem   string `json:"problem,omitempty"` // why not, in plain words
	Unknown   bool   `json:"unknown,omitempty"` // the DNS did not answer
}

// Ask looks for a key's record.
func Ask(ctx context.Context, res Resolver, k Key) Answer {
	a := Answer{Key: k, Record: k.Record()}
	texts, err := res.TXT(ctx, a.Record.Name)
	var no *net.DNSError
	switch {
	case errors.As(err, &no) && no.IsNotFound:
		a.Problem = "there is no record at " + a.Record.Name
		return a
	case err != nil:
		a.Unknown, a.Problem = true, "the DNS did not answer: "+err.Error()
		return a
	}
	var wrong []string
	for _, text := range texts {
		problem := k.differs(text)
		if problem == "" {
			a.Published = true
			continue
		}
		wrong = append(wrong, problem)
	}
	if len(wrong) > 0 { // beside the right one too: a verifier may take any
		a.Published, a.Problem = false, strings.Join(wrong, "; ")
	}
	return a
}

// differs says what keeps a record from being the key's, or "".
func (k Key) differs(text string) string {
	tags, err := canon.ParseTags(text)
	if err != nil {
		return "a record cannot be read: " + err.Error()
	}
	kind, typed := tags["k"]
	if !typed {
		kind = RSA
	}
	p, held := tags["p"]
	p = canon.Squeeze(p)
	allows := func(tag string, any ...string) bool {
		list, given := tags[tag]
		return !given || slices.ContainsFunc(canon.List(list), func(s string) bool { return slices.Contains(any, s) })
	}
	switch {
	case tags["v"] != "" && tags["v"] != "DKIM1":
		return fmt.Sprintf("a record says v=%.20s, not DKIM1", tags["v"])
	case !held:
		return "a record holds no key (p=)"
	case p == "":
		return "the record says that the key is revoked"
	case !strings.EqualFold(kind, k.Algorithm):
		return fmt.Sprintf("the record is of a key of type %.20s, this one is %s", kind, k.Algorithm)
	case strings.TrimRight(p, "=") != strings.TrimRight(k.Public, "="):
		return "the record holds another key"
	case !allows("h", "sha256"):
		return "the record does not allow sha256 (h=)"
	case !allows("s", "*", "email"):
		return "the record is not for mail (s=)"
	}
	return ""
}

// Look asks the DNS about all keys of a domain. A pending key whose record is seen becomes
// active, and the one before it retires; the answers show the keys as they are after that.
func (s *Store) Look(ctx context.Context, res Resolver, name string) ([]Answer, []Change, error) {
	keys, err := s.Of(name)
	if err != nil {
		return nil, nil, err
	}
	var all []Answer
	var changes []Change
	for _, k := range keys {
		a := Ask(ctx, res, k)
		if a.Published && k.State == Pending {
			done, err := s.SetActive(k.Domain, k.Selector)
			if err != nil && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) { // another process was first
				return all, changes, err
			}
			changes = append(changes, done...)
		}
		all = append(all, a)
	}
	now, err := s.Of(name)
	for i := range all {
		if at := indexOf(now, all[i].Key.Selector); at >= 0 {
			all[i].Key = now[at]
		}
	}
	return all, changes, err
}

// Domains are the domains that have keys, in order.
func (s *Store) Domains() []string {
	var all []string
	for _, k := range s.List() {
		all = append(all, k.Domain)
	}
	return slices.Compact(all)
}
