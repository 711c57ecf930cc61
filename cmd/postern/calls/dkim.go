package calls

import (
	"context"
	"errors"
	"time"

	"postern/internal/control"
	"postern/internal/dns"
	"postern/internal/record"
	"postern/internal/said"
	"postern/internal/stamp/keys"
)

// DKIM are the calls about signing keys.
type DKIM struct {
	Keys  *keys.Store
	DNS   keys.Resolver
	Audit *record.Auditor
}

// DKIMNew asks for a key; see keys.New.
type DKIMNew struct {
	Domain    string `json:"domain"`
	Selector  string `json:"selector,omitempty"`
	Algorithm string `json:"algorithm,omitempty"`
	Bits      int    `json:"bits,omitempty"`
	PEM       []byte `json:"pem,omitempty"`
	From      string `json:"from,omitempty"`
}

// DKIMName names a domain, or one of its keys.
type DKIMName struct {
	Domain   string `json:"domain"`
	Selector string `json:"selector,omitempty"`
	Note     string `json:"note,omitempty"`
	Offline  bool   `json:"offline,omitempty"` // the DNS is not asked
}

// DKIMKey is a key with its record.
type DKIMKey struct {
	keys.Key
	Record    keys.Record `json:"record"`
	Removable bool        `json:"removable"`
}

// DKIMList is all keys, and what of them cannot be read.
type DKIMList struct {
	Keys   []DKIMKey `json:"keys"`
	Faults []string  `json:"faults"`
}

// DKIMSeen is what the DNS says about the keys of a domain, and what that changed.
type DKIMSeen struct {
	Answers []keys.Answer `json:"answers"`
	Changes []keys.Change `json:"changes"`
}

// dnsWait bounds the questions about one domain.
const dnsWait = 20 * time.Second

// Handle adds the calls to s.
func (d DKIM) Handle(s *control.Server) {
	control.Handle(s, "dkim.list", func(context.Context, struct{}) (DKIMList, error) { return d.list() })
	control.Handle(s, "dkim.add", d.add)
	control.Handle(s, "dkim.dns", d.dns)
	control.Handle(s, "dkim.rotate", d.rotate)
	control.Handle(s, "dkim.retire", func(ctx context.Context, p DKIMName) (DKIMSeen, error) {
		changes, err := d.Keys.Retire(p.Domain, p.Selector)
		if err != nil {
			return DKIMSeen{}, refusedKey(err)
		}
		return DKIMSeen{Answers: []keys.Answer{}, Changes: changes}, d.audit(ctx, changes, p.Note)
	})
	control.Handle(s, "dkim.remove", func(ctx context.Context, p DKIMName) (DKIMKey, error) {
		c, err := d.Keys.Remove(p.Domain, p.Selector)
		if err != nil {
			return DKIMKey{}, refusedKey(err)
		}
		return d.shown(*c.Before), d.Audit.Write(ctx, control.Actor(ctx), "dkim-remove", c.Before.Record().Name, c.Before, nil, p.Note)
	})
}

func (d DKIM) shown(k keys.Key) DKIMKey {
	return DKIMKey{Key: k, Record: k.Record(), Removable: k.Removable(d.Audit.Now())}
}

func (d DKIM) list() (DKIMList, error) {
	if err := d.Keys.Reload(); err != nil {
		return DKIMList{}, err
	}
	out := DKIMList{Keys: []DKIMKey{}, Faults: []string{}}
	for _, k := range d.Keys.List() {
		out.Keys = append(out.Keys, d.shown(k))
	}
	for _, err := range d.Keys.Faults() {
		out.Faults = append(out.Faults, err.Error())
	}
	return out, nil
}

func (d DKIM) add(ctx context.Context, p DKIMNew) (DKIMKey, error) {
	k, err := d.Keys.Add(p.Domain, keys.New{Selector: p.Selector, Algorithm: p.Algorithm, Bits: p.Bits, PEM: p.PEM, From: p.From})
	if err != nil {
		return DKIMKey{}, refusedKey(err)
	}
	return d.shown(k), d.Audit.Write(ctx, control.Actor(ctx), "dkim-add", k.Record().Name, nil, k, p.From)
}

func (d DKIM) dns(ctx context.Context, p DKIMName) (DKIMSeen, error) {
	out := DKIMSeen{Answers: []keys.Answer{}, Changes: []keys.Change{}}
	all, err := d.Keys.Of(p.Domain)
	if err == nil && len(all) == 0 {
		err = &keys.Refusal{Kind: keys.ErrNotFound, Words: said.Say("dkim.none", "%s has no DKIM key", "domain", p.Domain)}
	}
	if err != nil {
		return out, refusedKey(err)
	}
	if p.Offline {
		for _, k := range all {
			out.Answers = append(out.Answers, keys.Answer{Key: k, Record: k.Record()})
		}
		return out, nil
	}
	within, cancel := context.WithTimeout(dns.Fresh(ctx), dnsWait)
	defer cancel()
	answers, changes, err := d.Keys.Look(within, d.DNS, p.Domain)
	if err != nil {
		return out, refusedKey(err)
	}
	return DKIMSeen{Answers: some(answers), Changes: some(changes)}, d.audit(ctx, changes, "its record is in the DNS")
}

func (d DKIM) rotate(ctx context.Context, p DKIMName) ([]DKIMKey, error) {
	before, err := d.Keys.Of(p.Domain)
	if err != nil {
		return nil, refusedKey(err)
	}
	next, err := d.Keys.Rotate(p.Domain)
	if err != nil {
		return nil, refusedKey(err)
	}
	out := []DKIMKey{}
	for _, k := range next {
		out = append(out, d.shown(k))
		if waited(before, k) {
			continue
		}
		if err := d.Audit.Write(ctx, control.Actor(ctx), "dkim-rotate", k.Record().Name, nil, k, p.Note); err != nil {
			return out, err
		}
	}
	return out, nil
}

// waited reports whether a key was there before.
func waited(before []keys.Key, k keys.Key) bool {
	for _, b := range before {
		if b.Selector == k.Selector {
			return true
		}
	}
	return false
}

func (d DKIM) audit(ctx context.Context, changes []keys.Change, note string) error {
	var errs []error
	for _, c := range changes {
		errs = append(errs, d.Changed(ctx, control.Actor(ctx), note, c))
	}
	return errors.Join(errs...)
}

// Changed writes a key's new state into the audit trail: "dkim-active" or "dkim-retired".
func (d DKIM) Changed(ctx context.Context, actor, note string, c keys.Change) error {
	return d.Audit.Write(ctx, actor, "dkim-"+string(c.After.State), c.After.Record().Name, c.Before, c.After, note)
}

// refusedKey turns a refusal of the keys into one that crosses the socket.
func refusedKey(err error) error {
	var r *keys.Refusal
	if !errors.As(err, &r) {
		return err
	}
	kind := control.Conflict
	switch {
	case errors.Is(err, keys.ErrNotFound):
		kind = control.NotFound
	case errors.Is(err, keys.ErrInvalid):
		kind = control.Invalid
	}
	return control.Because(kind, err)
}
