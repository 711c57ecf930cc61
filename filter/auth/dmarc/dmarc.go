package dmarc

import (
	"context"
	"fmt"
	"strings"
)

// Result is the outcome for one author domain, in the terms of RFC 8601.
type Result string

// The results.
const (
	Pass      Result = "pass"
	Fail      Result = "fail"
	None      Result = "none"
	TempError Result = "temperror"
	PermError Result = "permerror"
)

// Identifier is a domain that SPF or DKIM has proven, or perhaps would have.
type Identifier struct {
	DKIM   bool // else SPF
	Domain string
	Unsure bool // the DNS did not answer: it may be proven or not
}

// Outcome is what came of one author domain.
type Outcome struct {
	Result    Result
	Domain    string     // the author domain, lower case, A-labels
	Policy    Policy     // what the owner asks for when the result is fail, t=y heeded
	Published Policy     // the same as published
	Test      bool       // the record says t=y
	Record    string     // the domain whose record applied
	Text      string     // that record as published
	Aligned   Identifier // what proved the domain, when the result is pass
	Reason    string     // plain words for fail and the errors
	Err       error      // the cause of a temperror
}

// Evaluate judges one author domain by what SPF and DKIM have proven.
func (w *Walker) Evaluate(ctx context.Context, author string, ids []Identifier) Outcome {
	out := Outcome{Result: None}
	var ok bool
	if out.Domain, ok = Name(author); !ok {
		out.Result, out.Reason = PermError, fmt.Sprintf("%q is no domain name", out.Domain)
		return out
	}
	rec, err := w.discover(ctx, &out)
	if err != nil {
		out.Result, out.Reason, out.Err = TempError, "the policy of "+out.Domain+" could not be looked up", err
		return out
	}
	if rec == nil {
		return out
	}
	w.align(ctx, &out, rec, ids)
	w.policy(ctx, &out, rec)
	return out
}

// discover finds the record that applies (RFC 9989 section 4.10.1). No record and no error:
// out.Result says none or permerror.
func (w *Walker) discover(ctx context.Context, out *Outcome) (*Record, error) {
	own := w.at(ctx, out.Domain)
	if own.err != nil {
		return nil, own.err
	}
	found := step{out.Domain, own}
	if own.rec == nil {
		steps, err := w.walk(ctx, out.Domain)
		if err != nil {
			return nil, err
		}
		org := organization(out.Domain, steps)
		for _, s := range steps { // the organization's own record, else the registry's
			if found = s; s.domain == org {
				break
			}
		}
	}
	switch {
	case found.rec == nil && own.several:
		out.Result, out.Reason = PermError, out.Domain+" has more than one DMARC record"
	case found.rec != nil:
		out.Record, out.Text = found.domain, found.text
	}
	if found.broken != "" {
		out.Result, out.Reason = PermError, found.broken+", at "+found.domain
		return nil, nil
	}
	return found.rec, nil
}

// align decides between pass, fail and temperror: what could not be looked up and might
// prove the domain makes no fail (sections 5.3.5 and 5.3.6).
func (w *Walker) align(ctx context.Context, out *Outcome, rec *Record, ids []Identifier) {
	unsure := ""
	for _, relaxed := range []bool{false, true} { // an identical domain asks nothing of the DNS
		for _, id := range ids {
			var aligned bool
			var err error
			if name, ok := Name(id.Domain); ok && relaxed {
				aligned, err = w.related(ctx, out.Domain, name, rec, id.DKIM)
			} else {
				aligned = ok && name == out.Domain
			}
			switch {
			case err != nil:
				unsure, out.Err = "the organization of "+id.Domain+" could not be looked up", err
			case aligned && id.Unsure:
				unsure = "what could prove " + out.Domain + " could not be looked up"
			case aligned:
				out.Result, out.Aligned, out.Err = Pass, id, nil
				return
			}
		}
	}
	out.Result, out.Reason = Fail, "neither SPF nor DKIM proves "+out.Domain
	if unsure != "" {
		out.Result, out.Reason = TempError, unsure
	}
}

// related reports whether a proven domain is of the author domain's organization (sections
// 4.4 and 4.10.2).
func (w *Walker) related(ctx context.Context, author, domain string, rec *Record, isDKIM bool) (bool, error) {
	if domain == author || isDKIM && rec.StrictDKIM || !isDKIM && rec.StrictSPF || !sameTop(author, domain) {
		return domain == author, nil
	}
	org, err := w.organizationOf(ctx, author)
	if err != nil || domain != org && !strings.HasSuffix(domain, "."+org) {
		return false, err // an organization holds no names outside itself: nothing to walk
	}
	other, err := w.organizationOf(ctx, domain)
	return org == other, err
}

func (w *Walker) organizationOf(ctx context.Context, domain string) (string, error) {
	steps, err := w.walk(ctx, domain)
	return organization(domain, steps), err
}

// sameTop reports whether two names end in the same label.
func sameTop(a, b string) bool {
	return a[strings.LastIndexByte(a, '.')+1:] == b[strings.LastIndexByte(b, '.')+1:]
}

// policy fills in what the record asks for: p= at the author domain itself, np= below for
// one that does not exist, sp= for one that does (section 4.10.1). Only for a fail is the
// DNS asked which; where it does not answer and that could turn the policy, nothing fails.
func (w *Walker) policy(ctx context.Context, out *Outcome, rec *Record) {
	out.Published, out.Test = rec.Policy, rec.Test
	if out.Record != out.Domain {
		if rec.Subdomain != "" {
			out.Published = rec.Subdomain
		}
		if rec.NonExistent != "" && rec.NonExistent != out.Published && out.Result == Fail {
			exists, err := w.exists(ctx, out.Domain)
			switch {
			case err != nil:
				out.Result, out.Err = TempError, err
				out.Reason = "whether " + out.Domain + " exists could not be looked up"
			case !exists:
				out.Published = rec.NonExistent
			}
		}
	}
	out.Policy = out.Published
	if rec.Test {
		out.Policy = out.Policy.milder()
	}
}

// Worst is the outcome that counts of several author domains: the one that asks for the
// most, then what could not be told, then what proves nothing.
func Worst(all []Outcome) Outcome {
	worst := Outcome{Result: None}
	for i, o := range all {
		if i == 0 || weight(o) > weight(worst) {
			worst = o
		}
	}
	return worst
}

func weight(o Outcome) int {
	switch o.Result {
	case Fail:
		return 10 + o.Policy.rank()
	case PermError:
		return 5
	case TempError:
		return 4
	case None:
		return 3
	default:
		return 0
	}
}

// Aligned is the first of some identifiers that speaks for the author domain, in the modes
// its record asks for, or relaxed where there is none. What could not be looked up does not.
func (w *Walker) Aligned(ctx context.Context, author string, ids []Identifier) (Identifier, bool) {
	name, ok := Name(author)
	if !ok {
		return Identifier{}, false
	}
	out := Outcome{Domain: name}
	rec, err := w.discover(ctx, &out)
	if err != nil {
		return Identifier{}, false
	}
	if rec == nil {
		rec = &Record{}
	}
	w.align(ctx, &out, rec, ids)
	return out.Aligned, out.Result == Pass
}

// SameOrganization reports whether two domains are of one organization (section 4.10.2).
func (w *Walker) SameOrganization(ctx context.Context, a, b string) (bool, error) {
	x, ok := Name(a)
	y, okToo := Name(b)
	if !ok || !okToo {
		return false, nil
	}
	return w.related(ctx, x, y, &Record{}, true)
}
