package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/dossier"
	"postern/abuse/complaint"
	"postern/abuse/intake/bundle"
	"postern/abuse/intake/entry"
	"postern/abuse/intake/flood"
	"postern/abuse/intake/shelf"
	"postern/abuse/proof"
	"postern/internal/entity"
	"postern/internal/mime"
)

const (
	every     = 2 * time.Second // how often the queue is looked at without a call
	bindEvery = 5               // looks, after which what was kept together is counted: one more line costs as much as ten reports
	triesMost = 5               // after which people get a report as it is
	batch     = 200
	readMost  = 16 << 20 // octets of a report that are read
)

// Job is the name under which one node works on the reports.
const Job = "intake"

// Run works on what came in until ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	failing := false
	for looks := 0; ctx.Err() == nil; looks++ {
		d.Feeds.Refresh(ctx)
		err := d.alone(ctx, func(ctx context.Context) error {
			_, err := d.round(ctx, looks%bindEvery == 0)
			return err
		})
		if err != nil && !failing && ctx.Err() == nil {
			d.Log.Error("reports wait: they cannot be worked on", "err", err)
		}
		failing = err != nil
		wake := d.wake
		if failing { // what comes in meanwhile waits as well
			wake = nil
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-wake:
		}
	}
	return nil
}

func (d *Desk) alone(ctx context.Context, f func(context.Context) error) error {
	if d.Alone == nil {
		return f(ctx)
	}
	return d.Alone(ctx, Job, f)
}

// Round works on everything that waits, the reports of those who are proved first, and says
// how many there were. What a crash interrupts is done again: every step is idempotent.
func (d *Desk) Round(ctx context.Context) (n int, err error) { return d.round(ctx, true) }

func (d *Desk) round(ctx context.Context, bind bool) (n int, err error) {
	if err := d.binder().Finish(ctx); err != nil {
		return 0, err
	}
	for {
		some := 0
		for _, queue := range []string{"new-first", New} {
			rows, _, err := shelf.Works(d.Home).Find(ctx, entity.Query{Index: "state", Value: queue, Rising: true, Limit: batch})
			if err != nil {
				return n, err
			}
			if errs := d.several(ctx, rows); len(errs) > 0 { // the others went on; these wait for the store
				return n, errors.Join(errs[:min(len(errs), 3)]...)
			}
			if some += len(rows); some > 0 {
				break // whoever came meanwhile and is proved goes first
			}
		}
		bound := 0
		if bind {
			if bound, err = d.binder().Sheaves(ctx); err != nil {
				return n, err
			}
		}
		if n += some + bound; some+bound == 0 {
			return n, ctx.Err()
		}
	}
}

func (d *Desk) binder() bundle.Binder {
	return bundle.Binder{Home: d.Home, Cases: d.Cases, Now: d.Now}
}

// several works on reports; those of a flood are neither read nor parsed and go to its line
// together.
func (d *Desk) several(ctx context.Context, rows []entity.Row[Work]) (errs []error) {
	floods := map[string][]Work{}
	for _, row := range rows {
		start := time.Now()
		fold, err := d.one(ctx, row)
		if err != nil {
			errs = append(errs, err)
		}
		switch {
		case fold != "":
			floods[fold] = append(floods[fold], row.Value)
		case !row.Value.Hurry:
			rest(ctx, time.Since(start))
		}
	}
	for _, fold := range slices.Sorted(maps.Keys(floods)) {
		if err := d.binder().Take(ctx, fold, floods[fold]); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// rest leaves the store and the processor to the mail for as long as the last report of a
// stranger took.
func rest(ctx context.Context, took time.Duration) {
	t := time.NewTimer(min(took, time.Second))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// one works on one report, unless it is one of a flood, which it names then. An error is the
// store's; trouble with the report itself is noted, and after some tries people get it as it is.
func (d *Desk) one(ctx context.Context, at entity.Row[Work]) (fold string, err error) {
	w := at.Value
	row, err := shelf.Reports(d.Home).Get(ctx, w.Report)
	if err != nil {
		return "", err
	}
	if w.Tries >= triesMost {
		w.Problems = append(w.Problems, "it could not be worked on "+strconv.Itoa(w.Tries)+" times")
		return "", d.unread(ctx, row.Value, w)
	}
	if fold, err := d.folded(ctx, row.Value); fold != "" || err != nil {
		return fold, err
	}
	// Counted before: what kills the process is not tried for ever.
	if at, err = shelf.Works(d.Home).Update(ctx, at, func(x *Work) error { x.Tries++; return nil }); err != nil {
		return "", err
	}
	w.Tries = at.Value.Tries
	err = d.guarded(ctx, row.Value, w)
	switch {
	case errors.Is(err, dossier.ErrInvalid) || errors.Is(err, entity.ErrInvalid): // it would be so for ever
		w.Problems = append(w.Problems, err.Error())
		return "", d.unread(ctx, row.Value, w)
	case err != nil: // the store's fault is none of the report
		_, untried := shelf.Works(d.Home).Change(context.WithoutCancel(ctx), w.Report, func(x *Work) error { x.Tries--; return nil })
		return "", errors.Join(err, untried)
	}
	return "", nil
}

// guarded works on a report, whatever is in it.
func (d *Desk) guarded(ctx context.Context, r Report, w Work) (err error) {
	defer func() {
		if v := recover(); v != nil {
			d.Log.Error("working on a report panicked", "report", w.Report, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = nil // it was counted
		}
	}()
	return d.work(ctx, r, w)
}

// folded says which flood a report of somebody unproved belongs to, "" = none.
func (d *Desk) folded(ctx context.Context, r Report) (string, error) {
	if r.Proved() || r.Actor != "" || r.Traced {
		return "", nil
	}
	// A feedback loop is proved by its own signature, and has a rate of its own.
	if feed, err := d.Feeds.Of(ctx, r); feed != nil || err != nil {
		return "", err
	}
	rates := d.limit()
	net := flood.Network(r.Client)
	switch {
	case !d.rates.Take("network "+net, rates.Network, r.At), !d.rates.Take("unproved", rates.Unproved, r.At):
		return flood.Name("unproved", "", r.At), nil
	}
	return "", nil
}

// crowded says which flood a report belongs to whose reporter is known by now.
func (d *Desk) crowded(r Report, who proof.Reporter) string {
	rates := d.limit()
	switch {
	case who.Trust == proof.T3:
		if !d.rates.Take("feed "+who.Feed, rates.Feed, r.At) {
			return flood.Name("feed", who.Feed, r.At)
		}
	case who.Trust >= proof.T1:
		if !d.rates.Take("reporter "+who.Address, rates.Reporter, r.At) {
			return flood.Name("reporter", who.Address, r.At)
		}
		if dom := domainOf(who.Address); r.Account == "" && !d.rates.Take("domain "+dom, rates.Domain, r.At) {
			return flood.Name("domain", dom, r.At)
		}
	}
	return ""
}

// fold links a report to the line of its flood.
func (d *Desk) fold(ctx context.Context, r Report, w Work, fold string) error {
	w.Fold = fold
	c := cases.Complaint{Report: r.ID, At: r.At, Raw: r.SHA256, Fold: fold, Trust: int(w.Trust), Reporter: w.Reporter, Feed: w.Feed != ""}
	got, err := d.Cases.Attach(ctx, c)
	if err != nil {
		return fmt.Errorf("report %s: %w", r.ID, err)
	}
	w.Cases = []string{got.ID}
	return d.end(ctx, w, Folded)
}

// unread gives people a report that the program cannot read.
func (d *Desk) unread(ctx context.Context, r Report, w Work) error {
	w.Format = complaint.Unparsed
	got, err := d.Cases.Attach(ctx, cases.Complaint{Report: r.ID, At: r.At, Raw: r.SHA256, Unparsed: true, Reporter: w.Reporter})
	if err != nil {
		return fmt.Errorf("report %s: %w", r.ID, err)
	}
	w.Cases = []string{got.ID}
	return d.end(ctx, w, Failed)
}

func (d *Desk) end(ctx context.Context, w Work, state string) error {
	w.State, w.Ended = state, d.Now().UTC()
	_, err := shelf.Works(d.Home).Change(ctx, w.Report, func(x *Work) error {
		w.Judged, w.JudgedBy, w.JudgedWith = x.Judged, x.JudgedBy, x.JudgedWith
		*x = w
		return nil
	})
	return err
}

// read reads a report's bytes, at most readMost.
func (d *Desk) read(ctx context.Context, r Report) ([]byte, error) {
	f, err := d.Bytes(ctx, r)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, readMost))
}

// parsed is a report as far as it could be read.
func parsed(r Report, raw []byte) (complaint.Report, *mime.Tree, Submission, error) {
	var s Submission
	if r.By != ByMail && r.By != ByPostmaster {
		s, err := entry.Read(raw)
		return s.Report(), nil, s, err
	}
	tree := mime.Bytes(raw, mime.Limits{Depth: 3, Parts: 20, Fields: 500, Work: 4, Readings: 1, Anomalies: 20, Names: 4, Text: 1 << 10, Tokens: 1000, URLs: 1})
	return complaint.Parse(raw, complaint.Options{}), tree, s, nil
}

// work parses, proves and hands over.
func (d *Desk) work(ctx context.Context, r Report, w Work) error {
	raw, err := d.read(ctx, r)
	if err != nil {
		if errors.Is(err, entity.ErrNotFound) {
			w.Problems = append(w.Problems, "its bytes are not there")
			return d.unread(ctx, r, w)
		}
		return fmt.Errorf("report %s: %w", r.ID, err)
	}
	rep, tree, sub, err := parsed(r, raw)
	if err != nil {
		w.Problems = append(w.Problems, err.Error())
		return d.unread(ctx, r, w)
	}
	who, err := d.who(ctx, r, rep, tree)
	if err != nil {
		return err
	}
	if sub.Source != "" {
		who = sub.Who()
	}
	w.Format, w.Feedback, w.Language, w.Trust, w.Feed, w.Problems = rep.Format, rep.Feedback, rep.Language, who.Trust, who.Feed, rep.Problems
	if w.Reporter = who.Address; w.Reporter == "" {
		w.Reporter = flood.Network(r.Client)
	}
	w.Person = sub.Source != "" && sub.Person() || sub.Source == "" && person(r, who, tree)
	if rep.Format == complaint.DSN && d.Bounced != nil {
		ours, err := d.Bounced(ctx, rep)
		if err != nil {
			return err
		}
		if ours {
			return d.end(ctx, w, Done)
		}
	}
	if fold := d.crowded(r, who); fold != "" {
		return d.fold(ctx, r, w, fold)
	}
	if d.Replied != nil && rep.Original == nil { // with a message attached it is a report of its own
		id, err := d.Replied(ctx, r, rep.Text)
		if err != nil {
			return err
		}
		if id != "" {
			w.Cases = append(w.Cases, id)
			return d.end(ctx, w, Done)
		}
	}
	return d.prove(ctx, r, w, rep, who, sub)
}
