package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"postern/filter"
	"postern/filter/auth/dkim"
	"postern/filter/auth/dmarc"
)

// Message checks at OnData the signatures of a message (DKIM) and whether SPF or one of
// them proves its author (DMARC); SPF's result is taken from m.Seen. Symbols:
//
//   - DKIM_PASS, DKIM_FAIL, DKIM_POLICY (valid but not taken for one), DKIM_TEMPERROR,
//     DKIM_PERMERROR, one for each signature; DKIM_NONE; DKIM_ADDED_FIELDS: a field that
//     people are shown stands once more than was signed
//   - DMARC_PASS, DMARC_FAIL, DMARC_NONE, DMARC_TEMPERROR, DMARC_PERMERROR; beside a fail
//     DMARC_REJECT or DMARC_QUARANTINE as the domain's owner asks, t=y heeded
//   - FROM_MULTIPLE, FROM_MALFORMED: every author domain is judged, the worst counts
//
// An error says what the DNS did not answer, or that without SPF's result nobody can say
// that DMARC fails. Now is the time signatures are judged by.
func Message(res Resolver, now func() time.Time) filter.Check {
	return filter.CheckFunc(func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		c := &messageCheck{res: res, m: m}
		sigs, err := dkim.Verify(ctx, res, m.Body, m.Size, now())
		switch {
		case errors.Is(err, dkim.ErrTooLarge):
			c.found = append(c.found, filter.Finding{
				Symbol: "DKIM_POLICY", Detail: err.Error(),
				Auth: &filter.AuthResult{Method: "dkim", Result: "policy", Reason: err.Error()},
			})
		case err != nil:
			return nil, &filter.CouldNot{Words: "the message could not be read", Cause: err}
		default:
			c.signatures(sigs)
		}
		c.dmarc(ctx)
		return c.found, c.err()
	})
}

// messageCheck is the work on one message.
type messageCheck struct {
	res   Resolver
	m     *filter.Message
	found []filter.Finding
	ids   []dmarc.Identifier
	noSPF bool // SPF was not checked at all

	words  []string // what could not be told
	causes []error
}

func (c *messageCheck) doubt(words string, cause error) {
	c.words, c.causes = append(c.words, words), append(c.causes, cause)
}

func (c *messageCheck) err() error {
	if len(c.words) == 0 {
		return nil
	}
	return couldNot(strings.Join(c.words, "; "), errors.Join(c.causes...))
}

// signatures turns the results of DKIM into findings and identifiers.
func (c *messageCheck) signatures(sigs []dkim.Signature) {
	if len(sigs) == 0 {
		c.found = append(c.found, filter.Finding{Symbol: "DKIM_NONE", Auth: &filter.AuthResult{Method: "dkim", Result: "none"}})
	}
	passed := false
	var temp *dkim.Signature
	for i, s := range sigs {
		switch s.Result {
		case dkim.Pass:
			passed = true
			c.ids = append(c.ids, dmarc.Identifier{DKIM: true, Domain: s.Domain})
		case dkim.TempError:
			temp = &sigs[i]
			c.ids = append(c.ids, dmarc.Identifier{DKIM: true, Domain: s.Domain, Unsure: true})
		}
		result := &filter.AuthResult{
			Method: "dkim", Result: string(s.Result), Reason: s.Reason,
			Props: props("header", "d", s.Domain, "s", s.Selector, "a", s.Alg, "b", s.Value),
		}
		c.found = append(c.found, filter.Finding{Symbol: symbol("dkim", string(s.Result)), Detail: dkimDetail(s), Auth: result})
		if len(s.Added) > 0 {
			c.found = append(c.found, filter.Finding{
				Symbol: "DKIM_ADDED_FIELDS", Detail: "more " + strings.Join(s.Added, ", ") + " than " + s.Domain + " signed", Auth: result,
			})
		}
	}
	if temp != nil && !passed {
		c.doubt("the key of a DKIM signature could not be looked up", temp.Err)
	}
}

func dkimDetail(s dkim.Signature) string {
	var words []string
	if s.Domain != "" {
		words = append(words, s.Domain)
	}
	if s.KeyBits > 0 {
		words = append(words, fmt.Sprintf("%s, %d bits", s.Alg, s.KeyBits))
	}
	if s.Testing {
		words = append(words, "key in test mode")
	}
	if s.Reason != "" {
		words = append(words, s.Reason)
	}
	return strings.Join(words, ": ")
}

// envelope takes SPF's identifier from what earlier stages found.
func (c *messageCheck) envelope() {
	for _, f := range c.m.Seen {
		if f.Auth == nil || f.Auth.Method != "spf" {
			continue
		}
		for _, p := range f.Auth.Props {
			if p.Type != "smtp" || p.Name != "mailfrom" && p.Name != "helo" {
				continue
			}
			id := dmarc.Identifier{Domain: p.Value[strings.LastIndexByte(p.Value, '@')+1:], Unsure: f.Auth.Result == "temperror"}
			if id.Unsure || f.Auth.Result == "pass" {
				c.ids = append(c.ids, id)
			}
		}
		return
	}
	c.noSPF = true
}

// dmarc judges every author domain and reports the worst.
func (c *messageCheck) dmarc(ctx context.Context) {
	tree, err := c.m.Parts()
	if err != nil {
		c.doubt("the author could not be read", err)
		return
	}
	c.envelope()
	who := readAuthors(tree)
	if who.several {
		c.found = append(c.found, filter.Finding{Symbol: "FROM_MULTIPLE", Detail: strings.Join(who.domains, ", ")})
	}
	if who.malformed != "" {
		c.found = append(c.found, filter.Finding{Symbol: "FROM_MALFORMED", Detail: who.malformed})
	}
	w := &dmarc.Walker{Resolver: c.res}
	var all []dmarc.Outcome
	for _, d := range who.domains {
		all = append(all, w.Evaluate(ctx, d, c.ids))
	}
	if len(all) == 0 {
		all = []dmarc.Outcome{{Result: dmarc.PermError, Reason: who.malformed}}
	}
	c.report(dmarc.Worst(all))
}

func (c *messageCheck) report(o dmarc.Outcome) {
	if o.Result == dmarc.Fail && c.noSPF {
		c.doubt("DMARC was not checked: SPF was not", nil)
		return
	}
	result := &filter.AuthResult{Method: "dmarc", Result: string(o.Result), Reason: o.Reason, Props: props("header", "from", o.Domain)}
	detail := o.Domain
	switch {
	case o.Result == dmarc.Pass:
		by := "SPF"
		if o.Aligned.DKIM {
			by = "DKIM"
		}
		detail = o.Domain + " by " + by + " of " + o.Aligned.Domain
	case o.Reason != "":
		detail = o.Reason
	}
	if o.Result == dmarc.Fail {
		asks := fmt.Sprintf("p=%s of %s", o.Published, o.Record)
		if o.Test {
			asks += ", in test mode"
		}
		result.Reason, detail = asks, detail+", "+asks
	}
	c.found = append(c.found, filter.Finding{Symbol: symbol("dmarc", string(o.Result)), Detail: detail, Auth: result})
	if o.Result == dmarc.Fail && o.Policy != dmarc.PolicyNone {
		c.found = append(c.found, filter.Finding{Symbol: symbol("dmarc", string(o.Policy)), Detail: detail, Auth: result})
	}
	if o.Result == dmarc.TempError {
		c.doubt("DMARC: "+o.Reason, o.Err)
	}
}
