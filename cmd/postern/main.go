// Command postern is the mail gateway and everything an operator does with it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// The exit codes; they are part of the interface.
const (
	exitFine    = 0
	exitFinding = 1 // the answer is bad news: infected, wrong, refused
	exitUsage   = 2
	exitFault   = 3 // bad configuration for serve, store, I/O
)

// exit ends a command with a code; err may be nil when all was said already.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

func finding(format string, args ...any) error {
	return &exit{exitFinding, fmt.Errorf(format, args...)}
}

func usage(format string, args ...any) error {
	return &exit{exitUsage, fmt.Errorf(format, args...)}
}

// app is what commands share.
type app struct {
	ctx            context.Context
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time
	config         string // path of postern.yaml
}

type cli struct {
	Config string `short:"c" env:"POSTERN_CONFIG" default:"/etc/postern/postern.yaml" help:"Path of postern.yaml." type:"path"`

	Serve      serveCmd      `cmd:"" help:"Run the gateway."`
	Demo       demoCmd       `cmd:"" help:"Run a gateway with sample mail on this machine alone."`
	Scan       scanCmd       `cmd:"" help:"Say what the gateway would make of message files."`
	Eval       evalCmd       `cmd:"" help:"Count false positives and negatives over folders of ham and spam."`
	Trace      traceCmd      `cmd:"" help:"Tell what became of a message."`
	Cfg        configCmd     `cmd:"" name:"config" help:"Check, print and describe the configuration."`
	Rules      rulesCmd      `cmd:"" help:"Check, test and explain the rules."`
	Quarantine quarantineCmd `cmd:"" help:"List, show, release and delete held mail."`
	Outbox     outboxCmd     `cmd:"" help:"Mail that still waits for a server behind."`
	Blocklist  blocklistCmd  `cmd:"" help:"Own lists, and what DNS lists say."`
	Account    accountCmd    `cmd:"" help:"Local accounts: show, suspend, restore."`
	Audit      auditCmd      `cmd:"" help:"Who changed what."`
	Load       loadCmd       `cmd:"" hidden:"" help:"Send test mail and keep the ledger."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run parses the command line and runs one command.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var c cli
	quit := -1
	k, err := kong.New(&c,
		kong.Name("postern"),
		kong.Description("A mail gateway: it checks mail before it relays it, and holds what is doubtful."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { quit = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "postern:", err)
		return exitFault
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	kctx, err := k.Parse(args)
	if quit >= 0 { // --help was shown
		return quit
	}
	if err != nil {
		fmt.Fprintln(stderr, "postern:", err)
		return exitUsage
	}
	a := &app{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr, now: time.Now, config: c.Config}
	err = kctx.Run(a, &c, commandPath(kctx.Command()))
	if err == nil {
		return exitFine
	}
	var e *exit
	if !errors.As(err, &e) {
		e = &exit{exitFault, err}
	}
	if text := e.Error(); text != "" {
		fmt.Fprintln(stderr, "postern:", text)
	}
	return e.code
}
