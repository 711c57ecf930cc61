package history

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/filter"
	"postern/internal/address"
)

// Done implements filter.Observer: it hands the store what this message adds to the past.
func (h *History) Done(ctx context.Context, m *filter.Message, o filter.Outcome) error {
	if m.Body == nil {
		return nil
	}
	f := read(m, o.Report.Findings)
	now := h.now()
	var marks []Mark
	if m.Direction == filter.Outbound {
		marks = written(m, o, f.author, now)
	} else {
		h.replays.add(now, counted(m, &f, o.Report.Findings), envelopes(m, o.Report.Findings))
		marks = received(m, o, &f, now)
	}
	marks, unsure := h.unrepeated(ctx, marks, &f, m.Client, now)
	if len(marks) == 0 {
		return unsure
	}
	if err := h.store.Mark(ctx, marks); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return unsure
}

// unrepeated leaves out the good mark of a source whose proof is a signature that made one
// before: whoever got a signed mail can send it again, as often as he likes. Mail that SPF
// proves comes from the author's own hosts each time.
func (h *History) unrepeated(ctx context.Context, marks []Mark, f *facts, c filter.Client, now time.Time) ([]Mark, error) {
	source, ok := f.sourceKey(c)
	at := slices.IndexFunc(marks, func(m Mark) bool { return ok && m.Key == source && !m.Bad })
	if at < 0 || aligned(f.domain, f.mailFrom) || aligned(f.domain, f.helo) {
		return marks, nil
	}
	questions := []Question{{Key: source, Since: now.Add(-Keep)}}
	for _, s := range f.signatures {
		if s.value != "" && aligned(f.domain, s.domain) {
			k := keyOf("signature", f.source(c), f.domain, s.domain, s.value)
			questions = append(questions, Question{Key: k, Since: now.Add(-Keep)})
		}
	}
	if len(questions) == 1 {
		return marks, nil
	}
	past, err := h.store.Past(ctx, questions, now)
	switch {
	case err != nil:
		return slices.Delete(marks, at, at+1), fmt.Errorf("history: %w", err)
	case past[0].proven(): // nothing is left to gain, and large senders are not remembered mail by mail
		return marks, nil
	case slices.ContainsFunc(past[1:], func(p Past) bool { return p.Good > 0 }):
		return slices.Delete(marks, at, at+1), nil
	}
	for _, q := range questions[1:] {
		marks = append(marks, Mark{Key: q.Key, At: now, Keep: Keep})
	}
	return marks, nil
}

// fate is what a message says for or against where it came from.
type fate uint8

const (
	untold  fate = iota
	good         // somebody got it, judged fit
	held         // it was fit for nobody
	refused      // and nobody will get it
)

// fateOf judges an outcome by content alone: mail that was put off, that a backend refused or
// that is held because a check could not be done says nothing.
func fateOf(o filter.Outcome) fate {
	end, fit := untold, false
	for i, v := range o.Verdicts {
		switch v.Action {
		case filter.Accept, filter.Tag:
			fit = true
			if i < len(o.Fates) && o.Fates[i].State == filter.Delivered {
				return good
			}
		case filter.Reject:
			end = refused
		case filter.Quarantine:
			if !slices.ContainsFunc(v.Failures, func(f filter.Failure) bool { return f.OnError >= filter.Quarantine }) {
				end = max(end, held)
			}
		case filter.Defer:
		}
	}
	if fit {
		return untold
	}
	return end
}

// received are the marks of mail from outside. A source is good by an aligned pass only, and
// not by one whose signature it replays; mail of failing authors that evidence kept from being
// refused is no evidence itself, either way. A list is judged by mail whose author does not
// fail DMARC: how it treats other signatures is not its reputation.
func received(m *filter.Message, o filter.Outcome, f *facts, now time.Time) []Mark {
	end := fateOf(o)
	if end == untold {
		return nil
	}
	mark := func(k Key) Mark { return Mark{Key: k, Bad: end != good, At: now, Keep: Keep} }
	var marks []Mark
	replayed := slices.ContainsFunc(o.Report.Findings, func(o filter.Finding) bool { return o.Symbol == SignatureReplayed })
	if k, ok := f.sourceKey(m.Client); ok && f.judgesSource(end, replayed) {
		marks = append(marks, mark(k))
	}
	if l, ok := f.provedList(m); ok && (f.dmarc == "pass" || f.dmarc == "none") {
		marks = append(marks, mark(l.key()))
	}
	return marks
}

// judgesSource reports whether such an end says anything about the source.
func (f *facts) judgesSource(end fate, replayed bool) bool {
	switch end {
	case good:
		return f.dmarc == "pass" && !replayed
	case held:
		return f.dmarc != "fail"
	}
	return end == refused
}

// written are the marks of a letter one of ours wrote. What a machine answers by itself is
// none: a stranger could ask for it.
func written(m *filter.Message, o filter.Outcome, author string, now time.Time) []Mark {
	if len(m.To) > MaxCorrespondents || m.From == "" || automatic(m) {
		return nil
	}
	var ours []string
	for _, a := range []string{author, m.From, m.Account} {
		if _, err := address.Parse(a, true); err != nil || !strings.Contains(a, "@") {
			continue
		}
		if a = withoutTag(a); !slices.Contains(ours, a) {
			ours = append(ours, a)
		}
	}
	var marks []Mark
	for _, end := range o.Fates {
		if end.State != filter.Delivered && end.State != filter.InOutbox {
			continue
		}
		for _, our := range ours {
			marks = append(marks, Mark{Key: pairKey(our, address.Normalize(end.Recipient)), At: now, Keep: KeepCorrespondent})
		}
	}
	return marks
}

// automatic reports whether a machine wrote the message (RFC 3834 section 5) or sent it to
// many.
func automatic(m *filter.Message) bool {
	if m.Parts == nil {
		return false
	}
	tree, err := m.Parts()
	if err != nil || tree == nil {
		return false
	}
	for _, v := range tree.Root.Header.All("Auto-Submitted") {
		word, _, _ := strings.Cut(v, ";")
		if word, _, _ = strings.Cut(word, "("); !strings.EqualFold(strings.TrimSpace(word), "no") {
			return true
		}
	}
	switch strings.ToLower(strings.TrimSpace(tree.Root.Header.Get("Precedence"))) {
	case "bulk", "junk", "list", "auto_reply":
		return true
	}
	return false
}
