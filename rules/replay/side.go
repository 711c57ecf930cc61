package replay

import (
	"slices"
	"strings"

	"postern/filter"
	"postern/rules"
	"postern/rules/who"
)

// StepPatterns is the step that looks for the patterns of rules.
const StepPatterns = "patterns"

// maxTangled bounds the patterns of which every combination is judged.
const maxTangled = 5

// Prints are marks of the expressions of a set's patterns, by symbol: where a mark is the same
// the pattern finds the same in the same message.
type Prints map[string]uint32

// PrintsOf are those of a set.
func PrintsOf(s *rules.Set) Prints {
	all := s.Book().Patterns
	out := make(Prints, len(all))
	for _, p := range all {
		out[p.ID] = who.Mark(strings.Join([]string{p.In, p.Header, p.Match, strings.Repeat("+", max(p.Times-1, 0))}, "\x00"))
	}
	return out
}

// Side is a set of rules that records are judged by. It is not safe for concurrent use.
type Side struct {
	set                  *rules.Set
	prints               Prints
	recipients, accounts who.Lines
	tangled              map[string]bool    // symbols that other rules look at
	views                map[string]*viewed // by revision
}

// NewSide prepares a set.
func NewSide(s *rules.Set) *Side {
	b := s.Book()
	side := &Side{set: s, prints: PrintsOf(s), recipients: who.NewLines(b.Recipients), accounts: who.NewLines(b.Accounts), tangled: map[string]bool{}, views: map[string]*viewed{}}
	for name := range b.Used {
		side.tangled[name] = true
	}
	for _, sym := range b.Symbols {
		for _, u := range sym.Unless {
			side.tangled[u] = true
		}
	}
	for _, name := range rules.SpeakFor() {
		side.tangled[name] = true
	}
	return side
}

// viewed is what records of a revision tell this side of its patterns.
type viewed struct {
	known   map[string]bool
	tangled []string // patterns whose match the records do not tell and that act, or other rules look at
	low     []string // of the others, those that lower the score
	high    []string // and those that raise it
}

func (s *Side) view(revision string, then Prints) *viewed {
	if v := s.views[revision]; v != nil {
		return v
	}
	v := &viewed{known: map[string]bool{}}
	for _, p := range s.set.Book().Patterns {
		mark, was := then[p.ID]
		if v.known[p.ID] = was && mark == s.prints[p.ID]; v.known[p.ID] {
			continue
		}
		switch sym, _ := s.set.Symbol(p.ID); {
		case s.tangled[p.ID] || sym.Action != filter.Accept:
			v.tangled = append(v.tangled, p.ID)
		case sym.Score > 0:
			v.high = append(v.high, p.ID)
		case sym.Score < 0:
			v.low = append(v.low, p.ID)
		}
	}
	s.views[revision] = v
	return v
}

// asked are the patterns that a record does not tell.
func (v *viewed) asked() []string { return slices.Concat(v.tangled, v.low, v.high) }

// judged is what a side makes of a record.
type judged struct {
	verdict filter.Verdict
	sure    bool     // whatever the patterns match that the record does not tell, the action is this
	body    bool     // it would be let in to DATA, and nobody knows what its body says
	asked   []string // what is not told and decides, where it is not sure
}

// judge is the worst verdict over the recipients, as far as the record tells it.
func (s *Side) judge(r *Record, then Prints) judged {
	m := s.message(r)
	v := s.view(r.Rules, then)
	report := v.report(r, m)
	out := judged{verdict: worst(s.set, m, report), sure: true}
	if r.Before {
		out.body = out.verdict.Action < filter.Defer
		out.sure = !out.body
		return out
	}
	ask := v.asked()
	if len(ask) == 0 {
		return out
	}
	if out.sure = len(v.tangled) <= maxTangled && s.same(m, report, v, out.verdict.Action); !out.sure {
		out.asked = ask
	}
	return out
}

// same reports whether every combination of what is not told comes to the same action. Scores
// that no other rule looks at add up: their least and their most bound all that is between.
func (s *Side) same(m *filter.Message, report filter.Report, v *viewed, action filter.Action) bool {
	for which := range 1 << len(v.tangled) {
		var some []string
		for i, name := range v.tangled {
			if which>>i&1 == 1 {
				some = append(some, name)
			}
		}
		for _, end := range [][]string{v.low, v.high} {
			if worst(s.set, m, with(report, some, end)).Action != action {
				return false
			}
		}
	}
	return true
}

// with is a report with more patterns in it.
func with(r filter.Report, more ...[]string) filter.Report {
	out := filter.Report{Failures: r.Failures, Findings: slices.Clip(r.Findings)}
	for _, names := range more {
		for _, n := range names {
			out.Findings = append(out.Findings, filter.Finding{Symbol: n, Step: StepPatterns})
		}
	}
	return out
}

// message is as much of a message as a judge looks at.
func (s *Side) message(r *Record) *filter.Message {
	m := &filter.Message{ID: r.ID, Size: r.Size}
	if r.Outbound {
		m.Direction = filter.Outbound
	}
	if !r.Before {
		m.Body = strings.NewReader("")
	}
	for i, h := range r.To {
		policy := s.recipients.Policy(h)
		if r.Outbound {
			policy = s.accounts.Policy(r.Account)
		}
		m.To = append(m.To, filter.Recipient{Address: address(i+1, r.Reach), Policy: policy})
	}
	return m
}

// address stands for a recipient whose name was not kept.
func address(n int, reach bool) string {
	if reach {
		return "postmaster+" + strings.Repeat("x", n) + "@invalid"
	}
	return strings.Repeat("x", n) + "@invalid"
}

// report is what was found, without the patterns that this side has not, or has otherwise.
func (v *viewed) report(r *Record, m *filter.Message) filter.Report {
	var out filter.Report
	for _, f := range r.Findings {
		if f.Step == StepPatterns && !v.known[f.Symbol] {
			continue
		}
		one := filter.Finding{Symbol: f.Symbol, Step: f.Step, Types: f.Types}
		if f.Part {
			one.Part = "1"
		}
		if f.For > 0 {
			one.For = m.To[f.For-1].Address
		}
		out.Findings = append(out.Findings, one)
	}
	for _, f := range r.Failures {
		out.Failures = append(out.Failures, filter.Failure{Step: f.Step, OnError: f.OnError, Standing: f.Standing})
	}
	return out
}

func worst(set *rules.Set, m *filter.Message, r filter.Report) filter.Verdict {
	var out filter.Verdict
	for i, v := range filter.Verdicts(set, m, r) {
		if i == 0 || v.Action > out.Action {
			out = v
		}
	}
	return out
}
