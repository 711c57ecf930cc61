package train

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"time"

	"postern/filter/bayes"
	"postern/internal/entity"
)

// FiguresKind is that of the records of what was judged before it was learned.
const FiguresKind entity.Kind = "learn-figures"

// maxTrials is how many of the latest trials of a scope are kept.
const maxTrials = 2000

// Trial is a message that was judged by what was known before it was learned.
type Trial struct {
	At   time.Time   `json:"at"`
	Is   bayes.Class `json:"is"`   // what a person said
	Band string      `json:"band"` // "": too little was known to say anything
	P    float64     `json:"p"`
}

type trials struct {
	Trials []Trial `json:"trials"`
}

// held reports whether a message is one of those that are judged first. By its identity, which
// nobody outside can choose.
func (t *Trainer) held(id string) bool {
	b, err := hex.DecodeString(id)
	n := t.Limits().Aside
	return err == nil && len(b) >= 8 && n > 0 && binary.BigEndian.Uint64(b)%uint64(n) == 0
}

// try judges a message that is not learned yet. The last of its tokens is the count of all.
func (t *Trainer) try(ctx context.Context, e Entry) (Trial, error) {
	trial := Trial{At: e.At, Is: e.Class, P: 0.5}
	tokens := e.tokens()
	counts, err := t.Reader.Store.Counts(ctx, tokens)
	if err != nil {
		return trial, err
	}
	all := counts[len(counts)-1]
	j := bayes.Combine(tokens, counts[:len(counts)-1], all)
	trial.Band, trial.P = bayes.Band(j, all), math.Round(j.P*1e4)/1e4
	return trial, nil
}

func figuresID(scope string) string {
	if scope == "" {
		return "all"
	}
	return "domain:" + scope
}

func (t *Trainer) trials(ctx context.Context, scope string) (out trials, version uint64, err error) {
	r, err := t.Records.Get(ctx, FiguresKind, figuresID(scope))
	if errors.Is(err, entity.ErrNotFound) {
		return out, 0, nil
	}
	if err == nil {
		err = json.Unmarshal(r.Data, &out)
	}
	return out, r.Version, err
}

// note keeps trials beside those before them.
func (t *Trainer) note(ctx context.Context, scope string, more []Trial) error {
	for len(more) > 0 {
		have, version, err := t.trials(ctx, scope)
		if err != nil {
			return err
		}
		have.Trials = append(have.Trials, more...)
		have.Trials = have.Trials[max(0, len(have.Trials)-maxTrials):]
		data, err := json.Marshal(have)
		if err != nil {
			return err
		}
		err = t.Records.Put(ctx, entity.Record{Kind: FiguresKind, ID: figuresID(scope), Version: version + 1, Data: data})
		if !errors.Is(err, entity.ErrConflict) && !errors.Is(err, entity.ErrExists) {
			return err
		}
	}
	return nil
}

// Share is a share with the interval in which it lies by 95 % (Wilson).
type Share struct {
	N    int     `json:"n"`
	Of   int     `json:"of"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

func share(n, of int) Share {
	s := Share{N: n, Of: of}
	if of == 0 {
		s.High = 1
		return s
	}
	const z = 1.959964
	p, m := float64(n)/float64(of), float64(of)
	mid, half := p+z*z/(2*m), z*math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	s.Low, s.High = max(0, (mid-half)/(1+z*z/m)), min(1, (mid+half)/(1+z*z/m))
	return s
}

// Scope is what was learned for all, or for one domain.
type Scope struct {
	Domain string    `json:"domain,omitempty"`
	Spam   int       `json:"spam"`
	Ham    int       `json:"ham"`
	Last   time.Time `json:"last,omitzero"` // when something changed last
	First  time.Time `json:"first,omitzero"`
	Says   string    `json:"says"` // nothing, little or all: which symbols are given

	// Of the messages that were judged before they were learned:
	Aside  int   `json:"aside"`
	Caught Share `json:"caught"` // spam in the upper bands
	Wrong  Share `json:"wrong"`  // ham in the upper bands
}

// Status is what was learned.
type Status struct {
	Scopes []Scope `json:"scopes"`
	Tokens int64   `json:"tokens"`
	Bytes  int64   `json:"bytes"`
	Idle   int     `json:"idle,omitempty"` // messages of the journal that do not count here: of a domain without a scope, or hashed under another key
}

// Status counts what was learned.
func (t *Trainer) Status(ctx context.Context, scopes []string) (s Status, err error) {
	if s.Tokens, s.Bytes, err = t.Reader.Store.Size(ctx); err != nil {
		return s, err
	}
	for _, domain := range scopes {
		one, err := t.scope(ctx, domain)
		if err != nil {
			return s, err
		}
		s.Scopes = append(s.Scopes, one)
		s.Idle -= one.Spam + one.Ham
	}
	kept, err := t.Records.Count(ctx, entity.Query{Kind: Kind, Index: byKept}, all)
	s.Idle = max(0, s.Idle+kept)
	return s, err
}

func (t *Trainer) scope(ctx context.Context, domain string) (Scope, error) {
	s := Scope{Domain: domain, Says: "nothing"}
	counted, err := t.Reader.Learned(ctx, domain)
	if err != nil {
		return s, err
	}
	s.Spam, s.Ham = counted.Spam, counted.Ham
	switch n := min(s.Spam, s.Ham); {
	case n >= bayes.Sure:
		s.Says = "all"
	case n >= bayes.Least:
		s.Says = "little"
	}
	for _, class := range []bayes.Class{bayes.Spam, bayes.Ham} {
		for _, rising := range []bool{true, false} {
			q := t.query(domain, class)
			q.Rising, q.Limit = rising, 1
			page, err := t.Records.Find(ctx, q)
			if err != nil {
				return s, err
			}
			if len(page.Records) == 0 {
				continue
			}
			e, err := entryOf(page.Records[0])
			if err != nil {
				return s, err
			}
			if rising && (s.First.IsZero() || e.At.Before(s.First)) {
				s.First = e.At
			}
			if !rising && e.At.After(s.Last) {
				s.Last = e.At
			}
		}
	}
	have, _, err := t.trials(ctx, domain)
	s.figures(have.Trials)
	return s, err
}

// figures counts what was said of messages before they were learned, where anything was.
func (s *Scope) figures(all []Trial) {
	var spam, ham, caught, wrong int
	for _, t := range all {
		if t.Band == "" {
			continue
		}
		high := t.Band == bayes.Bayes99 || t.Band == bayes.Bayes95
		if t.Is == bayes.Spam {
			spam++
		} else {
			ham++
		}
		if high && t.Is == bayes.Spam {
			caught++
		} else if high {
			wrong++
		}
	}
	s.Aside, s.Caught, s.Wrong = spam+ham, share(caught, spam), share(wrong, ham)
}
