package rules

import (
	"cmp"
	"slices"
	"strings"

	"postern/filter"
	"postern/rules/book"
)

// Bounds of the details one reason shows.
const (
	maxDetails  = 5
	detailBytes = 200
)

// scanStep is the step whose results a policy without antivirus.scan leaves out.
const scanStep = "clamav"

// evidence are the symbols that speak for a mail whose DMARC fails: a hop we trust vouches
// for it, or the operator does.
var evidence = [...]string{"ARC_TRUSTED", "OWN_ALLOW"}

// Judge implements filter.Judge. An unknown policy name judges as "default".
func (s *Set) Judge(m *filter.Message, r filter.Report, policy string) filter.Verdict {
	c := &judgement{set: s, policy: s.policy(policy), before: m.Body == nil, fired: map[string]bool{}}
	c.collect(r)
	v := filter.Verdict{Policy: c.policy.Name, Rules: s.Revision(), Failures: c.failures(r)}
	acting := c.reasons(&v)
	if !c.before {
		c.thresholds(&v, acting)
	}
	v.Keep = c.fired["VIRUS"] && c.policy.Antivirus.KeepOriginal
	v.Public = c.public(m, v, acting)
	return v
}

// judgement is one report on its way to a verdict.
type judgement struct {
	set    *Set
	policy *Policy
	before bool // before DATA
	order  []string
	fired  map[string]bool
	detail map[string][]string
	action map[string]filter.Action // what each symbol's own action comes to
}

// collect gathers the symbols that count, each once, and the composites they make.
func (c *judgement) collect(r filter.Report) {
	c.detail = map[string][]string{}
	for _, f := range r.Findings {
		if f.Step == scanStep && !c.policy.Antivirus.Scan {
			continue
		}
		c.fire(f.Symbol)
		if d := detail(f.Detail); d != "" && !slices.Contains(c.detail[f.Symbol], d) {
			c.detail[f.Symbol] = append(c.detail[f.Symbol], d)
		}
	}
	for _, comp := range c.set.book.Composites {
		if comp.When.Eval(func(name string) bool { return c.fired[name] }) {
			c.fire(comp.ID)
		}
	}
}

func (c *judgement) fire(symbol string) {
	if !c.fired[symbol] {
		c.fired[symbol] = true
		c.order = append(c.order, symbol)
	}
}

// detail makes what a check saw fit to be shown: valid text, cut between characters.
func detail(s string) string {
	if len(s) > detailBytes {
		s = s[:detailBytes]
	}
	return strings.ToValidUTF8(s, "")
}

// failures are the steps that could not tell, without those the policy switches off.
func (c *judgement) failures(r filter.Report) []filter.Failure {
	var out []filter.Failure
	for _, f := range r.Failures {
		if f.Step != scanStep || c.policy.Antivirus.Scan {
			out = append(out, f)
		}
	}
	return out
}

// reasons fills the account of the verdict and returns the largest action of a symbol.
func (c *judgement) reasons(v *filter.Verdict) filter.Action {
	largest := filter.Accept
	c.action = map[string]filter.Action{}
	for _, name := range c.order {
		reason := filter.Reason{Symbol: name, Detail: joined(c.detail[name])}
		var action filter.Action
		if sym := c.set.book.Symbols[name]; sym != nil {
			reason.Describe = sym.Describe
			if sym.Unless == "" || !c.fired[sym.Unless] {
				reason.Score, action = c.worth(sym)
			}
		}
		c.action[name] = action
		largest = max(largest, action)
		v.Score += reason.Score
		v.Reasons = append(v.Reasons, reason)
	}
	slices.SortStableFunc(v.Reasons, func(a, b filter.Reason) int {
		return cmp.Or(cmp.Compare(c.action[b.Symbol], c.action[a.Symbol]), cmp.Compare(b.Score, a.Score), strings.Compare(a.Symbol, b.Symbol))
	})
	v.Action = largest
	return largest
}

// worth is what a symbol counts here and now: before DATA only actions of stage rcpt do.
func (c *judgement) worth(sym *Symbol) (filter.Score, filter.Action) {
	if c.before {
		if sym.Rcpt {
			return 0, sym.Action
		}
		return 0, filter.Accept
	}
	if _, ok := book.PolicyDecides(sym.Name); ok {
		return sym.Score, c.decided(sym.Name)
	}
	return sym.Score, sym.Action
}

// decided is the action of the symbols that the policy decides about.
func (c *judgement) decided(symbol string) filter.Action {
	p := c.policy
	switch symbol {
	case "VIRUS":
		return infected(p.Antivirus.Infected)
	case "UNSCANNABLE":
		return p.Unscannable
	case "ENCRYPTED":
		return p.Encrypted
	case "DMARC_REJECT":
		return c.softened(wish(p.DMARC.Reject))
	default:
		return c.softened(wish(p.DMARC.Quarantine))
	}
}

// infected maps antivirus.infected. A message whose infected part nobody named for certain
// is held, never stripped.
func infected(word string) filter.Action {
	switch word {
	case "tag":
		return filter.Tag
	case "quarantine", "strip":
		return filter.Quarantine
	default:
		return filter.Reject
	}
}

// wish maps what a policy makes of the domain owner's DMARC policy.
func wish(word string) filter.Action {
	switch word {
	case "honour":
		return filter.Reject
	case "hold":
		return filter.Quarantine
	case "tag":
		return filter.Tag
	default:
		return filter.Accept
	}
}

// softened lowers the action of a DMARC policy when other evidence speaks for the mail.
func (c *judgement) softened(a filter.Action) filter.Action {
	for _, symbol := range evidence {
		if c.fired[symbol] {
			return min(a, wish(c.policy.DMARC.OnList))
		}
	}
	return a
}

// thresholds joins the action of the score and of failed steps. A Reject by score alone is
// no 5xx while something could not be checked.
func (c *judgement) thresholds(v *filter.Verdict, acting filter.Action) {
	byScore := filter.Accept
	switch p := c.policy; {
	case v.Score >= p.Reject:
		byScore = filter.Reject
	case v.Score >= p.Quarantine:
		byScore = filter.Quarantine
	case v.Score >= p.Tag:
		byScore = filter.Tag
	}
	if byScore == filter.Reject && acting != filter.Reject && len(v.Failures) > 0 {
		byScore = filter.Quarantine
	}
	v.Action = max(acting, byScore)
	for _, f := range v.Failures {
		v.Action = max(v.Action, f.OnError)
	}
}

// public is the sentence a stranger may read; only refusals have one. It says what the rule
// says, never what was seen.
func (c *judgement) public(m *filter.Message, v filter.Verdict, acting filter.Action) string {
	var words string
	switch {
	case v.Action < filter.Defer:
		return ""
	case acting == v.Action:
		words = v.Reasons[0].Describe // the reasons begin with the largest action
	case v.Action == filter.Defer:
		words = "The message could not be checked completely, please try again later"
	default:
		words = "The message was judged to be spam"
	}
	code := "550 5.7.1 "
	if v.Action == filter.Defer {
		code = "451 4.7.1 "
	}
	return code + printable(words) + " (ref " + m.ID + ")"
}

// printable keeps a reply inside what every SMTP client reads.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

func joined(details []string) string {
	if len(details) > maxDetails {
		details = details[:maxDetails]
	}
	return strings.Join(details, "; ")
}
