package book

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"postern/filter"
	"postern/internal/address"
	"postern/internal/said"
	"postern/internal/strict"
)

// DefaultPolicy is the policy every other one starts from unless it says what it extends.
const DefaultPolicy = "default"

// maxKeepDays bounds keep_days.
const maxKeepDays = 3650

func (m *merger) policySection(d *strict.Document, all map[string]*policyEntry) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		path := "policies[" + name + "]"
		e := all[name]
		switch {
		case !validPolicyName(name):
			d.Fault(path, "rule.cannot-name-a-policy-letters-digits-and", "%q cannot name a policy: letters, digits, - and _, at most 64", "name", clip(name))
			continue
		case !m.once("policies", name, d.At(path)):
			continue
		case e == nil:
			d.Fault(path, "rule.has-no-value", "%s has no value", "name", name)
			continue
		}
		hollow(d, path, e)
		checkPolicy(d, path, e)
		e.extendsAt = d.At(path + ".extends")
		if old := m.policies[name]; old != nil {
			old.overlay(e)
		} else {
			m.policies[name] = e
		}
	}
}

func validPolicyName(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

func checkPolicy(d *strict.Document, path string, e *policyEntry) {
	for key, p := range map[string]*points{"tag": e.Tag, "quarantine": e.Quarantine, "reject": e.Reject} {
		if p != nil && *p <= 0 {
			d.Fault(path+"."+key, "rule.a-threshold-is-above-0-or-every", "a threshold is above 0, or every clean message would reach it")
		}
	}
	oneOf(d, path+".most", e.Most, "accept", "tag", "quarantine", "defer", "reject")
	if e.Antivirus != nil {
		oneOf(d, path+".antivirus.infected", e.Antivirus.Infected, "reject", "quarantine", "strip", "tag")
	}
	if e.DMARC != nil {
		oneOf(d, path+".dmarc.reject", e.DMARC.Reject, "honour", "hold", "ignore")
		oneOf(d, path+".dmarc.quarantine", e.DMARC.Quarantine, "hold", "tag", "ignore")
		oneOf(d, path+".dmarc.on_list", e.DMARC.OnList, "hold", "tag")
	}
	oneOf(d, path+".unscannable", e.Unscannable, "accept", "tag", "quarantine", "reject")
	oneOf(d, path+".encrypted", e.Encrypted, "accept", "tag", "quarantine", "reject")
	e.Attachments.Check(d, path+".attachments")
	if k := e.KeepDays; k != nil && (*k < 1 || *k > maxKeepDays) {
		d.Fault(path+".keep_days", "rule.expected-1-to-days-found", "expected 1 to %d days, found %d", "most", maxKeepDays, "k", *k)
	}
	if e.Digest != nil {
		if _, err := DigestHours(*e.Digest); err != nil {
			d.Fault(path+".digest", "rule.digest-found", "%v, found %q", "why", err, "digest", clip(*e.Digest))
		}
	}
}

// DigestHours are the hours of the day that a policy's digest names; none for off and daily.
func DigestHours(digest string) (hours []int, err error) {
	if digest == "off" || digest == "daily" {
		return nil, nil
	}
	for text := range strings.SplitSeq(digest, ",") {
		h, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || h < 0 || h > 23 || slices.Contains(hours, h) {
			return nil, said.New("rule.expected-off-daily-or-hours-of-the", "expected off, daily, or hours of the day such as \"8,12,17\"")
		}
		hours = append(hours, h)
	}
	slices.Sort(hours)
	return hours, nil
}

// over replaces *dst where src was written.
func over[T any](dst **T, src *T) {
	if src != nil {
		*dst = src
	}
}

// overlay merges a later layer's entry into e.
func (e *policyEntry) overlay(x *policyEntry) {
	if x.Extends != nil {
		e.Extends, e.extendsAt = x.Extends, x.extendsAt
	}
	over(&e.Tag, x.Tag)
	over(&e.Greylist, x.Greylist)
	over(&e.Quarantine, x.Quarantine)
	over(&e.Reject, x.Reject)
	over(&e.Most, x.Most)
	over(&e.Unscannable, x.Unscannable)
	over(&e.Encrypted, x.Encrypted)
	over(&e.KeepDays, x.KeepDays)
	over(&e.Digest, x.Digest)
	over(&e.Infected, x.Infected)
	if a := x.Antivirus; a != nil {
		if e.Antivirus == nil {
			e.Antivirus = &antivirusEntry{}
		}
		over(&e.Antivirus.Scan, a.Scan)
		over(&e.Antivirus.Infected, a.Infected)
		over(&e.Antivirus.KeepOriginal, a.KeepOriginal)
	}
	if x.Attachments != nil {
		e.Attachments = e.Attachments.Over(x.Attachments)
	}
	if a := x.DMARC; a != nil {
		if e.DMARC == nil {
			e.DMARC = &dmarcEntry{}
		}
		over(&e.DMARC.Reject, a.Reject)
		over(&e.DMARC.Quarantine, a.Quarantine)
		over(&e.DMARC.OnList, a.OnList)
	}
}

func set[T any](dst *T, src *T) {
	if src != nil {
		*dst = *src
	}
}

func setScore(dst *filter.Score, src *points) {
	if src != nil {
		*dst = filter.Score(*src)
	}
}

func setAction(dst *filter.Action, src *string) {
	if src != nil {
		*dst, _ = filter.ParseAction(*src)
	}
}

// onto writes what the entry says over an inherited policy.
func (e *policyEntry) onto(p Policy) Policy {
	setScore(&p.Tag, e.Tag)
	if e.Greylist != nil {
		p.Greylist = filter.Score(*e.Greylist)
	}
	setScore(&p.Quarantine, e.Quarantine)
	setScore(&p.Reject, e.Reject)
	if a := e.Antivirus; a != nil {
		set(&p.Antivirus.Scan, a.Scan)
		set(&p.Antivirus.Infected, a.Infected)
		set(&p.Antivirus.KeepOriginal, a.KeepOriginal)
	}
	if a := e.DMARC; a != nil {
		set(&p.DMARC.Reject, a.Reject)
		set(&p.DMARC.Quarantine, a.Quarantine)
		set(&p.DMARC.OnList, a.OnList)
	}
	p.Attachments = e.Attachments.Onto(p.Attachments)
	setAction(&p.Most, e.Most)
	setAction(&p.Unscannable, e.Unscannable)
	setAction(&p.Encrypted, e.Encrypted)
	set(&p.KeepDays, e.KeepDays)
	set(&p.Digest, e.Digest)
	set(&p.DigestInfected, e.Infected)
	return p
}

// builtin is what the policy default says where no file says anything: the strict side.
func builtin() Policy {
	return Policy{
		Name: DefaultPolicy, Tag: 400, Greylist: 500, Quarantine: 700, Reject: 1500, Most: filter.Reject,
		Antivirus:   Antivirus{Scan: true, Infected: "reject", KeepOriginal: true},
		DMARC:       DMARC{Reject: "honour", Quarantine: "hold", OnList: "hold"},
		Unscannable: filter.Quarantine, Encrypted: filter.Tag, KeepDays: 30, Digest: "daily",
	}
}

// resolvePolicies follows extends and fills the book.
func (m *merger) resolvePolicies() {
	for _, name := range slices.Sorted(maps.Keys(m.policies)) {
		m.resolve(name, nil)
	}
	if m.book.Policies[DefaultPolicy] == nil {
		p := builtin()
		m.book.Policies[DefaultPolicy] = &p
	}
}

// resolve returns a policy with all it inherits; trail is the way of extends that led here.
func (m *merger) resolve(name string, trail []string) *Policy {
	if p := m.book.Policies[name]; p != nil {
		return p
	}
	e := m.policies[name]
	base := builtin()
	extends := DefaultPolicy
	if e != nil && e.Extends != nil {
		extends = *e.Extends
	}
	trail = append(trail, name)
	switch {
	case e == nil:
		return &base
	case name == DefaultPolicy && e.Extends == nil:
		extends = ""
	case slices.Contains(trail, extends):
		m.fail(e.extendsAt, "rule.policies-extend-each-other-in-a-circle", "policies extend each other in a circle: %s -> %s", "trail", strings.Join(trail, " -> "), "extends", extends)
	case m.policies[extends] == nil && extends != DefaultPolicy:
		m.fail(e.extendsAt, "rule.no-policy-is-called", "no policy is called %q%s", "policy", clip(extends), "hint", hint(extends, slices.Collect(maps.Keys(m.policies))))
	default:
		base = *m.resolve(extends, trail)
	}
	p := e.onto(base)
	p.Name, p.Extends = name, extends
	m.book.Policies[name] = &p
	return &p
}

func hint(word string, known []string) said.Words {
	slices.Sort(known)
	return strict.Hint(word, known)
}

// mappings merges recipients or accounts; names are compared in lower case.
func (m *merger) mappings(d *strict.Document, section string, all, into map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(all)) {
		path := section + "[" + key + "]"
		name := MapKey(key)
		if section == "recipients" && !validRecipient(key) {
			d.Fault(path, "rule.is-no-address-no-name-no-domain", "%q is no address, no name@*, no *@domain and not *", "key", clip(key))
			continue
		}
		if name == "" {
			d.Fault(path, "rule.an-account-has-a-name", "an account has a name")
			continue
		}
		if !m.once(section, name, d.At(path)) {
			continue
		}
		into[name] = all[key]
		m.mapped[section+" "+name] = mapping{all[key], d.At(path)}
	}
}

// MapKey is the form under which recipients and accounts are compared: lower case, an
// international domain in its ASCII form.
func MapKey(s string) string {
	if local, everywhere := strings.CutSuffix(s, "@*"); everywhere {
		key, _ := strings.CutSuffix(address.Normalize(local+"@"+anyDomain), anyDomain)
		return key + "*"
	}
	domain, wild := strings.CutPrefix(s, "*@")
	if !wild {
		return address.Normalize(s)
	}
	bare, sub := strings.CutPrefix(domain, "*.")
	if ascii, err := address.ToASCII(bare); err == nil {
		bare = ascii
	}
	if sub {
		bare = "*." + bare
	}
	return "*@" + strings.ToLower(bare)
}

// anyDomain stands for the domain of name@* where an address is parsed.
const anyDomain = "domain.invalid"

func validRecipient(key string) bool {
	if key == "*" {
		return true
	}
	if local, everywhere := strings.CutSuffix(key, "@*"); everywhere && local != "*" {
		_, err := address.Parse(local+"@"+anyDomain, true)
		return err == nil
	}
	if domain, ok := strings.CutPrefix(key, "*@"); ok {
		bare, _ := strings.CutPrefix(domain, "*.")
		ascii, err := address.ToASCII(bare)
		return err == nil && address.ValidDomain(ascii)
	}
	_, err := address.Parse(key, true)
	return err == nil && strings.Contains(key, "@")
}
