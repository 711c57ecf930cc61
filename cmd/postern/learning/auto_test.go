package learning_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"postern/filter"
	"postern/filter/bayes/train"
	"postern/internal/config/value"
	"postern/internal/mime"
)

// verdict is one with a score of the rules and one of the words.
func verdict(score, words filter.Score, band string) filter.Verdict {
	return filter.Verdict{Score: score + words, Reasons: []filter.Reason{{Symbol: "RULES", Score: score}, {Symbol: band, Score: words}}}
}

func outcome(v filter.Verdict, state filter.FateState, symbols ...string) filter.Outcome {
	o := filter.Outcome{Verdicts: []filter.Verdict{v}, Fates: []filter.Fate{{State: state}}}
	for _, s := range append(symbols, v.Reasons[1].Symbol) {
		o.Report.Findings = append(o.Report.Findings, filter.Finding{Symbol: s})
	}
	return o
}

// came is a message of a sender.
func came(n int, sender string) *filter.Message {
	body := fmt.Appendf(nil, "From: a@%s\r\nMessage-ID: <auto%d@x>\r\n\r\nsome words of letter %d\r\n", sender, n, n)
	tree := mime.Bytes(body, mime.DefaultLimits())
	return &filter.Message{
		ID: fmt.Sprint("m", n), Direction: filter.Inbound, Body: bytes.NewReader(body), Size: int64(len(body)), To: []filter.Recipient{{Address: "bob@example.com"}},
		Parts: func() (*mime.Tree, error) { return tree, nil },
	}
}

// TestAuto: what is learned where nobody says anything, and what is not.
func TestAuto(t *testing.T) {
	spam, ham := verdict(1500, 300, "BAYES_99"), verdict(-200, -100, "BAYES_00")
	failed := outcome(spam, filter.Held, "DMARC_FAIL")
	failed.Report.Failures = []filter.Failure{{Step: "lists"}}
	mixed := outcome(spam, filter.Held, "DMARC_FAIL")
	mixed.Verdicts = append(mixed.Verdicts, verdict(1100, 300, "BAYES_99"))
	for name, c := range map[string]struct {
		off  bool
		o    filter.Outcome
		want string
	}{
		"clear spam":                       {false, outcome(spam, filter.Held, "DMARC_FAIL"), "spam"},
		"switched off":                     {true, outcome(spam, filter.Held, "DMARC_FAIL"), ""},
		"spam that nobody answers for":     {false, outcome(spam, filter.Held, "DMARC_NONE"), ""},
		"spam by its words alone":          {false, outcome(verdict(1100, 300, "BAYES_99"), filter.Held, "DMARC_FAIL"), ""},
		"words speak for it":               {false, outcome(verdict(1500, -60, "BAYES_05"), filter.Held, "DMARC_FAIL"), ""},
		"somebody known":                   {false, outcome(spam, filter.Held, "DMARC_PASS", "KNOWN_CORRESPONDENT"), ""},
		"asked to come again":              {false, outcome(spam, filter.Deferred, "DMARC_FAIL"), ""},
		"a check could not tell":           {false, failed, ""},
		"another verdict for another":      {false, mixed, ""},
		"clear good mail":                  {false, outcome(ham, filter.Delivered, "DMARC_PASS", "SOURCE_KNOWN"), "ham"},
		"good mail of nobody known":        {false, outcome(ham, filter.Delivered, "DMARC_PASS"), ""},
		"good mail without proof":          {false, outcome(ham, filter.Delivered, "DMARC_NONE", "SOURCE_KNOWN"), ""},
		"good by its words alone":          {false, outcome(verdict(-50, -100, "BAYES_00"), filter.Delivered, "DMARC_PASS", "SOURCE_KNOWN"), ""},
		"good, and words speak against it": {false, outcome(verdict(-200, 100, "BAYES_80"), filter.Delivered, "DMARC_PASS", "SOURCE_KNOWN"), ""},
		"good and held":                    {false, outcome(ham, filter.Held, "DMARC_PASS", "SOURCE_KNOWN"), ""},
	} {
		w := open(t)
		teach(t, w, "spam", "", "pills", 20)
		teach(t, w, "ham", "", "meetings", 20)
		w.learns(t, func(l *value.Learning) { l.Auto.On = !c.off })
		if err := w.Observer().Done(t.Context(), came(1, "x.example"), c.o); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, k := range w.known(t, "m1") {
			got = k.Class
			if k.Via != train.ViaAuto {
				t.Errorf("%s: %+v", name, k)
			}
		}
		if got != c.want {
			t.Errorf("%s: learned as %q, want %q", name, got, c.want)
		}
	}
}

// TestAutoBounds: nobody but people begins, no class outgrows the other, no sender has more than
// his share, and all of it is taken back at once.
func TestAutoBounds(t *testing.T) {
	w := open(t)
	began := time.Now().Add(-time.Minute)
	w.learns(t, func(l *value.Learning) { l.Auto.On, l.Auto.Ratio, l.Sender = true, 2, 3 })
	n := 0
	learn := func(sender string, times, want int) {
		t.Helper()
		status := func() int {
			s, err := call[train.Status](t, w, "learn.status", struct{}{})
			if err != nil {
				t.Fatal(err)
			}
			return s.Scopes[0].Spam
		}
		before := status()
		for range times {
			n++
			from := sender
			if from == "" {
				from = fmt.Sprintf("s%d.example", n)
			}
			if err := w.Observer().Done(t.Context(), came(n, from), outcome(verdict(1500, 0, "BAYES_50"), filter.Held, "DMARC_FAIL")); err != nil {
				t.Fatal(err)
			}
		}
		if got := status() - before; got != want {
			t.Errorf("%d learned of %d of %q, want %d", got, times, sender, want)
		}
	}
	learn("", 5, 0)
	teach(t, w, "spam", "", "pills", 20)
	teach(t, w, "ham", "", "meetings", 20)
	whole := len(w.counts.All())
	learn("one.example", 10, 3)
	learn("", 30, 17) // 40 spam beside 20 good
	out, err := call[map[string]int](t, w, "learn.undo", train.Back{Since: began, Via: train.ViaAuto})
	if err != nil || out["messages"] != 20 {
		t.Errorf("%v, %v", out, err)
	}
	if got := len(w.counts.All()); got != whole {
		t.Errorf("%d counts, want %d", got, whole)
	}
}
