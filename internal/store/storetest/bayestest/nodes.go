package bayestest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"postern/filter/bayes"
	"postern/filter/bayes/token"
	"postern/filter/bayes/train"
	"postern/internal/entity"
	"postern/internal/mime"
)

// Nodes lets two nodes learn, forget and take back the same messages at once, over a journal and
// counts that they share, and holds the counts against the journal.
func Nodes(t *testing.T, records entity.Store, stores ...bayes.Store) {
	const sides, rounds, letters = 2, 25, 6
	var nodes []*train.Trainer
	for _, s := range stores {
		nodes = append(nodes, node(records, s))
	}
	var all sync.WaitGroup
	for side := range sides * len(nodes) {
		n := nodes[side%len(nodes)]
		all.Go(func() {
			dice := rand.New(rand.NewPCG(1, uint64(side)))
			for round := range rounds {
				act := train.Act{By: "ann", Via: train.ViaDesk, Run: fmt.Sprint(side, " ", round)}
				var items []train.Item
				for range 2 {
					items = append(items, train.Item{Tree: letter(dice.IntN(letters)), Class: bayes.Class(dice.IntN(3))})
				}
				if _, err := n.Learn(t.Context(), items, act); err != nil {
					t.Error(err)
				}
				if dice.IntN(4) == 0 {
					if _, err := n.Undo(t.Context(), train.Back{Since: time.Unix(1, 0)}, "bob"); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	fitting(t, records, stores...)
}

func node(records entity.Store, counts bayes.Store) *train.Trainer {
	return &train.Trainer{
		Records: records, Reader: bayes.Reader{Store: counts, Tokenizer: token.Tokenizer{Key: token.Key{9}}}, Now: time.Now,
		Limits: func() train.Limits { return train.Limits{Keep: 1000} },
	}
}

func letter(n int) *mime.Tree {
	return mime.Bytes(fmt.Appendf(nil, "Message-ID: <%d@x>\r\nSubject: s\r\n\r\nword%c and more of letter%c\r\n", n, 'a'+n, 'a'+n), mime.DefaultLimits())
}

// fitting holds what all stores count against what the journal says.
func fitting(t *testing.T, records entity.Store, stores ...bayes.Store) {
	t.Helper()
	fresh := &Memory{}
	if _, err := node(records, fresh).Repair(t.Context(), []string{""}); err != nil {
		t.Fatal(err)
	}
	should := fresh.All()
	for n := range 6 {
		for _, tok := range node(records, fresh).Reader.Tokens("", token.Tokenizer{Key: token.Key{9}}.Of(letter(n))) {
			if _, ok := should[tok]; !ok {
				should[tok] = bayes.Count{}
			}
		}
	}
	tokens := slices.Collect(maps.Keys(should))
	for i, s := range stores {
		got := ask(t, s, tokens...)
		for j, tok := range tokens {
			if got[j] != should[tok] {
				t.Errorf("node %d counts %v of %x, the journal says %v", i, got[j], tok, should[tok])
			}
		}
	}
}
