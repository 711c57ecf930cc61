package golden_test

import (
	"context"
	"fmt"
	"testing"

	"postern/filter"
	"postern/filter/bayes"
	"postern/filter/bayes/token"
	"postern/internal/mime"
	"postern/internal/store/storetest/bayestest"
)

// What was learned in the golden world, as often as the circumstances say.
const (
	learnedSpam = "From: Shop <sales@pills.example>\r\nSubject: cheap pills\r\n\r\n" +
		"buy cheap watches and pills without prescription from our discreet pharmacy today only limited offer guaranteed results money back shipped worldwide overnight\r\n"
	learnedHam = "From: Ann <ann@work.example>\r\nSubject: agenda\r\n\r\n" +
		"please find attached the agenda for our meeting about budgets hiring plans next quarter which Bob will chair while Carol takes minutes in room seven\r\n"
)

// learned is the check over what was learned.
func (w *world) learned(ctx context.Context) filter.Check {
	r := bayes.Reader{Store: &bayestest.Memory{}, Tokenizer: token.Tokenizer{Key: token.Key{1}}}
	for n := range w.c.Learned {
		var changes []bayes.Change
		for class, text := range map[bayes.Class]string{bayes.Spam: learnedSpam, bayes.Ham: learnedHam} {
			tree := mime.Bytes([]byte(text), mime.DefaultLimits())
			changes = append(changes, bayes.Change{ID: fmt.Sprintf("%031x%d", n, class), Class: class, Tokens: r.Tokens("", r.Tokenizer.Of(tree))})
		}
		if err := r.Store.Apply(ctx, changes); err != nil {
			w.t.Fatal(err)
		}
	}
	return &bayes.Check{Reader: r}
}

// TestWordsAloneHoldNothing: whatever was learned, no policy holds, delays or even tags a message
// for its words alone.
func TestWordsAloneHoldNothing(t *testing.T) {
	set := load(t)
	for _, policy := range []string{"default", "outgoing"} {
		for _, symbol := range []string{bayes.Bayes00, bayes.Bayes05, bayes.Bayes20, bayes.Bayes50, bayes.Bayes80, bayes.Bayes95, bayes.Bayes99} {
			v := set.Judge(&filter.Message{}, filter.Report{Findings: []filter.Finding{{Symbol: symbol}}}, policy)
			if v.Action != filter.Accept || v.Greylisted || len(v.Reasons) != 1 || v.Reasons[0].Describe == "" {
				t.Errorf("%s under %s: %+v", symbol, policy, v)
			}
		}
	}
}
