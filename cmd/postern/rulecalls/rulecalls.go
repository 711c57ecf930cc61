// Package rulecalls are the calls over the files that an operator writes: rules, configuration
// and calendars. The files stay the truth; what is saved here is written to them.
package rulecalls

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"postern/cmd/postern/calls"
	"postern/cmd/postern/features"
	"postern/cmd/postern/home"
	"postern/cmd/postern/rulecalls/check"
	"postern/cmd/postern/rulecalls/list"
	"postern/cmd/postern/setup"
	"postern/filter"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/entity"
	"postern/internal/opfiles"
	"postern/internal/record"
	"postern/internal/spool"
	"postern/quarantine"
	"postern/rules"
)

// Parts are what the calls work with. All are needed but Reload.
type Parts struct {
	Config     func() *config.Config // in effect
	Started    *config.Config        // with which the process began
	ConfigFile string
	Node       string
	Entities   entity.Store
	Rules      func() *rules.Set // as the files say
	Pipeline   func() *filter.Pipeline
	Quarantine *quarantine.Quarantine
	Spool      *spool.Spool
	Traffic    record.Traffic
	Nodes      func(ctx context.Context) []home.Node
	Reload     func(ctx context.Context) error // nil: no server runs here
	Switch     func(off []string)              // the rules that are switched off
	Now        func() time.Time
	Log        *slog.Logger
	Audit      func(ctx context.Context, actor, action, object string, before, after any, note string) error
}

// Desk is the calls, and the loop that watches what they keep.
type Desk struct {
	Parts
	Shelf    *opfiles.Shelf
	History  *opfiles.History
	Features *features.Book

	check *check.Checker
	rules *list.List

	replaying chan struct{} // one at a time
}

// New makes the calls.
func New(p Parts) *Desk {
	d := &Desk{Parts: p, replaying: make(chan struct{}, 1)}
	d.Shelf = &opfiles.Shelf{Folders: d.folders}
	d.History = &opfiles.History{Store: p.Entities, Node: p.Node, Shelf: d.Shelf, Now: p.Now}
	d.check = &check.Checker{Shelf: d.Shelf, Config: p.Config, Started: func() *config.Config { return p.Started }, Rules: p.Rules, Temp: p.Spool.Dir, Now: p.Now}
	d.rules = list.New(list.Parts{
		Rules: p.Rules, Dir: func() string { return p.Config().Rules.Dir }, Entities: p.Entities, Traffic: p.Traffic, Switch: p.Switch, Now: p.Now, Audit: p.Audit,
	})
	d.Features = features.New(features.Parts{Store: p.Entities, Node: p.Node, Now: p.Now, Log: p.Log, Keep: d.keep, Rules: func() *rules.Set {
		if set, ok := d.Pipeline().Judge.(*rules.Set); ok {
			return set
		}
		return d.Rules()
	}})
	return d
}

// keep is what is kept for rehearsals.
func (d *Desk) keep() features.Keep {
	r := d.Config().Rules.Replay
	return features.Keep{For: time.Duration(r.Keep), Bytes: int64(r.Bytes)}
}

// Start makes the calls, and switches off what was switched off before the start.
func Start(ctx context.Context, p Parts) *Desk {
	d := New(p)
	if err := d.Look(ctx); err != nil {
		p.Log.Warn("which rules are switched off is not known yet", "err", err)
	}
	return d
}

// Handle adds the calls.
func (d *Desk) Handle(s *control.Server) {
	d.fileCalls(s)
	d.historyCalls(s)
	d.rules.Handle(s)
	d.sendCalls(s)
	control.Handle(s, "rules.try", d.try)
	control.Handle(s, "rules.replay", d.replay)
	control.Handle(s, "rules.keys", keysCall)
	control.Handle(s, "config.compare", d.compare)
}

// lookEvery is how often a node looks for rules that are switched off, and for files that
// other nodes sent.
const lookEvery = 5 * time.Second

// Run watches, and keeps features of the mail that passes, until ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	var keeps sync.WaitGroup
	keeps.Go(func() { _ = d.Features.Loop(ctx) }) // it has no error: what it cannot write it says itself
	defer keeps.Wait()
	if _, err := d.History.Notice(ctx); err != nil && ctx.Err() == nil {
		d.Log.Error("looking for files that were changed", "err", err)
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := errors.Join(d.rules.Look(ctx), d.Receive(ctx)); err != nil && ctx.Err() == nil {
			d.Log.Error("looking for changes of rules", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Look switches rules off and on as the records say.
func (d *Desk) Look(ctx context.Context) error { return d.rules.Look(ctx) }

// ReloadNow reads the files anew, and says what of them takes effect after a restart.
func (d *Desk) ReloadNow(ctx context.Context) (calls.Reloaded, error) {
	if d.Reload == nil {
		return calls.Reloaded{}, errors.New("this gateway was not started from files")
	}
	before := d.Config()
	err := d.Reload(ctx)
	return calls.Reloaded{Rules: d.Rules().Revision(), Changed: setup.Differ(d.Started, before, d.Config()).Reload, Restart: d.Waiting()}, err
}

// Reloaded says what took effect and what needs a restart, and notes what was changed on the disk.
func (d *Desk) Reloaded(ctx context.Context, before *config.Config) {
	if what := setup.Differ(d.Started, before, d.Config()).Reload; len(what) > 0 {
		d.Log.Info("took effect", "changed", strings.Join(what, ", "))
	}
	if what := d.Waiting(); len(what) > 0 {
		d.Log.Warn("takes effect after a restart", "changed", strings.Join(what, ", "))
	}
	all, err := d.History.Notice(ctx)
	if err != nil {
		d.Log.Error("looking for files that were changed", "err", err)
	}
	for _, c := range all {
		if c.How == opfiles.First {
			continue
		}
		if err := d.Audit(ctx, "postern", "file-changed", c.File, hashed(c.Before), hashed(c.After), "changed on disk"); err != nil {
			d.Log.Error("auditing a file that was changed", "err", err)
		}
	}
}

type hash struct {
	SHA256 string `json:"sha256"`
	Change string `json:"change,omitempty"`
	Diff   string `json:"diff,omitempty"`
}

func hashed(sum string) any {
	if sum == "" {
		return nil
	}
	return hash{SHA256: sum}
}

// known turns errors of the files into refusals.
func known(err error) error {
	for of, kind := range map[error]control.Kind{
		opfiles.ErrNotFound: control.NotFound, opfiles.ErrInvalid: control.Invalid, opfiles.ErrReadOnly: control.Conflict, opfiles.ErrChanged: control.Conflict,
		quarantine.ErrNotFound: control.NotFound, entity.ErrNotFound: control.NotFound,
	} {
		if errors.Is(err, of) {
			return control.Because(kind, err)
		}
	}
	return err
}
