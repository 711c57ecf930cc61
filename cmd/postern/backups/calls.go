package backups

import (
	"context"
	"errors"
	"time"

	"postern/internal/backup"
	"postern/internal/control"
)

// Ask asks for a run.
type Ask struct {
	Full bool   `json:"full,omitempty"` // of backup.run
	Run  string `json:"run,omitempty"`  // of backup.verify; "" = the last one
}

// Listing is what there is.
type Listing struct {
	Dir     string   `json:"dir"`
	Runs    []Info   `json:"runs"`
	Damaged []string `json:"damaged,omitempty"`
}

// Handle adds the calls.
func (d *Desk) Handle(s *control.Server) {
	control.Handle(s, "backup.list", func(context.Context, struct{}) (Listing, error) { return d.list() })
	control.Handle(s, "backup.job", func(context.Context, struct{}) (Job, error) { return d.state(), nil })
	control.Handle(s, "backup.run", func(ctx context.Context, a Ask) (Job, error) {
		if _, err := d.dir(); err != nil {
			return Job{}, err
		}
		kind := backup.Incremental
		if a.Full {
			kind = backup.Full
		}
		if err := d.Audit(ctx, control.Actor(ctx), "backup", string(kind), nil, nil, ""); err != nil {
			return Job{}, err
		}
		return d.begun(d.begin(ctx, "run", d.making(kind)))
	})
	control.Handle(s, "backup.verify", func(ctx context.Context, a Ask) (Job, error) {
		run, err := d.named(a.Run)
		if err != nil {
			return Job{}, err
		}
		return d.begun(d.begin(ctx, "verify", func(ctx context.Context) error { return d.verify(ctx, run) }))
	})
	control.Handle(s, "backup.prove", func(ctx context.Context, a Ask) (Job, error) {
		run, err := d.named(a.Run)
		if err != nil {
			return Job{}, err
		}
		return d.begun(d.begin(ctx, "proof", d.proving(run)))
	})
	control.Handle(s, "backup.stop", func(ctx context.Context, _ struct{}) (Job, error) {
		d.mu.Lock()
		stop, over := d.stop, d.over
		d.mu.Unlock()
		if stop == nil {
			return d.state(), nil
		}
		stop()
		select {
		case <-over:
			return d.state(), nil
		case <-ctx.Done():
			return d.state(), ctx.Err()
		}
	})
}

func (d *Desk) dir() (string, error) {
	if dir := d.Config().Backup.Dir; dir != "" {
		return dir, nil
	}
	return "", control.Refuse(control.Conflict, "backups.backup-dir-is-not-set-there-are", "backup.dir is not set: there are no backups")
}

func (d *Desk) list() (Listing, error) {
	dir, err := d.dir()
	if err != nil {
		return Listing{}, err
	}
	runs, damaged, err := backup.List(dir)
	out := Listing{Dir: dir, Runs: []Info{}}
	for _, m := range runs {
		out.Runs = append(out.Runs, info(m))
	}
	for _, e := range damaged {
		out.Damaged = append(out.Damaged, e.Error())
	}
	return out, err
}

// named is the run of this name, or the last one.
func (d *Desk) named(run string) (string, error) {
	dir, err := d.dir()
	if err != nil || run != "" {
		return run, err
	}
	runs, _, err := backup.List(dir)
	if err == nil && len(runs) == 0 {
		err = control.Refuse(control.NotFound, "backups.there-is-no-backup-in", "there is no backup in %s", "dir", dir)
	}
	if err != nil {
		return "", err
	}
	return runs[len(runs)-1].Run, nil
}

func (d *Desk) verify(ctx context.Context, run string) error {
	c, err := backup.Open(d.Config().Backup.Dir, run)
	if err != nil {
		return err
	}
	v, err := c.Verify(ctx)
	d.note(func(j *Job) { j.Verified = &v })
	return errors.Join(err, c.Close())
}

// errBusy says that a work is under way.
var errBusy = errors.New("a work on the backup is under way already")

func (d *Desk) begun(j Job, err error) (Job, error) {
	if errors.Is(err, errBusy) {
		return j, control.Refuse(control.Conflict, "backups.a-backup-its-verification-or-its-trial", "a backup, its verification or its trial is under way since %s", "started", j.Started.Format(time.RFC3339))
	}
	return j, err
}

// begin starts a work unless one is under way. It goes on when whoever began it leaves.
func (d *Desk) begin(ctx context.Context, name string, work func(context.Context) error) (Job, error) {
	d.mu.Lock()
	if d.ended {
		defer d.mu.Unlock()
		return d.job, control.Refuse(control.Conflict, "backups.the-server-is-ending", "the server is ending")
	}
	if d.job.Running {
		defer d.mu.Unlock()
		return d.job, errBusy
	}
	live, stop := context.WithCancel(context.WithoutCancel(ctx))
	over := make(chan struct{})
	d.stop, d.over = stop, over
	d.job = Job{Name: name, Running: true, Started: d.Now().UTC()}
	d.mu.Unlock()
	go func() {
		defer close(over)
		err := work(live)
		stop()
		d.note(func(j *Job) {
			j.Running, j.Ended = false, d.Now().UTC()
			if err != nil {
				j.Error = err.Error()
			}
		})
	}()
	return d.state(), nil
}

func (d *Desk) note(f func(*Job)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(&d.job)
}

func (d *Desk) state() Job {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.job
}
