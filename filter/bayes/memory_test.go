package bayes_test

import (
	"testing"

	"pgregory.net/rapid"

	"postern/filter/bayes"
)

// TestMemory judges by what it was taught, and by nothing before.
func TestMemory(t *testing.T) {
	var m bayes.Memory
	if j, all := m.Judge([]uint64{2, 4}); j.P != 0.5 || all != (bayes.Count{}) {
		t.Errorf("an empty memory says %+v of %+v", j, all)
	}
	for range 30 {
		m.Learn(bayes.Spam, []uint64{2, 4, 6})
		m.Learn(bayes.Ham, []uint64{8, 10, 6})
	}
	spam, all := m.Judge([]uint64{2, 4, 6})
	ham, _ := m.Judge([]uint64{8, 10, 6})
	if all != (bayes.Count{Spam: 30, Ham: 30}) || spam.Lean <= 0 || ham.Lean >= 0 || spam.Used != 2 {
		t.Errorf("%+v, %+v of %+v", spam, ham, all)
	}
}

// TestMemoryIsAStore says the same as a reader of a store that was taught the same.
func TestMemoryIsAStore(t *testing.T) {
	letters := []string{pills, agenda, "Subject: pills and budgets\r\n\r\nbuy pills about budgets next week without hiring doctors\r\n"}
	rapid.Check(t, func(rt *rapid.T) {
		r, s := reader()
		var m bayes.Memory
		for range rapid.IntRange(0, 60).Draw(rt, "letters") {
			class := rapid.SampledFrom([]bayes.Class{bayes.Spam, bayes.Ham}).Draw(rt, "class")
			tokens := r.Tokenizer.Of(parse(rapid.SampledFrom(letters).Draw(rt, "letter")))
			m.Learn(class, tokens)
			if err := s.Apply(t.Context(), []bayes.Change{{Class: class, Tokens: r.Tokens("", tokens)}}); err != nil {
				rt.Fatal(err)
			}
		}
		for _, l := range letters {
			tokens := r.Tokenizer.Of(parse(l))
			want, of, err := r.Judge(t.Context(), "", tokens)
			if err != nil {
				rt.Fatal(err)
			}
			if got, all := m.Judge(tokens); got != want || all != of {
				rt.Errorf("the memory says %+v of %+v, the reader %+v of %+v", got, all, want, of)
			}
		}
	})
}
