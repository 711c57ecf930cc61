package rulecalls

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"postern/abuse/calendar"
	"postern/cmd/postern/home"
	"postern/cmd/postern/rulecalls/check"
	"postern/cmd/postern/rulecalls/list"
	"postern/cmd/postern/setup"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/diff"
	"postern/internal/opfiles"
	"postern/internal/said"
	"postern/rules"
)

// folders are where the operator's files lie, and those that come with the program.
func (d *Desk) folders() []opfiles.Folder {
	c := d.Config()
	all := []opfiles.Folder{{Kind: "rules", Dir: c.Rules.Dir}}
	if d.ConfigFile != "" {
		all = append(all, opfiles.Folder{Kind: "config", Dir: filepath.Dir(d.ConfigFile), Only: filepath.Base(d.ConfigFile)})
	}
	all = append(all, opfiles.Folder{Kind: "calendar", Dir: c.Abuse.Calendar.Dir})
	if own, err := rules.Defaults(); err == nil {
		all = append(all, opfiles.Folder{Kind: "default", FS: own})
	}
	if own, err := calendar.Defaults(); err == nil {
		all = append(all, opfiles.Folder{Kind: "calendar-own", FS: own})
	}
	return all
}

// Files is what a node runs.
type Files struct {
	Node     string         `json:"node"`
	Revision string         `json:"revision"` // of the rules in force, with what is switched off
	Written  string         `json:"written"`  // of the rules as the files say
	Off      []list.Off     `json:"off"`
	Restart  []string       `json:"restart,omitempty"` // what of the configuration waits for a restart
	Files    []opfiles.File `json:"files"`
	Folders  []Place        `json:"folders"`
	Nodes    []Revision     `json:"nodes,omitempty"`
}

// Place is a folder in which new files can be made, or why not.
type Place struct {
	Kind     string `json:"kind"`
	Dir      string `json:"dir"`
	Writable bool   `json:"writable"`
}

// Revision is what another node runs.
type Revision struct {
	home.Node
	Same bool `json:"same"` // as this one
}

// FileID names a file.
type FileID struct {
	File string `json:"file"`
}

// Text is a file as it would be.
type Text struct {
	File string `json:"file"`
	Text string `json:"text"`
	Gone bool   `json:"gone,omitempty"` // it would be removed
}

// Save writes a file.
type Save struct {
	File string `json:"file"`
	Text string `json:"text"`
	Gone bool   `json:"gone,omitempty"` // remove it
	Base string `json:"base"`           // hash of the file that was changed; "" = there was none
	Note string `json:"note"`
}

// Saved is what became of it.
type Saved struct {
	File     opfiles.File   `json:"file"`
	Change   opfiles.Change `json:"change"`
	Revision string         `json:"revision"`
	Restart  []string       `json:"restart,omitempty"`
}

func (d *Desk) fileCalls(s *control.Server) {
	control.Handle(s, "rules.files", func(ctx context.Context, _ struct{}) (Files, error) { return d.files(ctx) })
	control.Handle(s, "rules.file", func(_ context.Context, p FileID) (opfiles.File, error) {
		f, err := d.Shelf.Read(p.File)
		return f, known(err)
	})
	control.Handle(s, "rules.check", func(_ context.Context, p Text) (check.Checked, error) {
		c, err := d.check.Text(p.File, p.Text, p.Gone)
		return c, known(err)
	})
	control.Handle(s, "rules.save", func(ctx context.Context, p Save) (Saved, error) {
		return d.save(ctx, p, opfiles.Change{How: opfiles.Saved, Actor: control.Actor(ctx), Note: p.Note})
	})
}

func (d *Desk) files(ctx context.Context) (Files, error) {
	all, err := d.Shelf.List()
	if err != nil {
		return Files{}, err
	}
	offs, err := d.rules.Active(ctx)
	if err != nil {
		return Files{}, err
	}
	out := Files{Node: d.Node, Written: d.Rules().Revision(), Revision: d.Rules().Without(list.Names(offs)).Revision(), Off: offs, Files: all, Restart: d.Waiting()}
	for _, f := range d.folders() {
		if f.FS == nil && f.Dir != "" && f.Only == "" {
			out.Folders = append(out.Folders, Place{f.Kind, f.Dir, opfiles.Writable(f.Dir)})
		}
	}
	for _, n := range d.Nodes(ctx) {
		out.Nodes = append(out.Nodes, Revision{n, n.Rules == out.Revision})
	}
	return out, nil
}

// Waiting are the keys of the configuration that take effect after a restart.
func (d *Desk) Waiting() []string { return setup.Differ(d.Started, d.Config(), d.Config()).Restart }

// compare says what of a configuration would take effect when it is reloaded, and what after a
// restart.
func (d *Desk) compare(_ context.Context, p ConfigText) (Compared, error) {
	cfg, err := config.Parse(p.File, []byte(p.Text))
	if err != nil {
		return Compared{}, control.Because(control.Invalid, err)
	}
	return Compared{Node: d.Node, Difference: setup.Differ(d.Started, d.Config(), cfg)}, nil
}

// ConfigText is a text of postern.yaml; File is only the name shown in errors.
type ConfigText struct {
	File string `json:"file"`
	Text string `json:"text"`
}

// Compared is how a configuration differs from that of a running node.
type Compared struct {
	Node string `json:"node"`
	setup.Difference
}

// maxDiff bounds what the audit keeps of a difference, in octets.
const maxDiff = 16 << 10

// save checks a text, writes it, lets the node take it, and remembers it. What the node does
// not take is not left on the disk.
func (d *Desk) save(ctx context.Context, p Save, c opfiles.Change) (Saved, error) {
	if len(p.Note) > list.MaxNote {
		return Saved{}, control.Refuse(control.Invalid, "rule.the-note-has-octets-at-most-are", "the note has %d octets; at most %d are kept", "n", len(p.Note), "most", list.MaxNote)
	}
	checked, err := d.check.Text(p.File, p.Text, p.Gone)
	switch {
	case err != nil:
		return Saved{}, known(err)
	case !checked.OK:
		return Saved{}, control.Refuse(control.Invalid, "rule.nothing-was-saved", "nothing was saved: %s", "problems", checked.Problems[0])
	case checked.Base == p.Base && !checked.Changed:
		return Saved{}, control.Refuse(control.Invalid, "rule.nothing-was-saved-the-text-is-the", "nothing was saved: the text is the same as before")
	}
	var before, after opfiles.File
	err = d.History.With(func() (err error) {
		if before, after, err = d.write(p); err != nil {
			return err
		}
		c.File, c.Before, c.After = p.File, before.Hash, after.Hash
		c, err = d.History.Note(ctx, c, after.Text)
		return err
	})
	if err != nil {
		return Saved{}, known(err)
	}
	c.Text = ""
	after.Text = ""
	if err := d.take(ctx); err != nil {
		return Saved{}, d.undo(ctx, before, after, p.Gone, err)
	}
	change := hash{SHA256: after.Hash, Change: c.ID, Diff: clip(diff.Text(checked.Diff), maxDiff)}
	out := Saved{File: after, Change: c, Revision: d.Rules().Revision(), Restart: d.Waiting()}
	return out, d.Audit(ctx, c.Actor, "file-"+c.How, p.File, hashed(before.Hash), change, p.Note)
}

func (d *Desk) write(p Save) (before, after opfiles.File, err error) {
	if p.Gone {
		before, err = d.Shelf.Remove(p.File, p.Base)
		return before, opfiles.File{}, err
	}
	return d.Shelf.Write(p.File, p.Base, p.Text)
}

func (d *Desk) take(ctx context.Context) error {
	if d.Reload == nil {
		return nil
	}
	return d.Reload(ctx)
}

// undo brings back what was there before a text that the node does not take.
func (d *Desk) undo(ctx context.Context, before, after opfiles.File, gone bool, why error) error {
	err := d.History.With(func() (err error) {
		switch {
		case before.Hash == "":
			_, err = d.Shelf.Remove(after.ID, after.Hash)
		case gone:
			_, _, err = d.Shelf.Write(before.ID, "", before.Text)
		default:
			_, _, err = d.Shelf.Write(before.ID, after.Hash, before.Text)
		}
		if err == nil {
			_, err = d.History.Note(ctx, opfiles.Change{File: before.ID, How: opfiles.Rolled, Actor: "postern", Note: "the node did not take it", Before: after.Hash, After: before.Hash}, before.Text)
		}
		return err
	})
	if err = errors.Join(err, d.take(ctx)); err != nil {
		d.Log.Error("a file that the node does not take could not be put back", "file", before.ID, "err", err)
	}
	return control.Because(control.Invalid, said.Errorf("rule.not-taken", "nothing was saved: the node does not take it: %w", "why", why))
}

// clip cuts a text between lines.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	s = s[:n]
	return s[:strings.LastIndexByte(s, '\n')+1] + "...\n"
}
