package main

import (
	"context"
	"fmt"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/calls"
	"postern/internal/control"
	"postern/internal/mailtest"
	"postern/internal/mailtest/ledger"
	"postern/quarantine"
)

// loadCmd is the load client, the server behind and the ledger in one: point a gateway's
// backend at --sink, then run it.
type loadCmd struct {
	Addr       string   `required:"" help:"The gateway's listener."`
	Sink       string   `required:"" help:"Address to listen on as the server behind."`
	To         []string `required:"" help:"Recipients."`
	From       string   `default:"load@sender.example" help:"MAIL FROM."`
	Messages   int      `default:"1000" help:"How many."`
	Parallel   int      `default:"50" help:"Connections at once."`
	MaxSize    int      `default:"200000" help:"Bytes of the largest message, about."`
	Tries      int      `default:"5" help:"Tries of each message."`
	Seed       uint64   `default:"1" help:"Makes the messages."`
	Quarantine bool     `help:"Read held mail from the gateway of --config too."`
	JSON       bool     `name:"json" help:"Print JSON."`
}

// Run sends the load and prints the ledger; anything lost or unexplained is a finding.
func (c *loadCmd) Run(a *app.App) error {
	book := ledger.New()
	sink, err := mailtest.StartBackend(c.Sink, mailtest.Script{Done: func(t mailtest.Transaction) {
		if t.Complete {
			book.Arrived(t.To, t.Body)
		}
	}})
	if err != nil {
		return err
	}
	defer sink.Close()
	res, err := ledger.Load{
		Addr: c.Addr, From: c.From, Recipients: c.To, Messages: c.Messages, Parallel: c.Parallel, MaxSize: c.MaxSize,
		Tries: c.Tries, Pause: time.Second, Seed: c.Seed, Ledger: book,
	}.Run(a.Ctx)
	if err != nil {
		return err
	}
	var kept []ledger.Copy
	if c.Quarantine {
		if kept, err = c.held(a.Ctx, a); err != nil {
			return err
		}
	}
	rep := book.Report(kept...)
	if c.JSON {
		if err := a.JSON(rep); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.Stdout, "%s\n%s\n", res, rep)
	}
	if !rep.OK() {
		return &app.Exit{Code: app.Finding}
	}
	return nil
}

// held reads what the quarantine keeps.
func (c *loadCmd) held(ctx context.Context, a *app.App) ([]ledger.Copy, error) {
	caller, done, err := a.Connect()
	if err != nil {
		return nil, err
	}
	defer done()
	return heldCopies(ctx, caller)
}

func heldCopies(ctx context.Context, caller control.Caller) ([]ledger.Copy, error) {
	var all []ledger.Copy
	for after := ""; ; {
		var page quarantine.Page
		if err := caller.Call(ctx, "quarantine.list", calls.Search{Limit: 1000, After: after}, &page); err != nil {
			return nil, err
		}
		for _, h := range page.Holds {
			for _, to := range h.To {
				all = append(all, ledger.Copy{SHA256: h.SHA256, Recipient: to})
			}
		}
		if after = page.Next; after == "" {
			return all, nil
		}
	}
}
