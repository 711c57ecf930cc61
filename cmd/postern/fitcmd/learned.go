package fitcmd

import (
	"slices"
	"sync"

	"postern/cmd/postern/judge"
	"postern/filter"
	"postern/filter/bayes"
	"postern/filter/bayes/token"
	"postern/internal/mime"
	"postern/rules"
	"postern/rules/fit"
	"postern/rules/fit/kin"
)

// reading is what is kept of labelled mail beside its verdict.
type reading struct {
	mu  sync.Mutex
	all map[*judge.Judged]read
}

type read struct {
	keys   []string
	tokens []uint64
}

// at reads one message.
func (r *reading) at(j *judge.Judged, tree *mime.Tree) {
	one := read{kin.Keys(tree), token.Tokenizer{Key: token.Key{1}}.Of(tree)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[*judge.Judged]read{}
	}
	r.all[j] = one
}

// tie tells letters, in the order of their mail, their kin.
func (r *reading) tie(mail []*judge.Judged, letters []fit.Letter) {
	var keys [][]string
	for _, j := range mail {
		keys = append(keys, r.all[j].keys)
	}
	for i, n := range kin.Groups(keys) {
		letters[i].Kin = n
	}
}

// learned is what it takes to say what learning would have said.
type learned struct {
	tokens [][]uint64
	terms  map[string]int // that of each band
}

// folds is into how many parts a sample is cut, kin staying together.
const folds = 5

// learn adds what learning says, as terms to be fitted.
func (m *model) learn(r *reading, set *rules.Set, aim fit.Aim) {
	m.learned = &learned{terms: map[string]int{}}
	for _, j := range m.mail {
		m.learned.tokens = append(m.learned.tokens, r.all[j].tokens)
	}
	for _, band := range []string{bayes.Bayes00, bayes.Bayes05, bayes.Bayes20, bayes.Bayes80, bayes.Bayes95, bayes.Bayes99} {
		if sym, ok := set.Symbol(band); ok && sym.Score != 0 {
			m.learned.terms[band] = len(m.terms)
			m.terms = append(m.terms, term(filter.Reason{Symbol: band, Score: sym.Score}, aim))
		}
	}
}

// propose fits scores to a sample. With learning each letter counts twice, as it is judged at the
// beginning too, when nothing is learned yet: the scores have to serve both.
func (m *model) propose(sample []int, aim fit.Aim) []filter.Score {
	letters := m.among(sample)
	if m.learned != nil {
		letters = append(letters, m.after(nil, sample)...)
	}
	return fit.Propose(m.terms, letters, aim)
}

// eachFold shows the parts of a sample, each with all the others.
func (m *model) eachFold(sample []int, f func(from, of []int)) {
	for fold := range folds {
		var from, of []int
		for _, i := range sample {
			if m.letters[i].Kin%folds == fold {
				of = append(of, i)
			} else {
				from = append(from, i)
			}
		}
		f(from, of)
	}
}

// among are the letters of a sample, each with what would be said of it where the others that
// are no kin had been learned.
func (m *model) among(sample []int) []fit.Letter {
	if m.learned == nil {
		return m.after(nil, sample)
	}
	said := map[int]fit.Letter{}
	m.eachFold(sample, func(from, of []int) {
		for n, l := range m.after(from, of) {
			said[of[n]] = l
		}
	})
	var out []fit.Letter
	for _, i := range sample {
		out = append(out, said[i])
	}
	return out
}

// after are letters with what would be said of them once others had been learned.
func (m *model) after(others, letters []int) []fit.Letter {
	var out []fit.Letter
	for _, i := range letters {
		out = append(out, m.letters[i])
	}
	if m.learned == nil {
		return out
	}
	var known bayes.Memory
	for _, i := range others {
		known.Learn(class(m.letters[i].Spam), m.learned.tokens[i])
	}
	for n, i := range letters {
		if t, ok := m.learned.terms[bayes.Band(known.Judge(m.learned.tokens[i]))]; ok {
			out[n].Terms = append(slices.Clone(out[n].Terms), t)
		}
	}
	return out
}

func class(spam bool) bayes.Class {
	if spam {
		return bayes.Spam
	}
	return bayes.Ham
}
