package rulecalls

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"postern/cmd/postern/rulecalls/list"
	"postern/internal/control"
	"postern/internal/entity"
	"postern/internal/opfiles"
)

// Sent is a file that one node offers to all others.
type Sent struct {
	File  string    `json:"file"`
	Node  string    `json:"node"`
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	Text  string    `json:"text,omitempty"`
	Gone  bool      `json:"gone,omitempty"`
	Hash  string    `json:"hash"`
	Base  string    `json:"base"`            // what another node must have, unless there are Bases or Force
	Bases []Base    `json:"bases,omitempty"` // one of which it must have
	Force bool      `json:"force,omitempty"`
	Note  string    `json:"note,omitempty"`
}

// Answer is what a node made of it.
type Answer struct {
	Node string    `json:"node"`
	File string    `json:"file"`
	Sent time.Time `json:"sent"`
	At   time.Time `json:"at"`
	OK   bool      `json:"ok"`
	Says string    `json:"says,omitempty"` // why not
}

// SendFile offers a file as it is on this node.
type SendFile struct {
	File  string `json:"file"`
	Base  string `json:"base"` // hash that the file must have on the other nodes; "" = of a text that this node had before
	Force bool   `json:"force,omitempty"`
	Note  string `json:"note,omitempty"`
}

// Delivery is a file that was sent, and who has answered.
type Delivery struct {
	Sent    *Sent    `json:"sent,omitempty"` // nil: it was never sent, or long ago
	Answers []Answer `json:"answers"`
	Waiting []string `json:"waiting,omitempty"` // nodes that have not answered
}

// sentFor is how long an offer stands: a node that comes back later has to be asked again.
const sentFor = 24 * time.Hour

func key(file string) string { return strings.ReplaceAll(file, "/", ":") }

func (d *Desk) sentTable() entity.Table[Sent] {
	return entity.Table[Sent]{Store: d.Entities, Kind: "file-sent", ID: func(s *Sent) string { return key(s.File) }, Keys: func(s *Sent) []entity.Key {
		return []entity.Key{{Index: "all", At: s.At.UnixMilli()}}
	}}
}

func (d *Desk) answerTable() entity.Table[Answer] {
	return entity.Table[Answer]{Store: d.Entities, Kind: "file-answer", ID: func(a *Answer) string { return opfiles.Hash(a.Node + " " + a.File)[:40] }, Keys: func(a *Answer) []entity.Key {
		return []entity.Key{{Index: "file", Value: a.File, At: a.At.UnixMilli()}}
	}}
}

func (d *Desk) sendCalls(s *control.Server) {
	control.Handle(s, "rules.send", d.send)
	control.Handle(s, "rules.sent", func(ctx context.Context, p FileID) (Delivery, error) { return d.delivery(ctx, p.File) })
}

// put writes a record whether there is one or not.
func put[T any](ctx context.Context, t entity.Table[T], v T) error {
	_, err := t.Create(ctx, v)
	if errors.Is(err, entity.ErrExists) {
		_, err = t.Change(ctx, t.ID(&v), func(old *T) error { *old = v; return nil })
	}
	return err
}

func (d *Desk) send(ctx context.Context, p SendFile) (Delivery, error) {
	kind, _, _ := strings.Cut(p.File, "/")
	f, err := d.Shelf.Read(p.File)
	switch {
	case kind != "rules" && kind != "calendar":
		return Delivery{}, control.Refuse(control.Invalid, "rule.each-node-has-a-configuration-of-its", "each node has a configuration of its own: it is not sent")
	case err != nil && !errors.Is(err, opfiles.ErrNotFound):
		return Delivery{}, known(err)
	case f.ReadOnly == opfiles.Hidden || f.ReadOnly == opfiles.Large:
		return Delivery{}, control.Refuse(control.Conflict, "rule.this-file-is-not-sent-it-is", "this file is not sent: it is too large, or holds a secret")
	case len(p.Note) > list.MaxNote:
		return Delivery{}, control.Refuse(control.Invalid, "rule.the-note-has-octets-at-most-are", "the note has %d octets; at most %d are kept", "n", len(p.Note), "most", list.MaxNote)
	case len(d.others(ctx)) == 0:
		return Delivery{}, control.Refuse(control.Conflict, "rule.there-is-no-other-node", "there is no other node")
	}
	s := Sent{File: p.File, Node: d.Node, By: control.Actor(ctx), At: d.Now().UTC().Truncate(time.Millisecond), Text: f.Text, Hash: f.Hash, Gone: f.Hash == "", Base: p.Base, Force: p.Force, Note: p.Note}
	if p.Base == "" {
		if s.Bases, err = d.bases(ctx, p.File); err != nil {
			return Delivery{}, err
		}
		if len(s.Bases) > 0 {
			s.Base = s.Bases[0].Hash
		}
	}
	if err := put(ctx, d.sentTable(), s); err != nil {
		return Delivery{}, err
	}
	if err := d.Audit(ctx, s.By, "file-sent", p.File, nil, hashed(s.Hash), p.Note); err != nil {
		return Delivery{}, err
	}
	return d.delivery(ctx, p.File)
}

func (d *Desk) others(ctx context.Context) (out []string) {
	for _, n := range d.Nodes(ctx) {
		if n.Name != d.Node {
			out = append(out, n.Name)
		}
	}
	return out
}

func (d *Desk) delivery(ctx context.Context, file string) (Delivery, error) {
	out := Delivery{Answers: []Answer{}}
	row, err := d.sentTable().Get(ctx, key(file))
	if errors.Is(err, entity.ErrNotFound) || err == nil && d.Now().Sub(row.Value.At) > sentFor {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	sent := row.Value
	rows, _, err := d.answerTable().Find(ctx, entity.Query{Index: "file", Value: file, Limit: entity.MaxPage})
	if err != nil {
		return out, err
	}
	done := []string{sent.Node}
	for _, r := range rows {
		if r.Value.Sent.Equal(sent.At) {
			out.Answers = append(out.Answers, r.Value)
			done = append(done, r.Value.Node)
		}
	}
	for _, n := range d.Nodes(ctx) {
		if !slices.Contains(done, n.Name) {
			out.Waiting = append(out.Waiting, n.Name)
		}
	}
	sent.Text, sent.Bases = "", nil
	out.Sent = &sent
	return out, nil
}

// Receive takes what other nodes sent, after the same checks as what is saved here.
func (d *Desk) Receive(ctx context.Context) error {
	rows, _, err := d.sentTable().Find(ctx, entity.Query{Index: "all", From: d.Now().Add(-sentFor).UnixMilli(), To: 1 << 60, Limit: entity.MaxPage})
	if err != nil {
		return err
	}
	for _, r := range rows {
		s := r.Value
		if s.Node == d.Node {
			continue
		}
		a := Answer{Node: d.Node, File: s.File}
		old, err := d.answerTable().Get(ctx, d.answerTable().ID(&a))
		switch {
		case err == nil && old.Value.Sent.Equal(s.At):
			continue
		case err != nil && !errors.Is(err, entity.ErrNotFound):
			return err
		}
		a.Sent, a.At = s.At, d.Now().UTC()
		a.OK, a.Says = d.takeSent(ctx, s)
		if err := put(ctx, d.answerTable(), a); err != nil {
			return err
		}
	}
	return nil
}

func (d *Desk) takeSent(ctx context.Context, s Sent) (ok bool, says string) {
	now, err := d.Shelf.Read(s.File)
	switch {
	case err != nil && !errors.Is(err, opfiles.ErrNotFound):
		return false, err.Error()
	case now.Hash == s.Hash:
		return true, ""
	}
	if _, err := d.History.Notice(ctx); err != nil { // what was changed on the disk is somebody's, too
		return false, err.Error()
	}
	if ok, says, err := d.fits(ctx, s, now); err != nil || !ok {
		return false, cmp.Or(says, "it could not be told whether it follows what is here")
	}
	actor := s.By + " on " + s.Node
	_, err = d.save(ctx, Save{File: s.File, Text: s.Text, Gone: s.Gone, Base: now.Hash, Note: s.Note}, opfiles.Change{How: opfiles.Received, Actor: actor, Note: s.Note})
	if err != nil {
		return false, err.Error()
	}
	return true, ""
}
