package train

import (
	"context"
	"math"
	"slices"
	"time"

	"encoding/binary"
	"encoding/hex"

	"postern/filter/bayes"
	"postern/internal/entity"
)

// Bounds of a test.
const (
	MaxTested = 500 // messages of each class and scope that were kept aside last
	MaxMisses = 20  // that a test names, of each class and scope
)

// aside reports whether a message is one of those that are kept aside. By its identity, which
// nobody outside can choose.
func (t *Trainer) aside(id string) bool {
	b, err := hex.DecodeString(id)
	n := t.Limits().Aside
	return err == nil && len(b) >= 8 && n > 0 && binary.BigEndian.Uint64(b)%uint64(n) == 0
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

	// Of the messages that were kept aside, as they are judged now:
	Aside  int    `json:"aside"`
	Caught Share  `json:"caught"` // spam in the two upper bands
	Missed Share  `json:"missed"` // spam that is judged to be rather good
	Wrong  Share  `json:"wrong"`  // good mail in the two upper bands
	Misses []Miss `json:"misses,omitempty"`
}

// Miss is a message that was kept aside and is judged to be what it is not.
type Miss struct {
	ID     string    `json:"id"`
	Class  string    `json:"class"` // what it was called
	Band   string    `json:"band"`
	P      float64   `json:"p"`
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Via    string    `json:"via"`
	Ref    string    `json:"ref,omitempty"`
	Sender string    `json:"sender,omitempty"`
}

// Status is what was learned.
type Status struct {
	Scopes []Scope `json:"scopes"`
	Tokens int64   `json:"tokens"`
	Bytes  int64   `json:"bytes"`
	Idle   int     `json:"idle,omitempty"` // messages of the journal that do not count here: of a domain without a scope, or hashed under another key
}

// Status counts what was learned, and tests it with what was kept aside.
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
		if err := t.span(ctx, &s, class); err != nil {
			return s, err
		}
		if err := t.test(ctx, &s, class); err != nil {
			return s, err
		}
	}
	return s, nil
}

// span finds when something of a class was learned first and last.
func (t *Trainer) span(ctx context.Context, s *Scope, class bayes.Class) error {
	for _, rising := range []bool{true, false} {
		q := t.query(byClass, s.Domain, class)
		q.Rising, q.Limit = rising, 1
		page, err := t.Records.Find(ctx, q)
		if err != nil {
			return err
		}
		if len(page.Records) == 0 {
			continue
		}
		e, err := entryOf(page.Records[0])
		if err != nil {
			return err
		}
		if rising && (s.First.IsZero() || e.At.Before(s.First)) {
			s.First = e.At
		}
		if !rising && e.At.After(s.Last) {
			s.Last = e.At
		}
	}
	return nil
}

// test judges what was kept aside of a class, where enough is learned to say anything.
func (t *Trainer) test(ctx context.Context, s *Scope, class bayes.Class) error {
	q := t.query(byAside, s.Domain, class)
	q.Limit = Batch
	n, high, low := 0, 0, 0
	for n < MaxTested {
		page, err := t.Records.Find(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range page.Records[:min(len(page.Records), MaxTested-n)] {
			e, err := entryOf(r)
			if err != nil {
				return err
			}
			j, all, err := t.judge(ctx, e)
			if err != nil {
				return err
			}
			band := bayes.Band(j, all)
			if band == "" {
				return nil
			}
			n++
			up, down := band == bayes.Bayes99 || band == bayes.Bayes95, slices.Contains([]string{bayes.Bayes00, bayes.Bayes05, bayes.Bayes20}, band)
			if up {
				high++
			}
			if down {
				low++
			}
			if (class == bayes.Spam && down || class == bayes.Ham && up) && len(s.Misses) < MaxMisses*int(class) {
				s.Misses = append(s.Misses, Miss{e.ID, class.String(), band, math.Round(j.P*1e4) / 1e4, e.At, e.By, e.Via, e.Ref, e.Sender})
			}
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	s.Aside += n
	if class == bayes.Spam {
		s.Caught, s.Missed = share(high, n), share(low, n)
	} else {
		s.Wrong = share(high, n)
	}
	return nil
}

// judge judges a message of the journal. The last of its tokens is the count of all.
func (t *Trainer) judge(ctx context.Context, e Entry) (bayes.Judgement, bayes.Count, error) {
	tokens := e.tokens()
	counts, err := t.Reader.Store.Counts(ctx, tokens)
	if err != nil || len(tokens) == 0 {
		return bayes.Judgement{P: 0.5}, bayes.Count{}, err
	}
	all := counts[len(counts)-1]
	return bayes.Combine(tokens[:len(tokens)-1], counts[:len(counts)-1], all), all, nil
}
