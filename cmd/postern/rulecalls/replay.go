package rulecalls

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"postern/cmd/postern/features"
	"postern/cmd/postern/rulecalls/check"
	"postern/cmd/postern/rulecalls/list"
	"postern/internal/control"
	"postern/internal/opfiles"
	"postern/internal/strict"
	"postern/rules"
	"postern/rules/replay"
)

// Bounds of one call; the next one goes on where it ended.
const (
	replayTime = 3 * time.Second // what is begun then is ended
	maxDays    = 90
)

// MaxRuleFiles is how many files a proposal may have.
const MaxRuleFiles = 200

// Replay asks what a change of rules would have done to the mail that passed.
type Replay struct {
	Days  int               `json:"days,omitempty"` // how far back; 0 = as far as features are kept
	File  string            `json:"file,omitempty"` // one file that would be another, as rules/own.yaml
	Text  string            `json:"text,omitempty"`
	Gone  bool              `json:"gone,omitempty"`  // it would be removed
	Files map[string]string `json:"files,omitempty"` // or all files of the operator's rules, text by name
	Whole bool              `json:"whole,omitempty"` // Files are all, also where there are none
	Parts int               `json:"parts,omitempty"` // judge at most so many blocks of features now; 0 = as the time of a call allows
	After string            `json:"after,omitempty"` // Next of the answer before
	SoFar *replay.Report    `json:"so_far,omitempty"`
}

// Replayed is what it would have done, as far as that was judged.
type Replayed struct {
	Report replay.Report  `json:"report"` // with that of the calls before
	Next   string         `json:"next,omitempty"`
	Kept   features.Total `json:"kept"` // in all those days, over all nodes
	Days   int            `json:"days"`
	Off    []string       `json:"off,omitempty"` // rules that are switched off, under both
}

func (d *Desk) replay(ctx context.Context, p Replay) (out Replayed, err error) {
	now, ok := d.Pipeline().Judge.(*rules.Set)
	if !ok {
		return out, errors.New("there are no rules")
	}
	kept := int(time.Duration(d.Config().Rules.Replay.Keep) / (24 * time.Hour))
	switch {
	case kept == 0:
		return out, control.Refuse(control.Conflict, "replay.off", "no features of mail are kept here: rules.replay.keep is 0")
	case p.Days < 0 || p.Days > maxDays:
		return out, control.Refuse(control.Invalid, "replay.days", "days: 0 to %d", "most", maxDays)
	case p.Days == 0 || p.Days > kept:
		p.Days = kept
	}
	then, off, err := d.proposed(ctx, p)
	if err != nil {
		return out, err
	}
	select {
	case d.replaying <- struct{}{}:
		defer func() { <-d.replaying }()
	case <-ctx.Done():
		return out, ctx.Err()
	}
	since := d.Now().Add(-time.Duration(p.Days) * 24 * time.Hour)
	if p.After == "" {
		if err := d.Features.Flush(ctx); err != nil {
			return out, err
		}
	}
	out.Days, out.Off = p.Days, off
	if out.Kept, err = d.Features.Total(ctx, since); err != nil {
		return out, err
	}
	if p.SoFar != nil {
		out.Report = *p.SoFar
	}
	err = d.rehearse(ctx, replay.New(now, then), since, p, &out)
	return out, err
}

// rehearse judges block after block, until its time is over.
func (d *Desk) rehearse(ctx context.Context, r *replay.Rehearsal, since time.Time, p Replay, out *Replayed) error {
	began := time.Now() // of the processor's time, not of the mail's
	out.Report.Rules = r.Rules()
	after := p.After
	for parts := 1; ; parts++ {
		next, damaged, err := d.Features.Page(ctx, since, after, func(one replay.Record, prints replay.Prints, stands float64) {
			pair := r.Pair(one, prints)
			pair.Stands = stands
			out.Report.Add(pair)
		})
		if err != nil {
			return err
		}
		out.Report.Damaged += damaged
		if out.Next = next; next == "" || parts == p.Parts || time.Since(began) > replayTime {
			out.Report.Finish()
			return nil
		}
		after = next
	}
}

// proposed are the rules as they would be, without those that are switched off.
func (d *Desk) proposed(ctx context.Context, p Replay) (*rules.Set, []string, error) {
	offs, err := d.rules.Active(ctx)
	if err != nil {
		return nil, nil, err
	}
	var set *rules.Set
	switch {
	case p.Whole || len(p.Files) > 0:
		set, err = d.whole(p.Files)
	case p.File != "":
		set, err = d.check.Set(p.File, p.Text, p.Gone)
	default:
		set = d.Rules()
	}
	var wrong strict.Errors
	if errors.As(err, &wrong) && len(wrong) > 0 {
		return nil, nil, control.Because(control.Invalid, wrong[0])
	}
	if err != nil {
		return nil, nil, known(err)
	}
	return set.Without(list.Names(offs)), list.Names(offs), nil
}

// whole is a set of other files in the place of the operator's.
func (d *Desk) whole(files map[string]string) (*rules.Set, error) {
	if len(files) > MaxRuleFiles {
		return nil, control.Refuse(control.Invalid, "replay.files", "at most %d files", "most", MaxRuleFiles)
	}
	var below fs.FS = check.Empty{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !fs.ValidPath(name) || strings.Contains(name, "/") || !strings.HasSuffix(name, ".yaml") || len(files[name]) > opfiles.MaxText {
			return nil, control.Refuse(control.Invalid, "replay.file", "%q is no rule file that is read here", "name", name)
		}
		below = opfiles.With(below, name, files[name], false)
	}
	return rules.LoadFS(rules.Layer{Name: "proposed", FS: below})
}
