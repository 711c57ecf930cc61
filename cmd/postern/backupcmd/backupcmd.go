// Package backupcmd are the commands over backups.
package backupcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"postern/cmd/postern/app"
	"postern/cmd/postern/backups"
	"postern/cmd/postern/gateway"
	"postern/cmd/postern/home"
	"postern/internal/backup"
	"postern/internal/backup/secret"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/record"
	"postern/internal/spool"
	"postern/internal/store/dump"
)

// Backup are the commands.
type Backup struct {
	Run    runCmd    `cmd:"" help:"Make a backup now, while mail flows."`
	List   listCmd   `cmd:"" help:"List the runs there are."`
	Verify verifyCmd `cmd:"" help:"Read a run, and those it stands on, to the last byte."`
	Prove  proveCmd  `cmd:"" help:"Restore a run into a home of its own for a trial, look at it, and throw it away."`
}

type runCmd struct {
	Full bool `help:"Write everything, not only what changed."`
	JSON bool `name:"json" help:"Print JSON."`
}

// Run makes a run and waits for it.
func (c *runCmd) Run(a *app.App) error {
	return follow(a, "backup.run", backups.Ask{Full: c.Full}, c.JSON, func(j backups.Job) {
		if r := j.Run; r != nil {
			fmt.Fprintf(a.Stdout, "%s: %s, %s\n", r.Run, r.Kind, config.Size(r.Bytes))
		}
	})
}

type listCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run lists runs; a damaged one is a finding.
func (c *listCmd) Run(a *app.App) error {
	var damaged []string
	err := app.Call(a, "backup.list", struct{}{}, c.JSON, func(l backups.Listing) {
		damaged = l.Damaged
		for _, r := range l.Runs {
			fmt.Fprintf(a.Stdout, "%-32s %-12s %10s %6d holds %6d records  %s\n", r.Run, r.Kind, config.Size(r.Bytes), r.Live["holds"], r.Live["records"], r.Started.Local().Format(time.DateTime))
		}
	})
	if err == nil && len(damaged) > 0 {
		return app.Findf("%s", app.Clean(damaged[0]))
	}
	return err
}

type verifyCmd struct {
	ID   string `arg:"" optional:"" name:"run" help:"Name of the run; the last one by default."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run verifies; damage is a finding.
func (c *verifyCmd) Run(a *app.App) error {
	return follow(a, "backup.verify", backups.Ask{Run: c.ID}, c.JSON, func(j backups.Job) {
		if v := j.Verified; v != nil && j.Error == "" {
			fmt.Fprintf(a.Stdout, "whole: %d runs, %d files, %d records, %s\n", v.Runs, v.Files, v.Records, config.Size(v.Bytes))
		}
	})
}

type proveCmd struct {
	ID   string `arg:"" optional:"" name:"run" help:"Name of the run; the last one by default."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run tries a run; what does not come back is a finding.
func (c *proveCmd) Run(a *app.App) error {
	return follow(a, "backup.prove", backups.Ask{Run: c.ID}, c.JSON, func(j backups.Job) {
		if p := j.Proof; p != nil && p.OK {
			fmt.Fprintf(a.Stdout, "%s came back whole: %d records, %d entries of the audit\n", p.Run, p.Records, p.Audit)
		}
	})
}

const often = 300 * time.Millisecond

// follow begins a work and waits for its end; interrupted, it stops the work.
func follow(a *app.App, call string, ask backups.Ask, asJSON bool, show func(backups.Job)) error {
	c, done, err := a.Connect()
	if err != nil {
		return err
	}
	defer done()
	var job backups.Job
	if err := c.Call(a.Ctx, call, ask, &job); err != nil {
		return app.CallError(err)
	}
	for job.Running {
		select {
		case <-a.Ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(a.Ctx), 10*time.Second)
			defer cancel()
			return errors.Join(c.Call(ctx, "backup.stop", struct{}{}, nil), app.Findf("stopped: nothing of it is left"))
		case <-time.After(often):
		}
		if err := c.Call(a.Ctx, "backup.job", struct{}{}, &job); err != nil && a.Ctx.Err() == nil {
			return app.CallError(err)
		}
	}
	if asJSON {
		err = a.JSON(job)
	} else {
		show(job)
	}
	if err == nil && job.Error != "" {
		return app.Findf("%s", app.Clean(job.Error))
	}
	return err
}

// Restore is the command that brings a backup into an empty home.
type Restore struct {
	ID       string `arg:"" name:"run" help:"Name of the run."`
	Dir      string `help:"Folder of the backups; backup.dir by default." type:"path"`
	Identity string `help:"File with the secret key of age that the keys were encrypted to." type:"path"`
	NoKeys   bool   `name:"no-keys" help:"Leave the keys out; new ones are made."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Restored is what Restore prints.
type Restored struct {
	Run     string           `json:"run"`
	Home    string           `json:"home"`
	Records dump.Restored    `json:"records"`
	Files   backups.Unpacked `json:"files"`
}

// Run restores. No server may run, and the home must be empty.
func (c *Restore) Run(a *app.App) error {
	cfg, err := config.Load(a.Config)
	if err != nil {
		return err
	}
	if c.Dir == "" {
		c.Dir = cfg.Backup.Dir
	}
	if c.Dir == "" {
		return app.Usagef("where the backups are: say --dir or set backup.dir")
	}
	if s, err := control.Dial(a.Ctx, filepath.Join(cfg.State, gateway.Socket)); err == nil {
		s.Close()
		return app.Findf("a server is running on this home: a backup is restored into an empty one that nobody uses")
	} else if !control.NoServer(err) {
		return err
	}
	chain, err := backup.Open(c.Dir, c.ID)
	if err != nil {
		return found(err)
	}
	defer func() { _ = chain.Close() }() // it was only read
	ids, err := c.identities(chain)
	if err != nil {
		return err
	}
	if _, err := backups.Unpack(a.Ctx, cfg, chain, ids, true); err != nil {
		return found(err)
	}
	out, err := c.load(a, cfg, chain)
	if err != nil {
		return found(err)
	}
	if out.Files, err = backups.Unpack(a.Ctx, cfg, chain, ids, false); err != nil {
		return err
	}
	if c.JSON {
		return a.JSON(out)
	}
	fmt.Fprintf(a.Stdout, "%s is back in the %s home: %d holds, %d records, %d blobs, %d audit entries, %d keys; files of the configuration are in %s\n",
		out.Run, out.Home, out.Records["holds"], out.Records["records"], out.Records["blobs"], out.Records["audit"], out.Files.Keys, filepath.Join(cfg.State, backups.RestoredDir))
	return nil
}

// found makes damage and a home that is not empty findings.
func found(err error) error {
	var d *backup.DamageError
	if errors.As(err, &d) || errors.Is(err, dump.ErrNotEmpty) || errors.Is(err, backup.ErrNoRun) {
		return app.Findf("%s", app.Clean(err.Error()))
	}
	return err
}

func (c *Restore) identities(chain *backup.Chain) ([]age.Identity, error) {
	if c.NoKeys || c.Identity == "" && !backups.HasKeys(chain) {
		return nil, nil
	}
	if c.Identity == "" {
		return nil, app.Usagef("this backup has keys: name the file with the secret key by --identity, or leave them out by --no-keys")
	}
	f, err := os.Open(c.Identity)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ids, err := secret.Identities(f)
	if err != nil {
		return nil, app.Usagef("%s: %v", c.Identity, err)
	}
	return ids, nil
}

// load brings the records into the home.
func (c *Restore) load(a *app.App, cfg *config.Config, chain *backup.Chain) (out Restored, err error) {
	h, err := home.Open(a.Ctx, home.Options{
		Config: cfg, Spool: &spool.Spool{Dir: filepath.Join(cfg.State, "spool"), Memory: int64(cfg.Limits.Memory)}, Now: a.Now, Log: a.QuietLog(),
		Event: func(string, string, bool) {}, Rules: func() string { return "" }, Passive: true,
	})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	out = Restored{Run: c.ID, Home: h.Name}
	if out.Records, err = (&dump.Loader{To: h.Parts(), Now: a.Now}).Load(a.Ctx, chain); err != nil {
		return out, err
	}
	audit := record.Auditor{Store: h.Audit, Now: a.Now}
	return out, audit.Write(a.Ctx, control.Self().String(), "restore", c.ID, nil, nil, "")
}
