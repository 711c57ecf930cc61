package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/filter"
	"postern/filter/auth/arc"
	"postern/filter/auth/dkim"
	"postern/filter/auth/dmarc"
	"postern/internal/dns"
)

// Message checks at OnData the signatures of a message (DKIM) and whether SPF or one of
// them proves its author (DMARC); SPF's result is taken from m.Seen. Symbols:
//
//   - DKIM_PASS, DKIM_FAIL, DKIM_POLICY (valid but not taken for one), DKIM_TEMPERROR,
//     DKIM_PERMERROR, one for each signature; DKIM_NONE; DKIM_ADDED_FIELDS: a field that
//     people are shown stands once more than was signed
//   - DKIM_WEAK_KEY: a signature with a key below 1024 bits, or with SHA-1 (RFC 8301)
//   - DMARC_PASS, DMARC_FAIL, DMARC_NONE, DMARC_TEMPERROR, DMARC_PERMERROR; beside a fail
//     DMARC_REJECT or DMARC_QUARANTINE as the domain's owner asks, t=y heeded
//   - FROM_MULTIPLE, FROM_MALFORMED: every author domain is judged, the worst counts;
//     FROM_TOO_MANY: there are more than are judged
//   - ARC_PASS, ARC_FAIL, ARC_TEMPERROR for a message that holds fields of ARC;
//     ARC_TRUSTED: sealers that are believed about the one author saw him proven
//
// An error says what the DNS did not answer, or that without SPF's result nobody can say
// that DMARC fails. Now is the time signatures are judged by; trust is asked for each
// message, nil trusts nobody.
func Message(res Resolver, now func() time.Time, trust func() Trust) filter.Check {
	return filter.CheckFunc(func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		c := &messageCheck{res: res, m: m, at: now(), walker: &dmarc.Walker{Resolver: res}}
		if trust != nil {
			c.trust = trust()
		}
		sigs, err := dkim.Verify(dns.WithShare(ctx, dns.Keys), res, m.Body, m.Size, c.at)
		switch {
		case errors.Is(err, dkim.ErrTooLarge):
			c.found = append(c.found, filter.Finding{
				Symbol: "DKIM_POLICY", Detail: "DKIM: " + err.Error(),
				Auth: &filter.AuthResult{Method: "dkim", Result: "policy", Reason: err.Error()},
			})
		case err != nil:
			return nil, &filter.CouldNot{Words: "the message could not be read", Cause: err}
		default:
			c.signatures(sigs)
		}
		c.author(ctx)
		return c.found, c.err()
	})
}

// messageCheck is the work on one message.
type messageCheck struct {
	res    Resolver
	m      *filter.Message
	at     time.Time
	trust  Trust
	walker *dmarc.Walker
	found  []filter.Finding
	ids    []dmarc.Identifier
	noSPF  bool // SPF was not checked at all

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
		if s.Weak {
			c.found = append(c.found, filter.Finding{Symbol: "DKIM_WEAK_KEY", Detail: weakDetail(s), Auth: result})
		}
	}
	if temp != nil && !passed {
		c.doubt("the key of a DKIM signature could not be looked up", temp.Err)
	}
}

func dkimDetail(s dkim.Signature) string {
	by := s.Domain
	if by == "" {
		by = "nobody that can be read"
	}
	var how []string
	if s.KeyBits > 0 {
		how = append(how, s.Alg, fmt.Sprintf("%d bits", s.KeyBits))
	}
	if s.Testing {
		how = append(how, "key in test mode")
	}
	words := "DKIM: signed by " + by
	if len(how) > 0 {
		words += " (" + strings.Join(how, ", ") + ")"
	}
	if s.Reason != "" {
		words += ", but " + s.Reason
	}
	return words
}

func weakDetail(s dkim.Signature) string {
	if s.KeyBits > 0 {
		return fmt.Sprintf("DKIM: %s signs with %s and a key of %d bits", s.Domain, s.Alg, s.KeyBits)
	}
	return fmt.Sprintf("DKIM: %s signs with %s", s.Domain, s.Alg)
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

// author judges every author domain by DMARC and reports the worst, and what ARC says of
// the author where there is but one.
func (c *messageCheck) author(ctx context.Context) {
	tree, err := c.m.Parts()
	if err != nil {
		c.doubt("the author could not be read", err)
		return
	}
	c.envelope()
	who := readAuthors(tree)
	if who.several {
		c.found = append(c.found, filter.Finding{Symbol: "FROM_MULTIPLE", Detail: "From: " + strings.Join(who.domains, ", ")})
	}
	if who.malformed != "" {
		c.found = append(c.found, filter.Finding{Symbol: "FROM_MALFORMED", Detail: who.malformed})
	}
	if who.more { // the rest was judged by nobody
		c.found = append(c.found, filter.Finding{Symbol: "FROM_TOO_MANY", Detail: fmt.Sprintf("more than %d domains", MaxAuthors)})
	}
	worst := c.judge(ctx, who)
	var chain arc.Chain
	vouched := ""
	if isSealed(tree.Root.Header.All) {
		switch chain, err = arc.Validate(dns.WithShare(ctx, dns.Keys), c.res, c.m.Body, c.m.Size, c.at); {
		case errors.Is(err, dkim.ErrTooLarge):
			chain = arc.Chain{Result: arc.Fail, Reason: err.Error()}
		case err != nil:
			c.doubt("ARC: the message could not be read", err)
		}
		if !who.several && who.malformed == "" && chain.Result != arc.Fail {
			vouched = c.vouched(ctx, chain.Sets, worst.Domain)
		}
	}
	// Nobody is refused because the keys of those who might speak for him were not there.
	unsure := chain.Result == arc.TempError && vouched != "" && worst.Result == dmarc.Fail
	if unsure {
		c.doubt("ARC: "+chain.Reason, chain.Err)
		if worst.Policy == dmarc.PolicyReject {
			worst.Policy = dmarc.PolicyQuarantine
			worst.Reason += ", and those who might speak for it could not be asked"
		}
	}
	c.report(worst)
	if chain.Result != "" && chain.Result != arc.None {
		c.chain(chain, vouched)
	}
}

// judge evaluates the author domains, those of few labels first: they cost the fewest
// questions, and a name made long to spend the budget comes last.
func (c *messageCheck) judge(ctx context.Context, who authors) dmarc.Outcome {
	order := slices.Clone(who.domains)
	slices.SortStableFunc(order, func(a, b string) int { return strings.Count(a, ".") - strings.Count(b, ".") })
	var all []dmarc.Outcome
	for _, d := range order {
		all = append(all, c.walker.Evaluate(ctx, d, c.ids))
	}
	if len(all) == 0 || who.more || who.nobody {
		all = append(all, dmarc.Outcome{Result: dmarc.PermError, Reason: who.malformed})
	}
	return dmarc.Worst(all)
}

func (c *messageCheck) report(o dmarc.Outcome) {
	if o.Result == dmarc.Fail && c.noSPF {
		c.doubt("DMARC was not checked: SPF was not", nil)
		return
	}
	result := &filter.AuthResult{Method: "dmarc", Result: string(o.Result), Reason: o.Reason, Props: props("header", "from", o.Domain)}
	if o.Result == dmarc.Pass || o.Result == dmarc.Fail {
		result.At, result.Record = o.Record, o.Text
	}
	detail := "DMARC: " + o.Reason
	switch o.Result {
	case dmarc.None:
		detail = "DMARC: " + o.Domain + " publishes no policy"
	case dmarc.Pass:
		by := "SPF"
		if o.Aligned.DKIM {
			by = "DKIM"
		}
		detail = fmt.Sprintf("DMARC: %s is proven by %s of %s", o.Domain, by, o.Aligned.Domain)
	case dmarc.Fail:
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
