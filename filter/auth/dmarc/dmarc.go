package dmarc

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/net/idna"
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
	Aligned   Identifier // what proved the domain, when the result is pass
	Reason    string     // plain words for fail and the errors
	Err       error      // the cause of a temperror
}

// Evaluate judges one author domain by what SPF and DKIM have proven.
func (w *Walker) Evaluate(ctx context.Context, author string, ids []Identifier) Outcome {
	out := Outcome{Result: None, Domain: ascii(author)}
	rec, err := w.discover(ctx, &out)
	if err != nil {
		out.Result, out.Reason, out.Err = TempError, "the policy of "+out.Domain+" could not be looked up", err
		return out
	}
	if rec == nil {
		return out
	}
	unsure := ""
	for _, id := range ids {
		aligned, err := w.aligned(ctx, out.Domain, rec, id)
		switch {
		case err != nil:
			unsure = "the organization of " + id.Domain + " could not be looked up"
			out.Err = err
		case aligned && id.Unsure:
			unsure = "what could prove " + out.Domain + " could not be looked up"
		case aligned:
			out.Result, out.Aligned, out.Err = Pass, id, nil
			return out
		}
	}
	out.Result, out.Reason = Fail, fmt.Sprintf("neither SPF nor DKIM proves %s", out.Domain)
	if unsure != "" {
		out.Result, out.Reason = TempError, unsure
	}
	return out
}

// discover finds the record that applies (RFC 9989 section 4.10.1) and fills in what it
// asks for. No record and no error: out.Result says none or permerror.
func (w *Walker) discover(ctx context.Context, out *Outcome) (*Record, error) {
	own := w.at(ctx, out.Domain)
	if own.err != nil {
		return nil, own.err
	}
	rec, at := own.rec, out.Domain
	if rec == nil {
		steps, err := w.walk(ctx, out.Domain)
		if err != nil {
			return nil, err
		}
		org := organization(out.Domain, steps)
		for _, s := range steps { // the organization's own record, else the registry's
			if rec, at = s.rec, s.domain; s.domain == org {
				break
			}
		}
	}
	if rec == nil {
		switch {
		case own.several:
			out.Result, out.Reason = PermError, out.Domain+" has more than one DMARC record"
		case own.broken != nil:
			out.Result, out.Reason = PermError, own.broken.Error()
		}
		return nil, nil
	}
	out.Record, out.Published, out.Test = at, rec.Policy, rec.Test
	if at != out.Domain {
		out.Published = w.subPolicy(ctx, rec, out.Domain)
	}
	out.Policy = out.Published
	if rec.Test {
		out.Policy = out.Policy.Milder()
	}
	return rec, nil
}

// subPolicy is what a record of a domain above asks for.
func (w *Walker) subPolicy(ctx context.Context, rec *Record, domain string) Policy {
	if rec.NonExistent != "" && !w.exists(ctx, domain) {
		return rec.NonExistent
	}
	if rec.Subdomain != "" {
		return rec.Subdomain
	}
	return rec.Policy
}

// aligned reports whether a proven domain speaks for the author domain (section 4.4).
func (w *Walker) aligned(ctx context.Context, author string, rec *Record, id Identifier) (bool, error) {
	d := ascii(id.Domain)
	if d == author {
		return true, nil
	}
	strict := rec.StrictSPF
	if id.DKIM {
		strict = rec.StrictDKIM
	}
	if strict || commonLabels(author, d) < 2 {
		return false, nil // with no two labels in common there is no organization in common
	}
	a, err := w.organizationOf(ctx, author)
	if err != nil {
		return false, err
	}
	b, err := w.organizationOf(ctx, d)
	return a == b, err
}

func (w *Walker) organizationOf(ctx context.Context, domain string) (string, error) {
	steps, err := w.walk(ctx, domain)
	return organization(domain, steps), err
}

func commonLabels(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	n := 0
	for n < len(x) && n < len(y) && x[len(x)-1-n] == y[len(y)-1-n] {
		n++
	}
	return n
}

// ascii is a domain as it is compared: lower case, A-labels, no final dot.
func ascii(domain string) string {
	domain = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(domain), "."))
	for i := range len(domain) {
		if domain[i] >= 0x80 {
			if a, err := idna.Lookup.ToASCII(domain); err == nil {
				return a
			}
			break
		}
	}
	return domain
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
