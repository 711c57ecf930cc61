// Package fitcmd proposes scores on the command line: what labelled mail says that symbols are
// worth, and what that changes.
package fitcmd

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"postern/cmd/postern/app"
	"postern/cmd/postern/judge"
	"postern/cmd/postern/steps"
	"postern/filter"
	"postern/rules"
	"postern/rules/book"
	"postern/rules/fit"
)

// Fit is the command.
type Fit struct {
	Ham       string   `required:"" help:"Folder of wanted mail; the folders in it are its sources." type:"existingdir"`
	Spam      string   `required:"" help:"Folder of unwanted mail; the folders in it are its sources." type:"existingdir"`
	Envelopes string   `help:"TSV of recorded envelopes and authentication results; its paths are relative to its own folder." type:"existingfile"`
	Use       string   `name:"with-config" help:"Judge with this configuration's rules and lists instead of the embedded defaults alone." type:"existingfile"`
	Without   []string `help:"Leave these sources out of the fitting; they are judged by what came of the others."`
	Policy    string   `default:"default" help:"The policy whose quarantine line counts."`
	Step      float64  `default:"0.5" help:"Scores are whole multiples of this."`
	Wrong     float64  `name:"ham-wrong" default:"0.1" help:"How many per cent of the wanted mail may reach the line."`
	Out       string   `help:"Write the proposed scores to this rule file." type:"path"`
	Learned   bool     `help:"Fit what learning says too: each message is judged by what would have been learned of the others, those of its sender and campaign left out."`
	JSON      bool     `name:"json" help:"Print JSON."`
}

// Proposal is a symbol with what it is worth and what it would be.
type Proposal struct {
	Symbol string     `json:"symbol"`
	Old    float64    `json:"old"`
	New    float64    `json:"new"`
	Most   float64    `json:"most"` // the bound on the side of its sign
	Ham    int        `json:"ham"`  // messages that it counts for
	Spam   int        `json:"spam"`
	HamCI  [2]float64 `json:"ham_ci"`
	SpamCI [2]float64 `json:"spam_ci"`
}

// Report is what came out.
type Report struct {
	Line      float64        `json:"line"`
	Symbols   []Proposal     `json:"symbols"`
	Before    fit.Figures    `json:"before"`
	After     fit.Figures    `json:"after"`
	Folds     fit.Figures    `json:"folds"`   // each message judged by scores fitted without its sender and campaign
	Without   []LeftOut      `json:"without"` // each source judged by scores fitted without it
	Flips     map[string]int `json:"flips"`
	Examples  []Flip         `json:"examples"`
	Rules     string         `json:"rules"`
	Untouched int            `json:"untouched"` // symbols that never fired or are not fitted
}

// LeftOut is a source of mail judged by scores that were fitted without it.
type LeftOut struct {
	Source string      `json:"source"`
	Before fit.Figures `json:"before"`
	After  fit.Figures `json:"after"`

	Untaught *fit.Figures `json:"untaught,omitempty"` // the same scores where nothing is learned yet; nil: learning is not fitted
}

// Run fits.
func (c *Fit) Run(a *app.App) error {
	if c.Step < 0.01 || c.Step > 2 {
		return app.Usagef("rules fit: --step %v is not between 0.01 and 2", c.Step)
	}
	e := judge.Eval{Ham: c.Ham, Spam: c.Spam, Envelopes: c.Envelopes, Use: c.Use}
	look := &reading{}
	e.Look = look.at
	mail, set, err := e.Each(a)
	if err != nil {
		return err
	}
	p, ok := set.Policy(c.Policy)
	if !ok {
		return app.Usagef("rules fit: there is no policy %q", c.Policy)
	}
	aim := fit.Aim{Line: p.Quarantine, Step: filter.Score(c.Step*100 + 0.5), Ham: c.Wrong / 100}
	m := newModel(mail, set, aim)
	look.tie(mail, m.letters)
	if c.Learned {
		m.learn(look, set, aim)
	}
	for _, w := range c.Without {
		if !slices.ContainsFunc(m.letters, func(l fit.Letter) bool { return l.Group == w }) {
			return app.Usagef("rules fit: there is no source %q", w)
		}
	}
	rep := m.report(aim, c.Without)
	rep.Rules = set.Revision()
	if c.Out != "" {
		if err := os.WriteFile(c.Out, rep.file(), 0o644); err != nil {
			return err
		}
	}
	if c.JSON {
		return a.JSON(rep)
	}
	rep.print(a.Stdout)
	return nil
}

// model is labelled mail as the fitting sees it.
type model struct {
	mail    []*judge.Judged
	terms   []fit.Term
	letters []fit.Letter
	learned *learned // nil: without learning
	all     int      // symbols of the set
}

// circumstances are steps whose findings depend on who delivered a message and on what is
// known here, and those that look for danger: labelled mail has them from elsewhere, or has
// them not.
var circumstances = []string{steps.StepReverse, steps.StepHelo, steps.StepSPF, steps.StepSender, steps.StepAuth, steps.StepLists,
	steps.StepDomains, steps.StepLinks, steps.StepOwn, steps.StepHistory, steps.StepGreylist, steps.StepSenders, steps.StepAccount,
	steps.StepOptedOut, steps.StepLimits, steps.StepAttach, steps.StepClamAV, steps.StepLearned, steps.StepBounce}

func newModel(mail []*judge.Judged, set *rules.Set, aim fit.Aim) *model {
	m := &model{mail: mail, all: len(set.Symbols())}
	index := map[string]int{}
	for _, j := range mail {
		l := fit.Letter{Spam: j.Label == "spam", Group: j.Corpus}
		for _, r := range j.Verdict.Reasons {
			if r.Score == 0 {
				continue
			}
			if !fitted(set, r) {
				l.Rest += r.Score
				continue
			}
			i, known := index[r.Symbol]
			if !known {
				i = len(m.terms)
				index[r.Symbol] = i
				m.terms = append(m.terms, term(r, aim))
			}
			l.Terms = append(l.Terms, i)
		}
		m.letters = append(m.letters, l)
	}
	return m
}

// fitted tells whether the score of a reason is looked for: not where the symbol acts by itself.
func fitted(set *rules.Set, r filter.Reason) bool {
	sym, ok := set.Symbol(r.Symbol)
	if _, policys := book.PolicyDecides(r.Symbol); !ok || policys || sym.Action != filter.Accept {
		return false
	}
	for _, step := range strings.Split(r.Step, ",") {
		if slices.Contains(circumstances, step) {
			return false
		}
	}
	return true
}

// term bounds a score: on the side of its sign, and so that it alone reaches no line.
func term(r filter.Reason, aim fit.Aim) fit.Term {
	t := fit.Term{Symbol: r.Symbol, Score: r.Score}
	if r.Score > 0 {
		t.Max = max(r.Score, (aim.Line-1)/aim.Step*aim.Step)
	} else {
		t.Min = min(r.Score, -aim.Line/2)
	}
	return t
}

// report fits with all but what is left out, and once without each source.
func (m *model) report(aim fit.Aim, without []string) *Report {
	old := make([]filter.Score, len(m.terms))
	for i, t := range m.terms {
		old[i] = t.Score
	}
	used := func(i int) bool { return !slices.Contains(without, m.letters[i].Group) }
	sample, others := m.part(used), m.part(func(i int) bool { return !used(i) })
	fitted := m.among(sample)
	scores := m.propose(sample, aim)
	rep := &Report{
		Line: aim.Line.Points(), Flips: map[string]int{}, Untouched: m.all - len(m.terms),
		Before: fit.Measure(fitted, old, aim.Line), After: fit.Measure(fitted, scores, aim.Line),
	}
	rep.Folds = m.folded(sample, aim)
	for _, g := range m.groups() {
		of := m.part(func(i int) bool { return m.letters[i].Group == g })
		from, own := sample, scores
		if !slices.Contains(without, g) {
			from = m.part(func(i int) bool { return m.letters[i].Group != g && used(i) })
			own = m.propose(from, aim)
		}
		its := m.after(from, of)
		left := LeftOut{Source: g, Before: fit.Measure(its, old, aim.Line), After: fit.Measure(its, own, aim.Line)}
		if m.learned != nil {
			untaught := fit.Measure(m.after(nil, of), own, aim.Line)
			left.Untaught = &untaught
		}
		rep.Without = append(rep.Without, left)
	}
	rep.Symbols = m.proposals(scores, fitted)
	m.flips(rep, sample, fitted, old, scores, aim)
	m.flips(rep, others, m.after(sample, others), old, scores, aim)
	return rep
}

// folded judges each letter of a sample by scores fitted to the others that are no kin of it.
func (m *model) folded(sample []int, aim fit.Aim) fit.Figures {
	var all []fit.Letter
	m.eachFold(sample, func(from, of []int) {
		scores := m.propose(from, aim)
		for _, l := range m.after(from, of) {
			all = append(all, fit.Letter{Spam: l.Spam, Rest: l.Score(scores)})
		}
	})
	return fit.Measure(all, nil, aim.Line)
}

// part are the places of some letters.
func (m *model) part(in func(i int) bool) (out []int) {
	for i := range m.letters {
		if in(i) {
			out = append(out, i)
		}
	}
	return out
}

// groups are the sources, sorted.
func (m *model) groups() []string {
	var out []string
	for _, l := range m.letters {
		out = append(out, l.Group)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (m *model) proposals(scores []filter.Score, letters []fit.Letter) []Proposal {
	var all [2]int
	hits := make([][2]int, len(m.terms))
	for _, l := range letters {
		class := 0
		if l.Spam {
			class = 1
		}
		all[class]++
		for _, t := range l.Terms {
			hits[t][class]++
		}
	}
	var out []Proposal
	for i, t := range m.terms {
		most := t.Max
		if t.Score < 0 {
			most = t.Min
		}
		out = append(out, Proposal{Symbol: t.Symbol, Old: t.Score.Points(), New: scores[i].Points(), Most: most.Points(),
			Ham: hits[i][0], Spam: hits[i][1], HamCI: fit.Wilson(hits[i][0], all[0]), SpamCI: fit.Wilson(hits[i][1], all[1])})
	}
	slices.SortFunc(out, func(a, b Proposal) int { return cmp.Compare(a.Symbol, b.Symbol) })
	return out
}

// Flip is a message that another side of the line would have.
type Flip struct {
	Path  string  `json:"path"`
	Label string  `json:"label"`
	Old   float64 `json:"old"`
	New   float64 `json:"new"`
}

// examples bounds how many messages of each kind of flip are named.
const examples = 5

// flips counts the letters, those at these places, that change sides.
func (m *model) flips(rep *Report, places []int, letters []fit.Letter, old, scores []filter.Score, aim fit.Aim) {
	for n := range letters {
		l, j := &letters[n], m.mail[places[n]]
		was, is := l.Score(old), l.Score(scores)
		if (was >= aim.Line) == (is >= aim.Line) {
			continue
		}
		kind := fmt.Sprintf("%s held", j.Label)
		if is < aim.Line {
			kind = fmt.Sprintf("%s let through", j.Label)
		}
		if rep.Flips[kind]++; rep.Flips[kind] <= examples {
			rep.Examples = append(rep.Examples, Flip{j.Label + "/" + j.Rel, j.Label, was.Points(), is.Points()})
		}
	}
}
