package backups

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"postern/cmd/postern/home"
	"postern/internal/backup"
	"postern/internal/config"
	"postern/internal/entity"
	"postern/internal/record"
	"postern/internal/spool"
	"postern/internal/store/dump"
)

// Proof is a backup that was restored for a trial: into a home of its own, which is looked at
// and thrown away.
type Proof struct {
	ID      string    `json:"id"`
	Run     string    `json:"run"`
	Node    string    `json:"node"`
	At      time.Time `json:"at"`
	OK      bool      `json:"ok"`
	Records int       `json:"records"`
	Audit   int64     `json:"audit"` // entries whose chain verified
	Error   string    `json:"error,omitempty"`
}

const (
	eventProof  = "restore-proof"
	proofDir    = "restore-proof" // below the state folder
	proofAgain  = 24 * time.Hour  // after a failure
	proofRoom   = 6               // times the bytes of the runs that have to be free
	keepProofs  = 400 * 24 * time.Hour
	maxProofErr = 500
)

func (d *Desk) proofs() entity.Table[Proof] {
	return entity.Table[Proof]{Store: d.Home.Entities, Kind: "restore-proof", ID: func(p *Proof) string { return p.ID }, Keys: func(p *Proof) []entity.Key {
		return []entity.Key{{Index: "at", At: p.At.UnixMilli()}}
	}}
}

// Proofs lists the trials of a period, the first one first.
func (d *Desk) Proofs(ctx context.Context, from, to time.Time) ([]Proof, error) {
	var out []Proof
	q := entity.Query{Index: "at", From: from.UnixMilli(), To: to.UnixMilli() - 1, Rising: true, Limit: entity.MaxPage}
	err := d.proofs().Each(ctx, q, func(r entity.Row[Proof]) error {
		out = append(out, r.Value)
		return nil
	})
	return out, err
}

// proofDue reports whether this month has had no good trial yet, nor a bad one within a day.
func (d *Desk) proofDue(ctx context.Context) (bool, error) {
	now := d.Now().UTC()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	all, err := d.Proofs(ctx, month, now.Add(time.Millisecond))
	due := !slices.ContainsFunc(all, func(p Proof) bool { return p.OK || now.Sub(p.At) < proofAgain })
	return due && err == nil, err
}

// lookProof tries the last run if this month has had no good trial.
func (d *Desk) lookProof(ctx context.Context, run string) error {
	due, err := d.proofDue(ctx)
	if err != nil || !due || run == "" {
		return err
	}
	if _, err = d.begin(ctx, "proof", d.proving(run)); errors.Is(err, errBusy) {
		return nil
	}
	return err
}

// proving is the work of one trial, under a lease that one node of several has.
func (d *Desk) proving(run string) func(context.Context) error {
	return func(ctx context.Context) error {
		ran, err := d.Home.Jobs.Run(ctx, eventProof, "", aliveFor, func(ctx context.Context, _ int64) error { return d.prove(ctx, run) })
		if err == nil && !ran {
			return errElsewhere
		}
		return err
	}
}

// prove tries a run and writes down what came of it.
func (d *Desk) prove(ctx context.Context, run string) error {
	p := Proof{Run: run, Node: d.Config().Hostname, At: d.Now().UTC()}
	p.ID = fmt.Sprintf("p-%d-%s", p.At.UnixMilli(), run[:min(len(run), 60)])
	err := d.try(ctx, &p)
	if ctx.Err() != nil {
		return ctx.Err() // stopped: nothing is proved and nothing is wrong
	}
	if p.OK = err == nil; err != nil {
		p.Error = record.Clean(err.Error(), maxProofErr)
	}
	d.say(eventProof, "a backup could not be restored for a trial: ", err)
	_, werr := d.proofs().Create(ctx, p)
	d.note(func(j *Job) { j.Proof = &p })
	return errors.Join(err, werr, d.forgetProofs(ctx))
}

func (d *Desk) forgetProofs(ctx context.Context) error {
	rows, _, err := d.proofs().Find(ctx, entity.Query{Index: "at", From: 1, To: d.Now().Add(-keepProofs).UnixMilli(), Limit: 100})
	for _, r := range rows {
		if err := d.proofs().Remove(ctx, r); err != nil {
			return err
		}
	}
	return err
}

// try restores a run into a home of its own, and looks at what is there then.
func (d *Desk) try(ctx context.Context, p *Proof) (err error) {
	c := d.Config()
	chain, err := backup.Open(c.Backup.Dir, p.Run)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, chain.Close()) }()
	if err := d.room(c, p.Run); err != nil {
		return err
	}
	dir := filepath.Join(c.State, proofDir)
	if err := os.RemoveAll(dir); err != nil { // of a process that died
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	h, err := d.scratch(ctx, c, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	step := func(section string, n int) { d.note(func(j *Job) { j.Section, j.Records = section, n }) }
	out, err := (&dump.Loader{To: h.Parts(), Now: d.Now, Step: step}).Load(ctx, chain)
	if err != nil {
		return err
	}
	for _, n := range out {
		p.Records += n
	}
	for _, section := range []string{"holds", "records", "blobs", "accounts", "lists"} {
		if want := chain.Manifest().Live[section]; out[section] != want {
			return fmt.Errorf("%s: %d came back of %d", section, out[section], want)
		}
	}
	last, err := record.Verify(ctx, h.Audit)
	p.Audit = last.Seq
	return err
}

// scratch is a home of the embedded kind that nobody else has.
func (d *Desk) scratch(ctx context.Context, c *config.Config, dir string) (*home.Home, error) {
	own := *c
	own.State = dir
	own.Store = config.Default().Store
	own.Store.Caps = c.Store.Caps
	return home.Open(ctx, home.Options{
		Config: &own, Spool: &spool.Spool{Dir: filepath.Join(dir, "spool"), Memory: int64(c.Limits.Memory)}, Now: d.Now, Log: d.Log,
		Event: func(string, string, bool) {}, Rules: func() string { return "" }, Passive: true,
	})
}

// room refuses a trial that could fill the disk on which the gateway lives.
func (d *Desk) room(c *config.Config, run string) error {
	runs, _, err := backup.List(c.Backup.Dir)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(runs, func(m backup.Manifest) bool { return m.Run == run })
	if i < 0 {
		return fmt.Errorf("the run %s is gone", run)
	}
	var need uint64
	for _, m := range runs {
		if m.Run == run || slices.Contains(runs[i].Chain, m.Run) {
			need += uint64(max(0, m.Bytes()))
		}
	}
	free, err := (&spool.Spool{Dir: c.State}).Free()
	if err != nil {
		return err
	}
	if free < proofRoom*need {
		return fmt.Errorf("%d bytes are free below %s, and the trial of a backup of %d could fill them", free, c.State, need)
	}
	return nil
}

// Ages are how old the last run is, the last full one, and the oldest that is kept; -1 where
// there is none. ok: backups are made.
func (d *Desk) Ages() (last, full, oldest time.Duration, ok bool, err error) {
	dir := d.Config().Backup.Dir
	if dir == "" {
		return -1, -1, -1, false, nil
	}
	runs, _, err := backup.List(dir)
	last, full, oldest = -1, -1, -1
	now := d.Now()
	for _, m := range runs {
		age := max(0, now.Sub(m.Started))
		if last < 0 || age < last {
			last = age
		}
		if m.Kind == backup.Full && (full < 0 || age < full) {
			full = age
		}
		oldest = max(oldest, age)
	}
	return last, full, oldest, true, err
}

// newest is the run that is tried: the last one.
func newest(runs []backup.Manifest) string {
	if len(runs) == 0 {
		return ""
	}
	return slices.MaxFunc(runs, func(a, b backup.Manifest) int { return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.Run, b.Run)) }).Run
}
