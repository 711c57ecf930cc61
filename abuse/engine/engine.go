// Package engine joins what speaks against local accounts: it follows the send log and the
// signals, opens cases, and proposes measures. It runs on one node at a time.
package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/abuse"
	"postern/abuse/behaviour"
	"postern/abuse/behaviour/logins"
	"postern/abuse/measure"
	"postern/abuse/sent"
	"postern/abuse/signal"
	"postern/internal/said"
)

// Every is how often Step is called: a measure comes within a minute of the mail that asks
// for it.
const Every = 15 * time.Second

// How long signals count, by family; those of Behaviour and Verdicts that others emit.
const (
	complaintsFor = 30 * 24 * time.Hour
	trapsFor      = 7 * 24 * time.Hour
	listingsFor   = 7 * 24 * time.Hour
	eventsFor     = 24 * time.Hour
	rateFloor     = 0.003 // at least that share of a day's deliveries to a provider was complained about
	overlap       = 2 * time.Minute
	perAccount    = 200 // signals kept of an account in memory
	page          = 1000
	maxPages      = 2000 // pages of the send log in one step; more wait for the next
)

// Found is what was found out about an account, for its case.
type Found struct {
	ID       string // the same for the same account and day
	Account  string
	At       time.Time
	Score    int
	Signals  []signal.Signal
	Sentence said.Words
}

// Cases opens or extends the case of an account.
type Cases interface {
	Found(ctx context.Context, f Found) (caseID string, err error)
}

// SentLog is the part of the send log that is needed.
type SentLog interface {
	Since(ctx context.Context, cursor string, limit int) (rows []sent.Row, next string, err error)
	ByAccount(ctx context.Context, account string, from, to time.Time, cursor string, limit int) (rows []sent.Row, next string, err error)
}

// Engine joins them. All fields but Logins and Cases are needed.
type Engine struct {
	Sent     SentLog
	Signals  signal.Log
	Profiles *behaviour.Profiles
	Desk     *measure.Desk
	Logins   *logins.Follower // nil: nobody says where accounts log in
	Cases    Cases            // nil: nobody keeps cases
	Now      func() time.Time

	mu      sync.Mutex
	cursor  string
	from    time.Time
	touched map[string]bool
	kept    map[string][]signal.Signal // by account, of the log
	cases   map[string]opened
	read    time.Time
	caught  bool                 // it has followed the send log to its end once
	live    map[string]time.Time // rules that act, and since when
}

type opened struct {
	day   string
	id    string
	rules string
}

// Result counts what a step did.
type Result struct {
	Rows, Signals, Judged, Measures, Cases int
}

// Step reads what is new and acts on it. The first one reads the whole send log; nothing is
// proposed of what it makes out before it has come to the end.
func (e *Engine) Step(ctx context.Context) (Result, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.news(ctx)
	if err != nil {
		return r, err
	}
	if !e.caught {
		return r, nil
	}
	if err := e.enabled(ctx); err != nil {
		return r, err
	}
	names := make([]string, 0, len(e.touched))
	for name := range e.touched {
		names = append(names, name)
	}
	slices.Sort(names)
	var errs []error
	for _, name := range names {
		if err := e.judge(ctx, name, &r); err != nil { // it stays touched
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		delete(e.touched, name)
	}
	return r, errors.Join(errs...)
}

// news reads what came since the last time.
func (e *Engine) news(ctx context.Context) (r Result, err error) {
	if e.touched == nil {
		e.touched, e.kept, e.cases = map[string]bool{}, map[string][]signal.Signal{}, map[string]opened{}
		e.from = e.Now().Add(-complaintsFor)
	}
	if r.Rows, err = e.follow(ctx); err != nil {
		return r, err
	}
	if err = e.located(ctx); err != nil {
		return r, err
	}
	if r.Signals, err = e.hear(ctx); err != nil {
		return r, err
	}
	e.read = e.Now()
	return r, nil
}

// follow reads the tail of the send log.
func (e *Engine) follow(ctx context.Context) (n int, err error) {
	for range maxPages {
		rows, next, err := e.Sent.Since(ctx, e.cursor, page)
		if errors.Is(err, sent.ErrCursor) && e.cursor != "" { // another log than before
			e.cursor = ""
			continue
		}
		if err != nil {
			return n, err
		}
		recent := e.Now().Add(-eventsFor)
		for _, r := range rows {
			e.Profiles.Add(r)
			if r.At.After(recent) {
				e.touched[abuse.Name(r.Account)] = true
			}
		}
		n += len(rows)
		e.cursor = next
		if len(rows) < page {
			e.caught = true
			break
		}
	}
	return n, nil
}

// hear reads new signals. Those of other nodes may come a little late: the last minutes are
// read again.
func (e *Engine) hear(ctx context.Context) (n int, err error) {
	after, newest := "", e.from
	for {
		all, next, err := e.Signals.Since(ctx, e.from.Add(-overlap), after, page)
		if err != nil {
			return n, err
		}
		for _, s := range all {
			s.Account = abuse.Name(s.Account)
			if s.Account == "" || slices.ContainsFunc(e.kept[s.Account], func(k signal.Signal) bool { return k.ID == s.ID }) {
				continue
			}
			n++
			e.touched[s.Account] = true
			e.kept[s.Account] = append(e.kept[s.Account], s)
			if extra := len(e.kept[s.Account]) - perAccount; extra > 0 {
				e.kept[s.Account] = e.kept[s.Account][extra:]
			}
			if s.At.After(newest) {
				newest = s.At
			}
		}
		if after = next; next == "" {
			break
		}
	}
	if now := e.Now(); newest.After(now) { // a clock that is ahead hides no signals
		newest = now
	}
	e.from = newest
	return n, nil
}

// window is how long a signal counts.
func window(f signal.Family) time.Duration {
	switch f {
	case signal.Complaints:
		return complaintsFor
	case signal.Traps:
		return trapsFor
	case signal.Listings:
		return listingsFor
	}
	return eventsFor
}

// Judged is what speaks against an account now, with its parts.
type Judged struct {
	Account string          `json:"account"`
	Score   int             `json:"score"`
	Signals []signal.Signal `json:"signals"`
}

// Judge says what speaks against an account now. It changes nothing.
func (e *Engine) Judge(ctx context.Context, account string) (Judged, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.parts(ctx, account)
}

func (e *Engine) parts(ctx context.Context, account string) (Judged, error) {
	now := e.Now()
	all := e.Profiles.Judge(account, now)
	var votes []signal.Signal
	var kept []signal.Signal
	for _, s := range e.kept[account] {
		if now.Sub(s.At) >= window(s.Family) {
			continue
		}
		kept = append(kept, s)
		if s.Family == signal.Complaints {
			votes = append(votes, s)
			if s.Weight < 0 {
				all = append(all, s)
			}
			continue
		}
		all = append(all, s)
	}
	if len(kept) == 0 {
		delete(e.kept, account)
	} else {
		e.kept[account] = kept
	}
	rate, ok, err := e.complaints(ctx, account, votes)
	if ok {
		all = append(all, rate)
	}
	return Judged{account, behaviour.Score(all), all}, err
}

// judge acts on what speaks against an account.
func (e *Engine) judge(ctx context.Context, account string, r *Result) error {
	j, err := e.parts(ctx, account)
	if err != nil {
		return err
	}
	r.Judged++
	if len(signal.Kinds(j.Signals)) == 0 {
		return nil
	}
	id, isNew, err := e.open(ctx, j)
	if err != nil {
		return err
	}
	if isNew {
		r.Cases++
	}
	d, err := e.Desk.Propose(ctx, measure.Proposal{Account: account, Signals: j.Signals, Case: id, Score: j.Score, Loud: behaviour.Loud(j.Signals)})
	if d.New {
		r.Measures++
	}
	return err
}

// open opens or extends the case of an account: once a day for the same rules, and never for a
// weak signal alone.
func (e *Engine) open(ctx context.Context, j Judged) (id string, isNew bool, err error) {
	if e.Cases == nil || j.Score < 20 {
		return "", false, nil
	}
	now := e.Now().UTC()
	var rules []string
	var words []said.Words
	for _, s := range j.Signals {
		rules = append(rules, s.Rule)
		words = append(words, s.Words())
	}
	slices.Sort(rules)
	o := opened{day: now.Format(time.DateOnly), rules: strings.Join(slices.Compact(rules), ",")}
	if before := e.cases[j.Account]; before.day == o.day && before.rules == o.rules {
		return before.id, false, nil
	}
	o.id, err = e.Cases.Found(ctx, Found{
		ID: "behaviour:" + o.day + ":" + o.rules + ":" + j.Account, Account: j.Account, At: now, Score: j.Score, Signals: j.Signals,
		Sentence: said.Say("note.score", "compromise score %d: %s", "score", j.Score, "signals", said.Join(words...)),
	})
	if err != nil {
		return "", false, err
	}
	e.cases[j.Account] = o
	return o.id, true, nil
}
