// Package storecmd are the commands of who cares for the store.
package storecmd

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/home"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/spool"
	"postern/internal/store/local"
)

// Store are the commands.
type Store struct {
	Estimate estimateCmd `cmd:"" help:"Say what the store takes, and what it would take."`
	Reindex  reindexCmd  `cmd:"" help:"Make a damaged database, or the indexes of Redis, again from the held messages."`
	Move     moveCmd     `cmd:"" help:"Take over into the configured home what the other one keeps, while mail flows."`
}

type reindexCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run rebuilds the database of the embedded home, for which no server may run, or the indexes
// of Redis while mail flows. What could not be read is a finding.
func (c *reindexCmd) Run(a *app.App) error {
	cfg, err := config.Load(a.Config)
	if err != nil {
		return err
	}
	if cfg.Store.Home == config.HomeRedis {
		return c.shared(a)
	}
	done, err := local.Reindex(a.Ctx, local.Options{
		Dir: cfg.State, Log: a.QuietLog(), Now: a.Now, Spool: &spool.Spool{Dir: filepath.Join(cfg.State, "spool"), Memory: int64(cfg.Limits.Memory)},
	})
	if err != nil {
		return err
	}
	if c.JSON {
		err = a.JSON(done)
	} else {
		_, err = fmt.Fprintf(a.Stdout, "%d holds and %d outbox entries are back, %d records and %d blobs too; own lists, accounts and the audit trail come only from a backup\n",
			done.Holds, done.Outbox, done.Records, done.Blobs)
	}
	if err == nil && len(done.Lost) > 0 {
		return app.Findf("%d bodies are damaged or unknown and were moved to %s", len(done.Lost), filepath.Join(cfg.State, "lost"))
	}
	return err
}

func (c *reindexCmd) shared(a *app.App) error {
	job, err := follow(a, "store.reindex", c.JSON, func(j calls.StoreJob) string {
		if j.Indexed == nil {
			return ""
		}
		return fmt.Sprintf("%d holds, %d outbox entries, %d records, %d blobs", j.Indexed.Holds, j.Indexed.Outbox, j.Indexed.Records, j.Indexed.Blobs)
	})
	if err != nil || job.Indexed == nil || job.Indexed.Damaged == 0 {
		return err
	}
	return app.Findf("%d records do not verify and were left alone", job.Indexed.Damaged)
}

type moveCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run moves, shows how far it is, and stops the move where it is interrupted: running it again
// goes on. What is busy or damaged is a finding.
func (c *moveCmd) Run(a *app.App) error {
	job, err := follow(a, "store.move", c.JSON, func(j calls.StoreJob) string {
		if j.Moved == nil {
			return ""
		}
		m := j.Moved
		return fmt.Sprintf("%d holds, %d outbox entries, %d list entries, %d accounts, %d records, %d blobs, %d audit entries, %d reports, %d greylisted, %d traffic rows",
			m.Holds, m.Outbox, m.Lists, m.Accounts, m.Records, m.Blobs, m.Audit, m.Reports, m.Greylist, m.Traffic)
	})
	if err != nil || job.Moved == nil {
		return err
	}
	if t := job.Moved.Taken; len(t) > 0 {
		return app.Findf("%d records stay in the old home, because the new one has others of their names: %q", len(t), t)
	}
	if n, d := len(job.Moved.Busy), len(job.Moved.Damaged); n+d > 0 {
		return app.Findf("%d are being sent just now: run it again for them; %d are damaged and stay: %q", n, d, job.Moved.Damaged)
	}
	return nil
}

// often is how often the state of a work is asked for.
const often = 500 * time.Millisecond

// follow begins a work on the store and shows how far it is until it ends.
func follow(a *app.App, call string, asJSON bool, line func(calls.StoreJob) string) (calls.StoreJob, error) {
	c, done, err := a.Connect()
	if err != nil {
		return calls.StoreJob{}, err
	}
	defer done()
	var job calls.StoreJob
	if err := c.Call(a.Ctx, call, struct{}{}, &job); err != nil {
		return job, app.CallError(err)
	}
	last := ""
	for job.Running {
		select {
		case <-a.Ctx.Done():
			return job, stop(a, c)
		case <-time.After(often):
		}
		if err := c.Call(a.Ctx, "store.job", struct{}{}, &job); err != nil && a.Ctx.Err() == nil {
			return job, app.CallError(err)
		}
		if now := line(job); now != last && !asJSON && job.Running {
			fmt.Fprintf(a.Stdout, "%s ...\n", now)
			last = now
		}
	}
	if asJSON {
		err = a.JSON(job)
	} else {
		_, err = fmt.Fprintln(a.Stdout, line(job))
	}
	if err == nil && job.Error != "" {
		err = fmt.Errorf("%s", app.Clean(job.Error))
	}
	return job, err
}

func stop(a *app.App, c control.Caller) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.Ctx), 10*time.Second)
	defer cancel()
	if err := c.Call(ctx, "store.stop", struct{}{}, nil); err != nil {
		return app.CallError(err)
	}
	return app.Findf("stopped; run it again to go on")
}

type estimateCmd struct {
	Messages int64 `default:"100000" help:"Messages a day to plan for."`
	Held     int   `default:"2" help:"Of a hundred messages, how many are held."`
	JSON     bool  `name:"json" help:"Print JSON."`
}

// Run shows what each kind of state takes now, and what it would take.
func (c *estimateCmd) Run(a *app.App) error {
	return app.Call(a, "store.estimate", struct{}{}, c.JSON, func(s calls.Stored) { c.show(a, s) })
}

func (c *estimateCmd) show(a *app.App, s calls.Stored) {
	fmt.Fprintf(a.Stdout, "home: %s\n%-12s %12s %12s %12s %12s %14s\n", s.Home, "", "items", "takes", "each", "cap", "would take")
	var total int64
	for _, z := range s.Sizes {
		want := int64(z.Each() * float64(c.items(z)))
		total += want
		fmt.Fprintf(a.Stdout, "%-12s %12d %12s %12s %12s %14s\n", z.Of, z.Items, bytes(z.Bytes), bytes(int64(z.Each())), orNone(z.Cap), bytes(want))
	}
	fmt.Fprintf(a.Stdout, "%d messages a day, %d%% of them held, would take %s when every time of keeping has passed once\n", c.Messages, c.Held, bytes(total))
}

// items is how many there would be of a kind at the planned load.
func (c *estimateCmd) items(z home.Size) int64 {
	days := int64(z.Days)
	if days == 0 {
		return z.Items
	}
	switch z.Of {
	case home.OfHolds:
		return c.Messages * int64(c.Held) / 100 * days
	case home.OfTraffic:
		return c.Messages * days
	}
	return z.Items
}

func bytes(n int64) string { return config.Size(n).String() }

func orNone(n int64) string {
	if n == 0 {
		return "-"
	}
	return bytes(n)
}
