// Package learncmd is the command line over what is learned.
package learncmd

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/learning"
	"postern/filter/bayes/train"
	"postern/internal/control"
)

// Learn are the commands.
type Learn struct {
	Spam   teachCmd  `cmd:"" help:"Learn messages as spam."`
	Ham    teachCmd  `cmd:"" help:"Learn messages as good."`
	Forget teachCmd  `cmd:"" help:"Forget messages, whatever they were learned as."`
	Undo   undoCmd   `cmd:"" help:"Take back one message, one act, or all since a time."`
	Status statusCmd `cmd:"" help:"Say how much was learned, and how well that does."`
	Show   statusCmd `cmd:"" help:"The same, with the messages kept aside that are judged to be what they are not."`
}

type teachCmd struct {
	Paths  []string `arg:"" name:"path" help:"Message files, folders of them, Maildirs, or mbox files."`
	Domain string   `help:"For mail to this domain alone; it stands in learning.domains."`
	Quiet  bool     `short:"q" help:"Show no progress."`
	JSON   bool     `name:"json" help:"Print JSON."`
}

// octets bounds the messages of one call.
const octets = 16 << 20

// Run learns.
func (c *teachCmd) Run(a *app.App) error {
	server, done, err := a.Connect()
	if err != nil {
		return err
	}
	defer done()
	t := teaching{app: a, server: server, ask: learning.Messages{Class: a.Verb(), Domain: c.Domain}, sum: map[string]int{}, quiet: c.Quiet || c.JSON}
	if err := walk(c.Paths, t.add); err != nil {
		return err
	}
	if err := t.send(); err != nil {
		return err
	}
	if !t.quiet && t.n > 0 {
		fmt.Fprintln(a.Stderr)
	}
	if c.JSON {
		return a.JSON(learning.Taught{Run: t.ask.Run, States: t.sum})
	}
	fmt.Fprintf(a.Stdout, "%d messages: %s\n", t.n, words(t.sum))
	if t.n > t.sum[train.Already]+t.sum[train.Unknown] {
		fmt.Fprintf(a.Stdout, "take it back: postern learn undo --act %s\n", t.ask.Run)
	}
	return nil
}

// teaching sends messages batch by batch.
type teaching struct {
	app    *app.App
	server control.Caller
	ask    learning.Messages
	bytes  int
	n      int
	sum    map[string]int
	quiet  bool
}

func (t *teaching) add(ref string, body []byte) error {
	if len(body) > learning.MaxMessage {
		return app.Usagef("%s: larger than %d bytes", ref, learning.MaxMessage)
	}
	if t.bytes+len(body) > octets || len(t.ask.All) == train.Batch {
		if err := t.send(); err != nil {
			return err
		}
	}
	t.ask.All, t.bytes = append(t.ask.All, learning.Letter{Ref: ref, Body: body}), t.bytes+len(body)
	return nil
}

func (t *teaching) send() error {
	if len(t.ask.All) == 0 {
		return nil
	}
	var out learning.Taught
	if err := t.server.Call(t.app.Ctx, "learn.messages", t.ask, &out); err != nil {
		return app.CallError(err)
	}
	t.n += len(t.ask.All)
	for state, n := range out.States {
		t.sum[state] += n
	}
	t.ask.Run, t.ask.All, t.bytes = out.Run, nil, 0
	if !t.quiet {
		fmt.Fprintf(t.app.Stderr, "\r%d messages", t.n)
	}
	return nil
}

func words(sum map[string]int) string {
	var out []string
	for state, n := range sum {
		out = append(out, fmt.Sprintf("%d %s", n, state))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

type undoCmd struct {
	ID    string        `help:"One message, by the ID that learning printed as JSON."`
	Act   string        `help:"All of one act."`
	Since time.Duration `help:"All that changed in this time."`
	Auto  bool          `help:"With --since, what was learned without a person alone; without it, all of that."`
	JSON  bool          `name:"json" help:"Print JSON."`
}

// Run takes back.
func (c *undoCmd) Run(a *app.App) error {
	what := train.Back{ID: c.ID, Run: c.Act}
	if c.Since > 0 {
		what.Since = a.Now().Add(-c.Since)
	}
	if c.Auto {
		if c.ID != "" || c.Act != "" {
			return app.Usagef("learn undo: --auto goes with --since, or alone")
		}
		if what.Via = train.ViaAuto; c.Since <= 0 {
			what.Since = time.Unix(1, 0)
		}
	}
	return app.Call(a, "learn.undo", what, c.JSON, func(u learning.Undone) {
		fmt.Fprintf(a.Stdout, "%d messages count as before\n", u.Messages)
	})
}

type statusCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run says how much was learned.
func (c *statusCmd) Run(a *app.App) error {
	return app.Call(a, "learn.status", struct{}{}, c.JSON, func(s train.Status) {
		for _, one := range s.Scopes {
			show(a, one)
			if a.Verb() == "show" {
				misses(a, one)
			}
		}
		fmt.Fprintf(a.Stdout, "%d words and marks, %.1f MB\n", s.Tokens, float64(s.Bytes)/1e6)
		if s.Idle > 0 {
			fmt.Fprintf(a.Stdout, "%d messages do not count: they were learned for a domain that learning.domains does not name, or under another key\n", s.Idle)
		}
	})
}

func show(a *app.App, s train.Scope) {
	name := "for all"
	if s.Domain != "" {
		name = "for " + s.Domain
	}
	fmt.Fprintf(a.Stdout, "%s: %d spam, %d good; ", name, s.Spam, s.Ham)
	fmt.Fprintln(a.Stdout, map[string]string{"nothing": "too little of one of them to say anything", "little": "enough for the bands in the middle", "all": "enough for all bands"}[s.Says])
	if !s.First.IsZero() {
		fmt.Fprintf(a.Stdout, "  from %s to %s\n", s.First.Local().Format(time.DateOnly), s.Last.Local().Format(time.DateOnly))
	}
	if s.Aside > 0 {
		fmt.Fprintf(a.Stdout, "  of %d kept aside: in BAYES_95 and BAYES_99 %s of spam and %s of good mail; %s of spam is taken for good\n", s.Aside, part(s.Caught), part(s.Wrong), part(s.Missed))
	}
}

// misses are what is judged to be what it is not. Strangers wrote some of it.
func misses(a *app.App, s train.Scope) {
	for _, m := range s.Misses {
		fmt.Fprintf(a.Stdout, "  %s, called %s by %s (%s), %s %.1f %%: %q of %q\n", m.ID, m.Class, m.By, m.Via, m.Band, 100*m.P, m.Ref, m.Sender)
	}
}

func part(s train.Share) string {
	if s.Of == 0 {
		return "none seen"
	}
	return fmt.Sprintf("%.1f %% (%d of %d; %.1f to %.1f %%)", 100*float64(s.N)/float64(s.Of), s.N, s.Of, 100*s.Low, 100*s.High)
}
