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

	"github.com/alecthomas/kong"

	"postern/cmd/postern/app"
	"postern/cmd/postern/appealcmd"
	"postern/cmd/postern/backupcmd"
	"postern/cmd/postern/campaigncmd"
	"postern/cmd/postern/casecmd"
	"postern/cmd/postern/democmd"
	"postern/cmd/postern/desk"
	"postern/cmd/postern/digestcmd"
	"postern/cmd/postern/dkimcmd"
	"postern/cmd/postern/inboxcmd"
	"postern/cmd/postern/intakecmd"
	"postern/cmd/postern/judge"
	"postern/cmd/postern/learncmd"
	"postern/cmd/postern/lettercmd"
	"postern/cmd/postern/measurecmd"
	"postern/cmd/postern/noticecmd"
	"postern/cmd/postern/peoplecmd"
	"postern/cmd/postern/secondcmd"
	"postern/cmd/postern/servicecmd"
	"postern/cmd/postern/sourcecmd"
	"postern/cmd/postern/storecmd"
	"postern/cmd/postern/suppresscmd"
	"postern/filter/link/qr"
)

type cli struct {
	Config string `short:"c" env:"POSTERN_CONFIG" default:"/etc/postern/postern.yaml" help:"Path of postern.yaml." type:"path"`

	Serve      serveCmd             `cmd:"" help:"Run the gateway."`
	Demo       democmd.Cmd          `cmd:"" help:"Run a gateway with sample mail on this machine alone."`
	Health     healthCmd            `cmd:"" help:"Ask the running gateway whether it is well."`
	Scan       judge.Scan           `cmd:"" help:"Say what the gateway would make of message files."`
	Eval       judge.Eval           `cmd:"" help:"Count false positives and negatives over folders of ham and spam."`
	Trace      desk.Trace           `cmd:"" help:"Tell what became of a message."`
	TraceKey   desk.TraceKey        `cmd:"" name:"trace-key" help:"Keys of the tokens that outbound mail is traced by."`
	Cfg        configCmd            `cmd:"" name:"config" help:"Check, print and describe the configuration."`
	Learn      learncmd.Learn       `cmd:"" help:"Learn what is spam and what is good; forget, take back, say how well it does."`
	Rules      rulesCmd             `cmd:"" help:"The rules: check, test, explain, import; what they did, switch them off, their history."`
	Quarantine desk.Quarantine      `cmd:"" help:"List, show, release and delete held mail."`
	Digest     digestcmd.Digest     `cmd:"" help:"Letters to recipients about their held mail: list, preview, send."`
	Inbox      inboxcmd.Inbox       `cmd:"" help:"Mail of test domains, which is kept and goes nowhere."`
	Outbox     desk.Outbox          `cmd:"" help:"Mail that still waits for a server behind."`
	Blocklist  desk.Blocklist       `cmd:"" help:"Own lists, and what DNS lists say."`
	Greylist   desk.Greylist        `cmd:"" help:"Senders who were asked to come again."`
	Account    desk.Account         `cmd:"" help:"Local accounts: show, throttle, hold, suspend, restore."`
	Measure    measurecmd.Measure   `cmd:"" help:"Measures against accounts, and the automation that takes some."`
	DKIM       dkimcmd.DKIM         `cmd:"" name:"dkim" help:"Keys that sign what goes out."`
	User       peoplecmd.User       `cmd:"" help:"Who may use the desk and its API."`
	Token      peoplecmd.Token      `cmd:"" help:"With what programs act for users."`
	Complaint  intakecmd.Complaint  `cmd:"" help:"Reports that came in at the abuse desk."`
	Feed       intakecmd.Feed       `cmd:"" help:"Feedback loops that report to the abuse desk."`
	Notice     noticecmd.Notice     `cmd:"" help:"Letters of the abuse desk: read, draft, send."`
	Template   lettercmd.Template   `cmd:"" help:"What the letters of the abuse desk say: list, show, check, set, history, diff, rollback, reset."`
	Snippet    lettercmd.Snippet    `cmd:"" help:"Short texts for letters: list, save, remove, share, withdraw."`
	Case       casecmd.Case         `cmd:"" help:"Cases of the abuse desk."`
	Suppress   suppresscmd.Suppress `cmd:"" help:"Recipients who want no mail of an account: list, add, lift."`
	Campaign   campaigncmd.Campaign `cmd:"" help:"Copies of one letter: list, show, mark as bad or good."`
	Appeal     appealcmd.Appeal     `cmd:"" help:"What senders wrote whose mail was refused: list, answer, grant, refuse."`
	Approval   secondcmd.Approval   `cmd:"" help:"What needs two persons: list, approve, refuse."`
	Guarantee  casecmd.Guarantee    `cmd:"" help:"Written guarantees by which a suspended account comes back."`
	Source     sourcecmd.Source     `cmd:"" help:"Sources of abuse elsewhere: confirm, tell who runs them, block, lift."`
	Published  sourcecmd.Published  `cmd:"" help:"Lists of spam servers that others publish."`
	Listing    sourcecmd.Listing    `cmd:"" help:"Our own addresses and domains on block lists."`
	Calendar   casecmd.Calendar     `cmd:"" help:"Working time: holidays, make-up days, deadlines."`
	Service    servicecmd.Service   `cmd:"" help:"Figures of the service guarantee, month by month."`
	Reports    desk.Reports         `cmd:"" help:"Reports of DMARC and TLS, received and sent."`
	Audit      desk.Audit           `cmd:"" help:"Who changed what."`
	Store      storecmd.Store       `cmd:"" help:"Care for the store."`
	Backup     backupcmd.Backup     `cmd:"" help:"Backups: make, list, verify."`
	Restore    backupcmd.Restore    `cmd:"" help:"Bring a backup into an empty home."`
	Load       loadCmd              `cmd:"" hidden:"" help:"Send test mail and keep the ledger."`
	Version    versionCmd           `cmd:"" help:"Print the version."`
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == qr.Hidden {
		if err := qr.Serve(os.Stdin, os.Stdout); !errors.Is(err, io.EOF) {
			os.Exit(app.Fault)
		}
		return
	}
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
		return app.Fault
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
		return app.Usage
	}
	now, err := clock()
	if err != nil {
		fmt.Fprintln(stderr, "postern:", err)
		return app.Fault
	}
	self, err := os.Executable()
	if err != nil {
		self = ""
	}
	a := &app.App{Self: self, Ctx: ctx, Stdin: stdin, Stdout: stdout, Stderr: stderr, Now: now, Config: c.Config, Command: kctx.Command()}
	err = kctx.Run(a, &c)
	if err == nil {
		return app.Fine
	}
	var e *app.Exit
	if !errors.As(err, &e) {
		e = &app.Exit{Code: app.Fault, Err: err}
	}
	if text := e.Error(); text != "" {
		fmt.Fprintln(stderr, "postern:", text)
	}
	return e.Code
}
