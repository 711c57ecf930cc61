// Package opinion keeps what people, lists and scanners said of campaigns: good, bad, or
// reported. It is read from memory at every message and kept durably, for all nodes.
package opinion

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"postern/filter/campaign/simhash"
	"postern/internal/entity"
)

// Kind is that of the records.
const Kind entity.Kind = "campaign"

// The words that can be said of a campaign.
const (
	Good     = "good"     // somebody of the desk said so: never suspicious again
	Bad      = "bad"      // somebody of the desk said so
	Reported = "reported" // a scanner, a list or a complaint did, and nobody of the desk yet
)

// Bounds.
const (
	Max        = 5000                 // opinions; for a new one the oldest is forgotten
	Keep       = 180 * 24 * time.Hour // since it was said
	MaxAuthors = 32
	maxWhy     = 300
	every      = 5 * time.Second // how often other nodes' are read
	pruneEach  = 720             // of those rounds
	byTime     = "time"
)

// ErrWord says that there is no such word.
var ErrWord = errors.New("a campaign is good, bad or reported")

// Opinion is what was said of the letters near a print.
type Opinion struct {
	Print   simhash.Print `json:"print"`
	Word    string        `json:"word"`
	At      time.Time     `json:"at"`
	By      string        `json:"by"`
	Why     string        `json:"why"`
	Authors []string      `json:"authors,omitempty"` // proved domains of the authors of its copies then
}

// Book is all opinions. Its methods are safe for concurrent use.
type Book struct {
	Records entity.Store
	Now     func() time.Time

	known atomic.Pointer[[]Opinion]
}

// Nearest is the opinion on the print nearest to p, if one is near. Of two as near as each other
// what the desk said counts, and of that the latest.
func (b *Book) Nearest(p simhash.Print) (out Opinion, ok bool) {
	all := b.known.Load()
	if all == nil {
		return out, false
	}
	best := simhash.Near + 1
	for _, o := range *all {
		d := simhash.Apart(p, o.Print)
		if d < best || ok && d == best && before(out, o) {
			out, best, ok = o, d, true
		}
	}
	return out, ok
}

// before reports whether b outweighs a.
func before(a, b Opinion) bool {
	if (a.Word == Reported) != (b.Word == Reported) {
		return a.Word == Reported
	}
	return b.At.After(a.At)
}

// Say notes an opinion and returns the one before it on the very print, if there was one. What
// the desk said is not changed by a report: ErrUnchanged.
func (b *Book) Say(ctx context.Context, o Opinion) (was *Opinion, err error) {
	if o.Word != Good && o.Word != Bad && o.Word != Reported {
		return nil, ErrWord
	}
	o.At, o.Why = b.Now().UTC(), clip(o.Why)
	o.Authors = o.Authors[:min(len(o.Authors), MaxAuthors)]
	for {
		r := entity.Record{Kind: Kind, ID: o.Print.String(), Version: 1, Keys: []entity.Key{{Index: byTime, At: o.At.UnixMilli()}}}
		was = nil
		switch old, err := b.Records.Get(ctx, Kind, r.ID); {
		case err == nil:
			was = &Opinion{}
			if err := json.Unmarshal(old.Data, was); err != nil {
				return nil, err
			}
			if o.Word == Reported {
				return was, entity.ErrUnchanged
			}
			r.Version = old.Version + 1
		case !errors.Is(err, entity.ErrNotFound):
			return nil, err
		}
		if r.Data, err = json.Marshal(o); err != nil {
			return was, err
		}
		err = b.Records.Put(ctx, r)
		if errors.Is(err, entity.ErrConflict) || errors.Is(err, entity.ErrExists) { // somebody else spoke just now
			continue
		}
		if err != nil {
			return was, err
		}
		return was, b.Load(ctx)
	}
}

// Forget takes back what was said of a print, and returns it. ErrNotFound: nothing was.
func (b *Book) Forget(ctx context.Context, p simhash.Print) (was Opinion, err error) {
	r, err := b.Records.Get(ctx, Kind, p.String())
	if err != nil {
		return was, err
	}
	if err := json.Unmarshal(r.Data, &was); err != nil {
		return was, err
	}
	if err := b.Records.Remove(ctx, Kind, r.ID, r.Version); err != nil {
		return was, err
	}
	return was, b.Load(ctx)
}

// All are the opinions known here, the latest first.
func (b *Book) All() []Opinion {
	if all := b.known.Load(); all != nil {
		return slices.Clone(*all)
	}
	return nil
}

// Load reads what all nodes were told.
func (b *Book) Load(ctx context.Context) error {
	var out []Opinion
	q := entity.Query{Kind: Kind, Index: byTime, Limit: entity.MaxPage}
	for len(out) < Max {
		page, err := b.Records.Find(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			var o Opinion
			if json.Unmarshal(r.Data, &o) == nil && o.Print != 0 {
				out = append(out, o)
			}
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	out = out[:min(len(out), Max)]
	b.known.Store(&out)
	return nil
}

// Prune removes what is old and what is too much.
func (b *Book) Prune(ctx context.Context) (n int, err error) {
	old := b.Now().Add(-Keep).UnixMilli()
	all, err := b.Records.Count(ctx, entity.Query{Kind: Kind, Index: byTime}, 2*Max)
	if err != nil {
		return 0, err
	}
	page, err := b.Records.Find(ctx, entity.Query{Kind: Kind, Index: byTime, Rising: true, Limit: entity.MaxPage})
	if err != nil {
		return 0, err
	}
	for _, r := range page.Records {
		if all-n <= Max && (len(r.Keys) == 0 || r.Keys[0].At >= old) {
			break
		}
		if err := b.Records.Remove(ctx, Kind, r.ID, r.Version); err != nil && !errors.Is(err, entity.ErrConflict) {
			return n, err
		}
		n++
	}
	return n, nil
}

// Run keeps up with other nodes until ctx ends. say is told when that fails, and when it works
// again; with the store away what is known stays.
func (b *Book) Run(ctx context.Context, say func(err error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	last, read := uint64(0), false
	for rounds := 0; ; rounds++ {
		now, err := b.Records.Revision(ctx, Kind)
		if err == nil && (!read || now != last) {
			if err = b.Load(ctx); err == nil {
				last, read = now, true
			}
		}
		if err == nil && rounds%pruneEach == 0 {
			_, err = b.Prune(ctx)
		}
		if ctx.Err() == nil {
			say(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func clip(s string) string {
	if r := []rune(s); len(r) > maxWhy {
		return string(r[:maxWhy])
	}
	return s
}
