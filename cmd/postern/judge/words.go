package judge

import (
	"fmt"
	"io"
	"strings"

	"postern/cmd/postern/app"
	"postern/filter"
	"postern/rules"
)

// print says in plain words what came out and who said what.
func (r scanResult) print(w io.Writer) {
	fmt.Fprintf(w, "%s: %s under policy %s (%d bytes)\n", app.Clean(r.Path), r.Action, r.Policy, r.Size)
	fmt.Fprintf(w, "  %s\n", against(r.verdict.Score, r.policy))
	if why := because(r.verdict, r.policy, r.acts); why != "" {
		fmt.Fprintf(w, "  %s\n", why)
	}
	for _, x := range r.verdict.Reasons {
		fmt.Fprintf(w, "  %s\n", reason(x))
	}
	if len(r.Strip) > 0 {
		fmt.Fprintf(w, "  to be taken out: part %s\n", strings.Join(r.Strip, ", part "))
	}
	for _, u := range r.Unchecked {
		fmt.Fprintf(w, "  not checked: %s (%s)\n", u.Step, app.Clean(u.Reason))
	}
	if r.Public != "" {
		fmt.Fprintf(w, "  the sender is told: %s\n", app.Clean(r.Public))
	}
}

// reason is "+1.50 SYMBOL  sentence: what was seen [the checks that said so]".
func reason(x filter.Reason) string {
	words := x.Describe
	if words == "" {
		words = "no rule gives it a worth"
	}
	if x.Detail != "" {
		words += ": " + x.Detail
	}
	by := x.Step
	if by == "" {
		by = "rules"
	}
	return fmt.Sprintf("%+6.2f %-22s  %s [%s]", x.Score.Points(), x.Symbol, app.Clean(words), strings.ReplaceAll(by, ",", ", "))
}

// threshold is a score and what it leads to.
type threshold struct {
	at     filter.Score
	action filter.Action
}

func thresholds(p rules.Policy) []threshold {
	return []threshold{{p.Tag, filter.Tag}, {p.Quarantine, filter.Quarantine}, {p.Reject, filter.Reject}}
}

// done is what happened to a mail by an action.
func done(a filter.Action) string {
	switch a {
	case filter.Tag:
		return "tagged"
	case filter.Quarantine:
		return "held"
	case filter.Defer:
		return "asked to come again"
	case filter.Reject:
		return "refused"
	default:
		return "accepted"
	}
}

// against puts a score beside the threshold it reached, or the first one it did not.
func against(s filter.Score, p rules.Policy) string {
	out := fmt.Sprintf("%s points, would be tagged from %s", s, p.Tag)
	for _, t := range thresholds(p) {
		if s >= t.at {
			out = fmt.Sprintf("%s points, %s from %s", s, done(t.action), t.at)
		}
	}
	return out
}

// because says why the action is another than the score alone leads to; acts is what a
// symbol can lead to by itself.
func because(v filter.Verdict, p rules.Policy, acts func(symbol string) filter.Action) string {
	byScore := filter.Accept
	for _, t := range thresholds(p) {
		if v.Score >= t.at {
			byScore = t.action
		}
	}
	switch {
	case v.Greylisted:
		return fmt.Sprintf("asked to come again: a first contact with %s points or more", p.Greylist)
	case v.Action == byScore:
		return ""
	case v.Action < byScore && v.Action == p.Most:
		return fmt.Sprintf("only %s: this policy goes no further", done(p.Most))
	case v.Action < byScore:
		return "not refused by its score while something could not be checked"
	}
	if len(v.Reasons) > 0 && acts(v.Reasons[0].Symbol) >= v.Action {
		return fmt.Sprintf("%s because of %s, whatever the score", done(v.Action), v.Reasons[0].Symbol)
	}
	for _, f := range v.Failures {
		if f.OnError == v.Action {
			return fmt.Sprintf("%s because %s could not tell", done(v.Action), f.Step)
		}
	}
	return ""
}
