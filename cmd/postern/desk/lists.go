package desk

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"postern/blocklist/paging"
	"postern/cmd/postern/listcalls"

	"postern/blocklist"
	"postern/cmd/postern/app"
	"postern/cmd/postern/calls"
	"postern/internal/record"
)

type Blocklist struct {
	List   blocklistListCmd   `cmd:"" help:"Show the own lists."`
	Add    blocklistAddCmd    `cmd:"" help:"Add an entry: an IP, a network, a domain or an address."`
	Remove blocklistRemoveCmd `cmd:"" help:"Remove an entry by the key that list shows."`
	Why    blocklistWhyCmd    `cmd:"" help:"Tell what every list says of an IP, a domain or an address."`
	Test   blocklistTestCmd   `cmd:"" help:"Test every DNS list by RFC 5782."`
}

type blocklistListCmd struct {
	Text   string   `arg:"" optional:"" help:"In the value, scope, reason or author."`
	Kind   string   `enum:",block,allow" default:"" help:"block or allow alone."`
	Origin string   `enum:",case,list,hand" default:"" help:"Written by the work on a case, from a published list, or by hand."`
	About  []string `help:"Entries that hold for an IP, a network, a domain or an address."`
	Live   bool     `help:"Without what has expired."`
	Limit  int      `default:"100" help:"Entries of one page, at most 1000."`
	After  string   `help:"The next page's mark."`
	All    bool     `help:"All pages."`
	JSON   bool     `name:"json" help:"Print JSON."`
}

// Run lists the own entries, the youngest first.
func (c *blocklistListCmd) Run(a *app.App) error {
	ask := listcalls.Search{Text: c.Text, Kind: c.Kind, Origin: c.Origin, About: c.About, Live: c.Live, Limit: c.Limit, After: c.After}
	if c.All {
		ask.Limit = paging.Most
	}
	whole := listcalls.Entries{Entries: []listcalls.Entry{}}
	for {
		err := app.Call(a, "blocklist.list", ask, false, func(p listcalls.Entries) {
			whole = listcalls.Entries{Entries: append(whole.Entries, p.Entries...), Total: p.Total, Next: p.Next}
		})
		if err != nil {
			return err
		}
		if ask.After = whole.Next; !c.All || whole.Next == "" {
			break
		}
	}
	if c.JSON {
		return a.JSON(whole)
	}
	for _, e := range whole.Entries {
		printEntry(a.Stdout, e)
	}
	if whole.Next != "" {
		fmt.Fprintf(a.Stdout, "%d of %d, more: --after %q\n", len(whole.Entries), whole.Total, whole.Next)
	}
	return nil
}

func printEntry(w io.Writer, e listcalls.Entry) {
	until := "for ever"
	if !e.Expires.IsZero() {
		until = "until " + e.Expires.Local().Format(time.DateTime)
	}
	fmt.Fprintf(w, "%-50s %s, by %s: %s\n", app.Clean(e.Key), until, app.Clean(e.Author), app.Clean(e.Reason))
}

type blocklistAddCmd struct {
	Value  string        `arg:"" help:"192.0.2.1, 192.0.2.0/24, example.com or a@example.com."`
	Allow  bool          `help:"Allow instead of block. A domain or address is allowed only with aligned SPF or DKIM."`
	Scope  string        `default:"all" help:"all, domain:example.com or recipient:a@example.com."`
	Reason string        `required:"" help:"Why; it is shown and audited."`
	For    time.Duration `help:"How long (720h); for ever by default."`
	JSON   bool          `name:"json" help:"Print JSON."`
}

// Run adds an entry.
func (c *blocklistAddCmd) Run(a *app.App) error {
	e := blocklist.Entry{Allow: c.Allow, Value: c.Value, Scope: c.Scope, Reason: c.Reason}
	if c.For > 0 {
		e.Expires = a.Now().Add(c.For).UTC()
	}
	return app.Call(a, "blocklist.add", e, c.JSON, func(e listcalls.Entry) { printEntry(a.Stdout, e) })
}

type blocklistRemoveCmd struct {
	Key  []string `arg:"" help:"The key, as list shows it: block example.com all."`
	Note string   `help:"Why."`
	JSON bool     `name:"json" help:"Print JSON."`
}

// Run removes an entry.
func (c *blocklistRemoveCmd) Run(a *app.App) error {
	return app.Call(a, "blocklist.remove", calls.ID{ID: strings.Join(c.Key, " "), Note: c.Note}, c.JSON, func(key string) {
		fmt.Fprintf(a.Stdout, "removed: %s\n", app.Clean(key))
	})
}

type blocklistWhyCmd struct {
	Of   string `arg:"" help:"IP, domain or address."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run asks all lists.
func (c *blocklistWhyCmd) Run(a *app.App) error {
	return app.Call(a, "blocklist.why", calls.Listing{Of: c.Of}, c.JSON, func(all []blocklist.Answer) {
		if len(all) == 0 {
			fmt.Fprintf(a.Stdout, "%s is not listed: no own entry is about it, and there is no DNS list to ask\n", app.Clean(c.Of))
		}
		for _, x := range all {
			fmt.Fprintf(a.Stdout, "%-16s %-6s %-30s %s\n", app.Clean(x.List), x.Of, app.Clean(x.Subject), app.Clean(answerText(x)))
		}
	})
}

// answerText is what one list says, in one line.
func answerText(x blocklist.Answer) string {
	said := strings.TrimSpace(strings.Join(append(slices.Clone(x.Codes), x.Symbols...), " ") + " " + x.Text)
	switch {
	case x.Unasked != "":
		return "not asked: " + x.Unasked
	case x.Off != "" && x.Error != "":
		return "OFF: " + x.Off + "; now it " + x.Error
	case x.Off != "" && said != "":
		return "OFF: " + x.Off + "; it would say " + said
	case x.Off != "":
		return "OFF: " + x.Off + "; not listed"
	case x.Error != "":
		return "could not tell: it " + x.Error
	case x.Listed:
		return "LISTED " + said
	}
	return "not listed"
}

type blocklistTestCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run tests every list; one that does not work is a finding.
func (c *blocklistTestCmd) Run(a *app.App) error {
	off := 0
	err := app.Call(a, "blocklist.test", struct{}{}, false, func(all []blocklist.ListHealth) {
		for _, h := range all {
			if !h.On {
				off++
			}
		}
		if c.JSON {
			_ = a.JSON(all)
			return
		}
		for _, h := range all {
			word := "works"
			switch {
			case !h.On:
				word = "OFF since " + h.Since.Local().Format(time.DateTime) + ": it " + h.Fault
			case h.IPv6:
				word = "works, IPv6 too"
			}
			fmt.Fprintf(a.Stdout, "%-16s %-6s %-30s %s\n", app.Clean(h.Name), h.Of, app.Clean(h.Zone), app.Clean(word))
		}
		if len(all) == 0 {
			fmt.Fprintln(a.Stdout, "no DNS list is configured")
		}
	})
	if err == nil && off > 0 {
		return app.Findf("%d lists do not work", off)
	}
	return err
}

type Audit struct {
	List   auditListCmd   `cmd:"" help:"Show the audit trail."`
	Find   auditFindCmd   `cmd:"" help:"Search the audit trail, the newest first; exit 1 if nothing is found."`
	Verify auditVerifyCmd `cmd:"" help:"Check that the audit trail is unbroken."`
}

type auditListCmd struct {
	After int64 `help:"Number of the entry after which to go on."`
	Limit int   `default:"100" help:"Entries of one page."`
	JSON  bool  `name:"json" help:"Print JSON."`
}

// Run shows audit entries.
func (c *auditListCmd) Run(a *app.App) error {
	return app.Call(a, "audit.list", calls.AuditPage{After: c.After, Limit: c.Limit}, c.JSON, func(all []record.Entry) {
		for _, e := range all {
			auditLine(a.Stdout, e)
		}
	})
}

type auditVerifyCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run verifies the chain of hashes.
func (c *auditVerifyCmd) Run(a *app.App) error {
	return app.Call(a, "audit.verify", struct{}{}, c.JSON, func(s string) { fmt.Fprintln(a.Stdout, s) })
}
