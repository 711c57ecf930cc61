package learning

import (
	"context"
	"slices"
	"strings"

	"postern/filter"
	"postern/filter/bayes"
	"postern/filter/bayes/train"
)

// Observer learns of mail with a clear verdict, where the configuration wants that.
func (l *Learning) Observer() filter.Observer { return auto{l} }

type auto struct{ *Learning }

// Done implements filter.Observer.
func (a auto) Done(ctx context.Context, m *filter.Message, o filter.Outcome) error {
	c := a.parts.Config.Load().Learning
	if !c.Auto.On || m.Direction != filter.Inbound || m.Body == nil || m.Size > MaxMessage || len(o.Verdicts) == 0 {
		return nil
	}
	class := clearly(o, filter.Score(c.Auto.Ham*100), filter.Score(c.Auto.Spam*100))
	if class == bayes.None {
		return nil
	}
	var to []string
	for _, r := range m.To {
		to = append(to, r.Address)
	}
	act := train.Act{By: "postern", Via: train.ViaAuto, Scope: a.scopeOf(to)}
	room, err := a.trainer.Room(ctx, act.Scope, class, c.Auto.Ratio)
	if err != nil || !room {
		return err
	}
	tree, err := m.Parts()
	if err != nil {
		return nil //nolint:nilerr // what cannot be read is not learned
	}
	a.said(ctx, train.Item{Tree: tree, Class: class, Ref: m.ID}, act)
	return nil
}

// clearly is the class of mail that has the same clear verdict for all its recipients: by its score
// without what words say, by proof of who sent it, and with words that do not speak against it.
func clearly(o filter.Outcome, ham, spam filter.Score) bayes.Class {
	said := map[string]bool{}
	for _, f := range o.Report.Findings {
		said[f.Symbol] = true
	}
	if len(o.Report.Failures) > 0 {
		return bayes.None
	}
	class := bayes.None
	for i, v := range o.Verdicts {
		one := bayes.None
		switch score := wordless(v); {
		case score <= ham && good(said):
			one = bayes.Ham
		case score >= spam && bad(said):
			one = bayes.Spam
		}
		if one == bayes.None || i > 0 && one != class {
			return bayes.None
		}
		class = one
	}
	for _, f := range o.Fates {
		if f.State == filter.Deferred || class == bayes.Ham && f.State != filter.Delivered {
			return bayes.None
		}
	}
	return class
}

// wordless is a score without what was learned: what teaches itself believes itself ever more.
func wordless(v filter.Verdict) (score filter.Score) {
	for _, r := range v.Reasons {
		if !strings.HasPrefix(r.Symbol, "BAYES_") {
			score += r.Score
		}
	}
	return score
}

// good reports whether the sender is proved and was known before, and the words do not speak
// against it.
func good(said map[string]bool) bool {
	known := said["KNOWN_CORRESPONDENT"] || said["LIST_KNOWN"] || said["SOURCE_KNOWN"]
	return said["DMARC_PASS"] && known && !oneOf(said, bayes.Bayes80, bayes.Bayes95, bayes.Bayes99)
}

// bad reports whether authentication said who sent it, or that the sender is forged, and the words
// do not speak for it. What the sender's domain says nothing of might be anybody's, and teach
// that good words are bad.
func bad(said map[string]bool) bool {
	proof := oneOf(said, "DMARC_PASS", "DMARC_FAIL", "DMARC_REJECT", "DMARC_QUARANTINE")
	return proof && !oneOf(said, "KNOWN_CORRESPONDENT", "LIST_KNOWN", "OWN_ALLOW", "ARC_TRUSTED", bayes.Bayes20, bayes.Bayes05, bayes.Bayes00)
}

func oneOf(said map[string]bool, symbols ...string) bool {
	return slices.ContainsFunc(symbols, func(s string) bool { return said[s] })
}
