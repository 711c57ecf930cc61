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

// FileType is the symbol of a file whose types a policy can name; where it names none of them the
// symbol counts for nothing.
const FileType = "FILE_TYPE"

// Judge implements filter.Judge. An unknown policy name judges as "default".
func (s *Set) Judge(m *filter.Message, r filter.Report, policy string) filter.Verdict {
	c := &judgement{set: s, policy: s.policy(policy), m: m, before: m.Body == nil, fired: map[string]bool{}}
	c.collect(r)
	v := filter.Verdict{Policy: c.policy.Name, Rules: s.Revision(), Failures: c.failures(r)}
	acting := c.reasons(&v)
	byScore := filter.Accept
	if !c.before {
		byScore = c.thresholds(&v, acting)
	}
	decide(&v, acting, byScore)
	if !c.before {
		c.greylist(&v)
	}
	v.Keep = c.fired[virus] && c.policy.Antivirus.KeepOriginal
	v.Strip, v.Softened = c.strip(v), c.softened()
	v.Public = c.public(v, acting)
	return v
}

// judgement is one report on its way to a verdict.
type judgement struct {
	set    *Set
	policy *Policy
	m      *filter.Message
	before bool // before DATA
	order  []string
	fired  map[string]bool
	detail map[string][]string
	steps  map[string][]string      // who said so
	action map[string]filter.Action // what each symbol's own action comes to
	parts  []string                 // where viruses were found, "" where nobody can say
	listed filter.Action            // what the policy's lists of types ask for
	unsure bool                     // what could speak for an unproven mail was not all checked

	passing bool // a step could not tell that may tell the next time
}

// collect gathers the symbols that count, each once, and the composites they make.
func (c *judgement) collect(r filter.Report) {
	c.detail, c.steps = map[string][]string{}, map[string][]string{}
	for _, f := range r.Findings {
		if f.Step == scanStep && !c.policy.Antivirus.Scan {
			continue
		}
		if f.Symbol == FileType {
			a := c.policy.Attachments.Action(f.Types)
			if a == filter.Accept {
				continue
			}
			c.listed = max(c.listed, a)
		}
		c.fire(f.Symbol)
		if f.Step != "" && !slices.Contains(c.steps[f.Symbol], f.Step) {
			c.steps[f.Symbol] = append(c.steps[f.Symbol], f.Step)
		}
		if f.Symbol == virus {
			c.parts = append(c.parts, f.Part)
		}
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
			c.passing = c.passing || !f.Standing
			c.unsure = c.unsure || !f.Standing && slices.Contains(provingSteps[:], f.Step)
		}
	}
	return out
}

// reasons fills the account of the verdict and returns the largest action of a symbol.
func (c *judgement) reasons(v *filter.Verdict) filter.Action {
	largest := filter.Accept
	c.action = map[string]filter.Action{}
	for _, name := range c.order {
		if c.quiet(name) {
			continue
		}
		reason := filter.Reason{Symbol: name, Detail: joined(c.detail[name]), Step: strings.Join(c.steps[name], ",")}
		var action filter.Action
		if sym := c.set.book.Symbols[name]; sym != nil {
			reason.Describe = sym.Describe
			var note string
			reason.Score, action, note = c.worth(sym)
			reason.Detail = with(reason.Detail, note)
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

// quiet tells that a symbol is there for other rules only.
func (c *judgement) quiet(name string) bool {
	sym := c.set.book.Symbols[name]
	return sym != nil && sym.Quiet
}

// worth is what a symbol counts here and now, and a word on why that is less than its rule
// says. Before DATA only actions of stage rcpt count.
func (c *judgement) worth(sym *Symbol) (score filter.Score, action filter.Action, note string) {
	beside := c.firstFired(sym.Unless)
	_, policys := book.PolicyDecides(sym.Name)
	switch {
	case c.before && (!sym.Rcpt || beside != ""):
		return 0, filter.Accept, ""
	case c.before:
		return 0, c.atMost(sym, sym.Action), ""
	case policys:
		action, note = c.atMost(sym, c.decided(sym.Name)), c.note(sym.Name)
		if beside == "" {
			score = sym.Score
		} else if note == "" {
			note = "scores nothing beside " + beside
		}
		return score, action, note
	case beside != "":
		if sym.Score != 0 || sym.Action != filter.Accept {
			note = "does not count beside " + beside
		}
		return 0, filter.Accept, note
	}
	return sym.Score, c.atMost(sym, sym.Action), ""
}

// firstFired is the first of the symbols that fired, or "".
func (c *judgement) firstFired(symbols []string) string {
	for _, s := range symbols {
		if c.fired[s] {
			return s
		}
	}
	return ""
}

// note says why the action of a symbol the policy decides about is not what the policy says.
func (c *judgement) note(symbol string) string {
	switch symbol {
	case virus:
		return c.virusNote()
	case "DMARC_REJECT", "DMARC_QUARANTINE":
		return c.dmarcNote(symbol)
	}
	return ""
}

// decided is the action of the symbols that the policy decides about.
func (c *judgement) decided(symbol string) filter.Action {
	switch p := c.policy; symbol {
	case virus:
		return c.infected()
	case "UNSCANNABLE":
		return p.Unscannable
	case "ENCRYPTED":
		return p.Encrypted
	case FileType:
		return c.listed
	default:
		return c.heeded(c.asked(symbol))
	}
}

// atMost bounds the action of a symbol by the policy's "most". What scanning says may always
// hold: a virus is not handed on. Rates and what an account may do are no content.
func (c *judgement) atMost(sym *Symbol, a filter.Action) filter.Action {
	most := c.policy.Most
	switch sym.Name {
	case virus, "UNSCANNABLE", "ENCRYPTED":
		return min(a, max(most, filter.Quarantine))
	}
	if sym.Rcpt && (sym.Action == filter.Defer || c.m.Direction == filter.Outbound) {
		return a
	}
	if c.before && c.m.Direction == filter.Inbound && mustReach(c.m.To) {
		return filter.Accept
	}
	return min(a, most)
}

// thresholds joins the action of the score and of failed steps. A Reject by score alone is
// no 5xx while something could not be checked that may be the next time.
func (c *judgement) thresholds(v *filter.Verdict, acting filter.Action) (byScore filter.Action) {
	switch p := c.policy; {
	case v.Score >= p.Reject:
		byScore = filter.Reject
	case v.Score >= p.Quarantine:
		byScore = filter.Quarantine
	case v.Score >= p.Tag:
		byScore = filter.Tag
	}
	byScore = min(byScore, c.policy.Most)
	if byScore == filter.Reject && acting != filter.Reject && c.passing {
		byScore = filter.Quarantine
	}
	v.Action = max(acting, byScore)
	for _, f := range v.Failures {
		v.Action = max(v.Action, f.OnError)
	}
	return byScore
}

// decide marks the reason that made the action: the first of those that asked for it themselves,
// else the one that weighs most where the score made it. A failed step is no reason.
func decide(v *filter.Verdict, acting, byScore filter.Action) {
	if v.Action == filter.Accept || len(v.Reasons) == 0 {
		return
	}
	best := 0 // the reasons begin with the largest action
	switch v.Action {
	case acting:
	case byScore:
		for i, r := range v.Reasons {
			if r.Score > v.Reasons[best].Score {
				best = i
			}
		}
	default:
		return
	}
	v.Reasons[best].Decides = true
}

// with joins what was seen and a note of ours on it.
func with(detail, note string) string {
	if detail == "" || note == "" {
		return detail + note
	}
	return detail + ", " + note
}

func joined(details []string) string {
	if len(details) > maxDetails {
		details = details[:maxDetails]
	}
	return strings.Join(details, "; ")
}
