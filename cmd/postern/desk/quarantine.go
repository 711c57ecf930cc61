package desk

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"postern/abuse"
	"postern/cmd/postern/app"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/tracecalls"
	"postern/internal/record"
	"postern/internal/relay/outbox"
	"postern/quarantine"
)

type Quarantine struct {
	List    quarantineListCmd    `cmd:"" help:"List and search held mail."`
	Show    quarantineShowCmd    `cmd:"" help:"Show one hold, or its message."`
	Release quarantineReleaseCmd `cmd:"" help:"Hand holds to their original recipients."`
	Delete  quarantineDeleteCmd  `cmd:"" help:"Delete holds."`
}

type quarantineListCmd struct {
	Query []string `arg:"" optional:"" help:"Words of the subject, and from: to: symbol: state: class: policy: direction: score: since: until:."`
	Sort  string   `enum:"newest,oldest,highest,lowest" default:"newest" help:"newest or oldest first, or by score: highest or lowest first."`
	Limit int      `default:"50" help:"Holds of one page."`
	After string   `help:"The next page's mark."`
	JSON  bool     `name:"json" help:"Print JSON."`
}

// Run lists holds.
func (c *quarantineListCmd) Run(a *app.App) error {
	q := calls.Search{Text: strings.Join(c.Query, " "), Sort: c.Sort, Limit: c.Limit, After: c.After}
	return app.Call(a, "quarantine.list", q, c.JSON, func(p quarantine.Page) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tWHEN\tSTATE\tSCORE\tFROM\tTO\tSUBJECT")
		for _, h := range p.Holds {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", h.ID, h.At.Local().Format("2006-01-02 15:04"), h.State, h.Score,
				cut(h.From, 30), cut(strings.Join(h.To, ","), 30), cut(h.Subject, 50))
		}
		_ = w.Flush()
		if p.Next != "" {
			fmt.Fprintf(a.Stdout, "more: --after %s\n", p.Next)
		}
	})
}

// cut makes text of strangers fit for a column.
func cut(s string, n int) string {
	r := []rune(app.Clean(s))
	if len(r) > n {
		return string(r[:n-3]) + "..."
	}
	return string(r)
}

type quarantineShowCmd struct {
	ID     string `arg:"" help:"ID of the hold."`
	Raw    bool   `help:"Write the message as it came in."`
	Reason string `help:"Why it is needed, where a virus was found in it; the audit keeps it."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// rawPiece is how much of a message is fetched at once, in octets.
const rawPiece = 8 << 20

// Run shows a hold.
func (c *quarantineShowCmd) Run(a *app.App) error {
	if c.Raw {
		return c.raw(a)
	}
	return app.Call(a, "quarantine.show", calls.ID{ID: c.ID}, c.JSON, func(h quarantine.Hold) { printHold(a.Stdout, h) })
}

// raw writes the message piece by piece.
func (c *quarantineShowCmd) raw(a *app.App) error {
	for ask := (calls.Piece{ID: c.ID, Limit: rawPiece, Note: c.Reason}); ; {
		var more bool
		var wrote error
		err := app.Call(a, "quarantine.raw", ask, false, func(r calls.Raw) {
			_, wrote = a.Stdout.Write(r.Body)
			ask.Offset, more = ask.Offset+int64(len(r.Body)), r.More && len(r.Body) > 0
		})
		if err = errors.Join(err, wrote); err != nil || !more {
			return err
		}
	}
}

func printHold(w io.Writer, h quarantine.Hold) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", name, app.Clean(fmt.Sprintf(format, args...)))
	}
	line("id", "%s", h.ID)
	line("state", "%s (%s), until %s", h.State, h.Class, h.Expires.Local().Format(time.DateTime))
	line("held", "%s, %d bytes", h.At.Local().Format(time.DateTime), h.Size)
	line("from", "<%s> through %s %s (%s)", h.From, h.Client.IP, h.Client.Helo, h.Listener)
	line("to", "%s", strings.Join(h.To, ", "))
	line("subject", "%s", h.Subject)
	line("verdict", "%s %s under policy %s, rules %s", h.Action, h.Score, h.Policy, h.RulesRev)
	for _, r := range h.Reasons {
		line("", "%s %+.2f %s %s", r.Symbol, r.Score.Points(), r.Describe, r.Detail)
	}
	for _, u := range h.Unchecked {
		line("unchecked", "%s (%s)", u.Step, u.Reason)
	}
	if h.Reply != "" {
		line("backend", "%s", h.Reply)
	}
	if h.Release != nil {
		line("release", "by %s at %s, %d attempts %s", h.Release.By, h.Release.At.Local().Format(time.DateTime), h.Release.Attempts, h.Release.Failure)
	}
	if h.Ended != nil {
		line("ended", "%s by %s %s", h.Ended.At.Local().Format(time.DateTime), h.Ended.By, h.Ended.Reply)
	}
	line("sha256", "%s", h.SHA256)
}

type quarantineReleaseCmd struct {
	IDs  []string `arg:"" name:"id" help:"IDs of holds."`
	JSON bool     `name:"json" help:"Print JSON."`
}

// Run releases each hold and ends with a finding when one could not be delivered now.
func (c *quarantineReleaseCmd) Run(a *app.App) error {
	var late []string
	for _, id := range c.IDs {
		err := app.Call(a, "quarantine.release", calls.ID{ID: id}, c.JSON, func(h quarantine.Hold) {
			fmt.Fprintf(a.Stdout, "%s: %s\n", h.ID, h.State)
			if h.State != quarantine.Released && h.Release != nil {
				late = append(late, h.ID+": "+h.Release.Failure)
			}
		})
		if err != nil {
			return err
		}
	}
	if len(late) > 0 {
		return app.Findf("not delivered yet: %s", app.Clean(strings.Join(late, "; ")))
	}
	return nil
}

type quarantineDeleteCmd struct {
	IDs  []string `arg:"" name:"id" help:"IDs of holds."`
	Note string   `help:"Why."`
	JSON bool     `name:"json" help:"Print JSON."`
}

// Run deletes holds.
func (c *quarantineDeleteCmd) Run(a *app.App) error {
	for _, id := range c.IDs {
		err := app.Call(a, "quarantine.delete", calls.ID{ID: id, Note: c.Note}, c.JSON, func(h quarantine.Hold) {
			fmt.Fprintf(a.Stdout, "%s: %s\n", h.ID, h.State)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

type Outbox struct {
	List  outboxListCmd `cmd:"" help:"What still waits for a server behind."`
	Show  outboxOneCmd  `cmd:"" help:"Show one entry."`
	Retry outboxOneCmd  `cmd:"" help:"Try an entry now."`
	Hold  outboxOneCmd  `cmd:"" help:"Move an entry to the quarantine."`
}

type outboxListCmd struct {
	Limit int    `default:"100" help:"Entries of one page."`
	After string `help:"ID after which to go on."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run lists the outbox, oldest first.
func (c *outboxListCmd) Run(a *app.App) error {
	return app.Call(a, "outbox.list", calls.Paging{After: c.After, Limit: c.Limit}, c.JSON, func(all []outbox.Entry) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tADDED\tTRIES\tNEXT\tBACKEND\tFROM\tTO\tLAST REPLY")
		for _, e := range all {
			var to []string
			for _, r := range e.To {
				to = append(to, r.Address)
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", e.ID, e.Added.Local().Format("2006-01-02 15:04"), e.Attempts,
				e.Next.Local().Format("15:04:05"), e.Backend, cut(e.From, 30), cut(strings.Join(to, ","), 30), cut(e.LastReply, 60))
		}
		_ = w.Flush()
	})
}

type outboxOneCmd struct {
	ID   string `arg:"" help:"ID of the entry."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows, retries or holds an entry, as the command was called.
func (c *outboxOneCmd) Run(a *app.App) error {
	verb := a.Verb()
	if verb == "show" {
		return app.Call(a, "outbox.show", calls.ID{ID: c.ID}, c.JSON, func(e outbox.Entry) { _ = a.JSON(e) })
	}
	return app.Call(a, "outbox."+verb, calls.ID{ID: c.ID}, c.JSON, func(s string) { fmt.Fprintln(a.Stdout, s) })
}

type Account struct {
	List     accountListCmd   `cmd:"" help:"Accounts with a record: suspended once, or under a measure."`
	Show     accountOneCmd    `cmd:"" help:"Show one account."`
	Why      accountWhyCmd    `cmd:"" help:"What is in force against an account, and what speaks against it."`
	Throttle accountChangeCmd `cmd:"" help:"Leave an account few messages an hour."`
	Hold     accountChangeCmd `cmd:"" help:"Hold what an account sends."`
	Suspend  accountChangeCmd `cmd:"" help:"Stop an account from sending, at once."`
	Restore  accountChangeCmd `cmd:"" help:"Let an account send again: every measure against it is lifted."`
	Undo     accountUndoCmd   `cmd:"" help:"Lift every measure against an account."`
}

type accountListCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run lists accounts.
func (c *accountListCmd) Run(a *app.App) error {
	return app.Call(a, "account.list", struct{}{}, c.JSON, func(all []abuse.Account) {
		for _, acc := range all {
			printAccount(a.Stdout, acc)
		}
	})
}

func printAccount(w io.Writer, acc abuse.Account) {
	fmt.Fprintf(w, "%s: %s since %s by %s: %s\n", app.Clean(acc.Name), acc.State, acc.At.Local().Format(time.DateTime), app.Clean(acc.By), app.Clean(acc.Reason))
}

type accountOneCmd struct {
	Name string `arg:"" help:"The account."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run shows an account.
func (c *accountOneCmd) Run(a *app.App) error {
	return app.Call(a, "account.show", calls.AccountChange{Name: c.Name}, c.JSON, func(acc abuse.Account) { printAccount(a.Stdout, acc) })
}

type accountChangeCmd struct {
	Name   string `arg:"" help:"The account."`
	Reason string `required:"" help:"Why; it is written into the audit trail."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run changes an account.
func (c *accountChangeCmd) Run(a *app.App) error {
	return app.Call(a, "account."+a.Verb(), calls.AccountChange{Name: c.Name, Reason: c.Reason}, c.JSON, func(acc abuse.Account) { printAccount(a.Stdout, acc) })
}

type Trace struct {
	Words     []string      `arg:"" optional:"" help:"What is remembered of it: an address, a word of the subject, an ID, a queue ID, or field:value."`
	ID        string        `help:"Our ID of the message, or of a hold."`
	From      string        `help:"Sender: address, @domain or <>."`
	To        string        `help:"Recipient: address or @domain."`
	MessageID string        `name:"message-id" help:"Message-ID field."`
	Subject   string        `help:"Words of the subject."`
	IP        string        `name:"ip" help:"Address or network of the client."`
	Account   string        `help:"Account that sent it."`
	Direction string        `enum:",inbound,outbound" default:"" help:"inbound or outbound."`
	State     string        `help:"What became of a copy: delivered, held, rejected, deferred, outbox or aborted."`
	Reply     string        `help:"A word of a reply, such as the queue ID of the server behind."`
	Token     string        `help:"Trace token of outbound mail (v1. ...): who sent it, and what became of it."`
	Since     time.Duration `help:"Age of the oldest (36h)." default:"168h"`
	Limit     int           `default:"50" help:"Messages of one page."`
	After     string        `help:"The next page's mark."`
	JSON      bool          `name:"json" help:"Print JSON."`
}

// Run tells what became of messages.
func (c *Trace) Run(a *app.App) error {
	if c.Token != "" {
		return c.token(a)
	}
	q := tracecalls.Ask{Text: strings.Join(c.Words, " "), Trace: record.Trace{
		ID: c.ID, From: c.From, To: c.To, MessageID: c.MessageID, Subject: c.Subject, Account: c.Account, Direction: c.Direction, State: c.State, Reply: c.Reply,
		Since: a.Now().Add(-c.Since), Limit: c.Limit, After: c.After,
	}}
	if c.IP != "" {
		p, err := parseNetwork(c.IP)
		if err != nil {
			return app.Usagef("trace: --ip: %v", err)
		}
		q.IP = p
	}
	return app.Call(a, "trace", q, c.JSON, func(p record.Page) {
		_ = record.WriteText(a.Stdout, p.Rows)
		if p.Next != "" {
			fmt.Fprintf(a.Stdout, "more: --after %s\n", p.Next)
		}
	})
}

func parseNetwork(s string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}
