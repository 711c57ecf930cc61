// Package replaycmd rehearses changes of rules on the command line: on what is kept of the mail
// that passed, or on folders of mail without any server.
package replaycmd

import (
	"fmt"
	"os"
	"path/filepath"

	"postern/cmd/postern/app"
	"postern/cmd/postern/features"
	"postern/cmd/postern/judge"
	"postern/cmd/postern/rulecalls"
	"postern/internal/opfiles"
	"postern/rules"
	"postern/rules/replay"
)

// Replay is the command.
type Replay struct {
	Rules    string   `help:"Folder of the operator's rules as they would be; none: as they are." type:"existingdir"`
	Days     int      `help:"How many days back; none: as far as features of mail are kept."`
	Folder   []string `help:"Judge the mail of this folder, whole, instead of what is kept of the mail that passed." type:"existingdir"`
	Ham      []string `help:"The same with wanted mail." type:"existingdir"`
	Spam     []string `help:"The same with unwanted mail." type:"existingdir"`
	Use      string   `name:"with-config" help:"For folders: use this configuration's DNS, lists and scanner." type:"existingfile"`
	FailOver float64  `name:"fail-over" default:"-1" help:"End with 1 where a larger share of the verdicts flips, as 0.01; of labelled mail only those count that become wrong."`
	JSON     bool     `name:"json" help:"Print JSON."`
}

// Answer is what the command prints as JSON.
type Answer struct {
	replay.Report
	Kept *features.Total `json:"kept,omitempty"` // without folders: over all nodes, in all days looked at
	Days int             `json:"days,omitempty"`
	Off  []string        `json:"off,omitempty"`
}

// Run rehearses; dir is the folder of the present rules, "" where the configuration says it.
func (c *Replay) Run(a *app.App, dir string) error {
	if c.FailOver != -1 && (c.FailOver < 0 || c.FailOver > 1) {
		return app.Usagef("rules replay: --fail-over %v is no share between 0 and 1", c.FailOver)
	}
	var out Answer
	var err error
	if len(c.Folder)+len(c.Ham)+len(c.Spam) > 0 {
		err = c.folders(a, dir, &out)
	} else {
		if dir != "" || c.Use != "" {
			return app.Usagef("rules replay: --dir and --with-config are for folders; the server judges by the rules that it has")
		}
		err = c.traffic(a, &out)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = a.JSON(out)
	} else {
		out.print(a.Stdout)
	}
	if share := out.Share(); err == nil && c.FailOver >= 0 && share > c.FailOver {
		return app.Findf("%.4f of the verdicts flip or become wrong, more than %v", share, c.FailOver)
	}
	return err
}

// folders judges mail whole, without a server.
func (c *Replay) folders(a *app.App, dir string, out *Answer) error {
	if c.Days != 0 {
		return app.Usagef("rules replay: --days is for the mail that passed, not for folders")
	}
	present, err := c.present(a, dir)
	if err != nil {
		return &app.Exit{Code: app.Fault, Err: err}
	}
	proposed := present
	if c.Rules != "" {
		if proposed, err = app.LoadChecked(c.Rules); err != nil {
			return &app.Exit{Code: app.Usage, Err: err}
		}
	}
	r := judge.Rehearsal{Present: present, Proposed: proposed, Use: c.Use}
	for label, dirs := range map[string][]string{"": c.Folder, "ham": c.Ham, "spam": c.Spam} {
		for _, d := range dirs {
			r.Folders = append(r.Folders, judge.Folder{Label: label, Dir: d})
		}
	}
	mail, err := r.Run(a)
	if err != nil {
		return err
	}
	out.Rules = [2]string{present.Revision(), proposed.Revision()}
	for _, m := range mail {
		out.Add(replay.Pair{Path: m.Path, Label: m.Label, Before: m.Verdict, After: m.After})
	}
	out.Finish()
	return nil
}

func (c *Replay) present(a *app.App, dir string) (*rules.Set, error) {
	if dir == "" {
		cfg, err := app.ConfigOrDefault(a.Config)
		if err != nil {
			return nil, err
		}
		dir = cfg.Rules.Dir
	}
	return app.LoadRules(dir)
}

// traffic asks the server, part after part.
func (c *Replay) traffic(a *app.App, out *Answer) error {
	p := rulecalls.Replay{Days: c.Days}
	if c.Rules != "" {
		var err error
		if p.Files, err = files(c.Rules); err != nil {
			return err
		}
		p.Whole = true
	}
	server, done, err := a.Connect()
	if err != nil {
		return err
	}
	defer done()
	for {
		var r rulecalls.Replayed
		if err := server.Call(a.Ctx, "rules.replay", p, &r); err != nil {
			return app.CallError(err)
		}
		out.Report, out.Kept, out.Days, out.Off = r.Report, &r.Kept, r.Days, r.Off
		if r.Next == "" {
			return nil
		}
		if app.IsTerminal(a.Stderr) {
			fmt.Fprintf(a.Stderr, "\r%d of about %d", r.Report.Messages, r.Kept.Kept)
		}
		p.After, p.SoFar = r.Next, &r.Report
	}
}

// files reads the rule files of a folder.
func files(dir string) (map[string]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if info.Size() > opfiles.MaxText {
			return nil, app.Usagef("rules replay: %s has more than %d octets", path, opfiles.MaxText)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		out[filepath.Base(path)] = string(text)
	}
	return out, nil
}
