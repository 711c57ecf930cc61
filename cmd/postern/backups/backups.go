// Package backups makes the runs of the backup of a gateway when they are due, and signs the
// head of the audit every day.
package backups

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"postern/cmd/postern/home"
	"postern/internal/backup"
	"postern/internal/backup/plan"
	"postern/internal/config"
	"postern/internal/record/head"
	"postern/internal/store/dump"
)

// Parts are what a Desk works with.
type Parts struct {
	Config     func() *config.Config
	ConfigFile string // "" = there is none
	Home       *home.Home
	Heads      *head.Heads
	Version    string
	Now        func() time.Time
	Log        *slog.Logger
	Event      func(key, text string, over bool)
	Audit      func(ctx context.Context, actor, action, object string, before, after any, note string) error
}

// Job is the state of a run that is being made, of a verification, or of a trial.
type Job struct {
	Name     string           `json:"name"` // run, verify or proof; "" before the first one
	Running  bool             `json:"running"`
	Started  time.Time        `json:"started,omitzero"`
	Ended    time.Time        `json:"ended,omitzero"`
	Section  string           `json:"section,omitempty"` // that is being written
	Records  int              `json:"records,omitempty"` // of it, so far
	Run      *Info            `json:"run,omitempty"`     // that was made
	Verified *backup.Verified `json:"verified,omitempty"`
	Proof    *Proof           `json:"proof,omitempty"`
	Error    string           `json:"error,omitempty"`
}

// Info is one run in a list.
type Info struct {
	Run     string         `json:"run"`
	Kind    backup.Kind    `json:"kind"`
	Started time.Time      `json:"started"`
	Ended   time.Time      `json:"ended"`
	Home    string         `json:"home"`
	Node    string         `json:"node"`
	Chain   []string       `json:"chain"`
	Bytes   int64          `json:"bytes"`
	Written map[string]int `json:"written"`
	Live    map[string]int `json:"live"`
	Damaged []string       `json:"damaged,omitempty"`
}

func info(m backup.Manifest) Info {
	return Info{m.Run, m.Kind, m.Started, m.Ended, m.Home, m.Node, m.Chain, m.Bytes(), m.Written, m.Live, m.Damaged}
}

// Desk makes backups. One work runs at a time.
type Desk struct {
	Parts

	began time.Time

	mu    sync.Mutex
	job   Job
	stop  context.CancelFunc
	over  chan struct{}
	ended bool
}

// New makes a Desk.
func New(p Parts) *Desk { return &Desk{Parts: p, began: p.Now()} }

// Names of what is said when something is wrong.
const (
	eventLate = "backup-late"
	eventFail = "backup"
	eventHead = "audit-head"
)

// lookEvery is how often it is looked whether something is due.
const lookEvery = time.Minute

// Run makes what is due until ctx ends, and then ends the work under way.
func (d *Desk) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		d.Look(ctx)
		select {
		case <-ctx.Done():
			d.end()
			return nil
		case <-tick.C:
		}
	}
}

func (d *Desk) end() {
	d.mu.Lock()
	d.ended = true
	stop, over := d.stop, d.over
	d.mu.Unlock()
	if stop != nil {
		stop()
		<-over
	}
}

// Look makes a run if one is due, signs the head of the day, and says what is late.
func (d *Desk) Look(ctx context.Context) {
	err := d.alone(ctx, "audit-head", d.Heads.Daily)
	d.say(eventHead, "the head of the audit: ", err)
	c := d.Config().Backup
	if c.Dir == "" {
		d.Event(eventLate, "", true)
		return
	}
	p := plan.Plan{Full: time.Duration(c.Full), Incremental: time.Duration(c.Incremental), Keep: time.Duration(c.Keep)}
	runs, damaged, err := backup.List(c.Dir)
	if err = errors.Join(append(damaged, err)...); err == nil {
		if kind := p.Due(plan.AgeOf(runs), d.Now()); kind != "" && ctx.Err() == nil {
			_, err = d.begin(ctx, "run", d.making(kind))
			if errors.Is(err, errBusy) {
				err = nil
			}
		} else if ctx.Err() == nil {
			err = d.lookProof(ctx, newest(runs))
		}
	}
	d.say("backup-folder", "the folder of the backups: ", err)
	late := p.Late(plan.AgeOf(runs), d.began, d.Now())
	d.Event(eventLate, late, late == "")
}

func (d *Desk) say(key, what string, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		d.Event(key, what+err.Error(), false)
	} else if err == nil {
		d.Event(key, "", true)
	}
}

// aliveFor is for how long a node that makes a run is taken for alive without saying so.
const aliveFor = 2 * time.Minute

// errElsewhere says that another node does it just now.
var errElsewhere = errors.New("another node is at it just now")

func (d *Desk) alone(ctx context.Context, job string, f func(context.Context) error) error {
	_, err := d.Home.Jobs.Run(ctx, job, "", aliveFor, func(ctx context.Context, _ int64) error { return f(ctx) })
	return err
}

// making is the work of one run, under a lease that one node of several has.
func (d *Desk) making(kind backup.Kind) func(context.Context) error {
	return func(ctx context.Context) error {
		ran, err := d.Home.Jobs.Run(ctx, "backup", "", aliveFor, func(ctx context.Context, _ int64) error { return d.make(ctx, kind) })
		if err == nil && !ran {
			return errElsewhere
		}
		d.say(eventFail, "the backup failed: ", err)
		return err
	}
}

func (d *Desk) make(ctx context.Context, kind backup.Kind) error {
	c := d.Config()
	dumper := &dump.Dumper{From: d.Home.Parts(), Now: d.Now, Log: d.Log}
	m, err := backup.Run(ctx, backup.Options{
		Dir: c.Backup.Dir, Kind: kind, Program: d.Version, Home: d.Home.Name, Node: c.Hostname, Now: d.Now,
		Step: func(section string, n int) { d.note(func(j *Job) { j.Section, j.Records = section, n }) },
	}, func(ctx context.Context, w *backup.Writer) error {
		return errors.Join(dumper.Dump(ctx, w), d.files(w))
	})
	if err != nil {
		return err
	}
	i := info(m)
	d.note(func(j *Job) { j.Run = &i })
	d.Log.Info("backed up", "run", m.Run, "bytes", i.Bytes, "damaged", len(m.Damaged))
	if len(m.Damaged) > 0 {
		d.Event("backup-damaged", fmt.Sprintf("%d things could not be backed up because they are damaged, the first: %s", len(m.Damaged), m.Damaged[0]), false)
	} else {
		d.Event("backup-damaged", "", true)
	}
	_, err = backup.Prune(c.Backup.Dir, d.Now(), time.Duration(c.Backup.Keep))
	return err
}

// AuditKey is the path of the key that signs heads.
func AuditKey(c *config.Config) string { return filepath.Join(c.State, "audit.key") }

// HeadsFile is the path of the node's own copy of its heads.
func HeadsFile(c *config.Config) string { return filepath.Join(c.State, "audit.heads") }
