package main

import (
	"fmt"
	"path/filepath"

	"postern/cmd/postern/app"
	"postern/internal/config"
	"postern/internal/spool"
	"postern/internal/store/local"
)

type storeCmd struct {
	Reindex reindexCmd `cmd:"" help:"Make a damaged database again from the held messages. No server may run."`
}

type reindexCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run rebuilds the database of the embedded home; bodies that could not be read are a
// finding.
func (c *reindexCmd) Run(a *app.App) error {
	cfg, err := config.Load(a.Config)
	if err != nil {
		return err
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
		_, err = fmt.Fprintf(a.Stdout, "%d holds and %d outbox entries are back; own lists, accounts and the audit trail come only from a backup\n", done.Holds, done.Outbox)
	}
	if err == nil && len(done.Lost) > 0 {
		return app.Findf("%d bodies are damaged or unknown and were moved to %s", len(done.Lost), filepath.Join(cfg.State, "lost"))
	}
	return err
}
