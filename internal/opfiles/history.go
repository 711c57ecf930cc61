package opfiles

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"postern/internal/entity"
)

// Kept is how many changes of a file are remembered for a node.
const Kept = 200

// Change is one change of a file on a node, with the text after it.
type Change struct {
	ID     string    `json:"id"`
	Node   string    `json:"node"`
	File   string    `json:"file"` // ID of the file
	At     time.Time `json:"at"`
	Actor  string    `json:"actor,omitempty"` // "" = somebody on the machine
	How    string    `json:"how"`
	Note   string    `json:"note,omitempty"`
	Before string    `json:"before,omitempty"` // hash; "" = there was no file
	After  string    `json:"after,omitempty"`  // hash; "" = it was removed
	From   string    `json:"from,omitempty"`   // the change before it, whose text is that before
	Back   string    `json:"back,omitempty"`   // the change that was rolled back to
	Text   string    `json:"text,omitempty"`
	NoText bool      `json:"no_text,omitempty"` // too large, or it holds a secret: the text is not kept
}

// How a file came to be changed.
const (
	First    = "first" // as it was when it was first seen
	Saved    = "saved"
	OnDisk   = "disk" // changed on disk, by whoever has the machine
	Rolled   = "rolled-back"
	Taken    = "removed"
	Received = "received" // sent by another node
)

// known is what a node last knew of its files.
type known struct {
	Node  string            `json:"node"`
	Files map[string]latest `json:"files"`
}

type latest struct {
	Hash   string `json:"hash"`
	Change string `json:"change"`
}

// History remembers changes.
type History struct {
	Store entity.Store
	Node  string
	Shelf *Shelf
	Now   func() time.Time

	mu sync.Mutex // a change on the disk and the record of it are one
}

func (h *History) changes() entity.Table[Change] {
	return entity.Table[Change]{Store: h.Store, Kind: "file-change", ID: func(c *Change) string { return c.ID }, Keys: func(c *Change) []entity.Key {
		at := c.At.UnixMilli()
		return []entity.Key{{Index: "all", At: at}, {Index: "file", Value: c.File, At: at}, {Index: "own", Value: c.Node + " " + c.File, At: at}}
	}}
}

// KnownKind are records of what each node last knew of its files. A node writes its own again in
// whatever home it works on: of two, the newer home's is true.
const KnownKind entity.Kind = "file-known"

func (h *History) known() entity.Table[known] {
	return entity.Table[known]{Store: h.Store, Kind: KnownKind, ID: func(k *known) string { return k.Node }}
}

// With makes changes while no other one is made or looked for.
func (h *History) With(f func() error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return f()
}

// Note remembers a change that was made just now, within With.
func (h *History) Note(ctx context.Context, c Change, text string) (Change, error) {
	var id [6]byte
	if _, err := rand.Read(id[:]); err != nil {
		return c, err
	}
	c.At, c.Node = h.Now().UTC().Truncate(time.Millisecond), h.Node
	c.ID = fmt.Sprintf("%013d-%s", c.At.UnixMilli(), hex.EncodeToString(id[:]))
	c.Text = text
	if len(text) > MaxText || Mask(text) != text {
		c.Text, c.NoText = "", true
	}
	last, err := h.last(ctx)
	if err != nil {
		return c, err
	}
	c.From = last.Files[c.File].Change
	if _, err := h.changes().Create(ctx, c); err != nil {
		return c, err
	}
	if last.Files[c.File] = (latest{c.After, c.ID}); c.After == "" {
		last.Files[c.File] = latest{Change: c.ID}
	}
	if err := h.keep(ctx, last); err != nil {
		return c, err
	}
	return c, h.prune(ctx, c.File)
}

func (h *History) last(ctx context.Context) (known, error) {
	row, err := h.known().Get(ctx, h.Node)
	if errors.Is(err, entity.ErrNotFound) {
		return known{Node: h.Node, Files: map[string]latest{}}, nil
	}
	if row.Value.Files == nil {
		row.Value.Files = map[string]latest{}
	}
	return row.Value, err
}

func (h *History) keep(ctx context.Context, k known) error {
	_, err := h.known().Create(ctx, k)
	if errors.Is(err, entity.ErrExists) {
		_, err = h.known().Change(ctx, h.Node, func(old *known) error { old.Files = k.Files; return nil })
	}
	return err
}

// prune forgets the oldest changes of a file.
func (h *History) prune(ctx context.Context, file string) error {
	q := entity.Query{Index: "own", Value: h.Node + " " + file}
	n, err := h.changes().Count(ctx, q, Kept+50)
	if err != nil || n <= Kept {
		return err
	}
	q.Rising, q.Limit = true, n-Kept
	rows, _, err := h.changes().Find(ctx, q)
	for _, r := range rows {
		err = errors.Join(err, h.changes().Remove(ctx, r))
	}
	return err
}

// Notice remembers what was changed on the disk since the last look, and returns it.
func (h *History) Notice(ctx context.Context) ([]Change, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last, err := h.last(ctx)
	if err != nil {
		return nil, err
	}
	files, err := h.Shelf.List()
	if err != nil {
		return nil, err
	}
	var out []Change
	there := map[string]bool{}
	for _, f := range files {
		there[f.ID] = true
		was, seen := last.Files[f.ID]
		if f.ReadOnly == Builtin || seen && was.Hash == f.Hash {
			continue
		}
		c := Change{File: f.ID, How: OnDisk, Before: was.Hash, After: f.Hash}
		if !seen {
			c.How = First
		}
		folder, name, err := h.Shelf.Find(f.ID)
		if err != nil {
			return out, err
		}
		if f, err = folder.read(name); err != nil {
			return out, err
		}
		if c, err = h.Note(ctx, c, f.Text); err != nil {
			return out, err
		}
		out = append(out, c)
	}
	for _, id := range slices.Sorted(maps.Keys(last.Files)) {
		if was := last.Files[id]; was.Hash != "" && !there[id] {
			c, err := h.Note(ctx, Change{File: id, How: OnDisk, Before: was.Hash}, "")
			if err != nil {
				return out, err
			}
			out = append(out, c)
		}
	}
	return out, nil
}

// Find is a page of changes, the newest first, without their texts: of one file, or of all.
func (h *History) Find(ctx context.Context, file, after string, limit int) (out []Change, next string, err error) {
	q := entity.Query{Index: "all", After: after, Limit: limit}
	if file != "" {
		q.Index, q.Value = "file", file
	}
	rows, next, err := h.changes().Find(ctx, q)
	out = []Change{}
	for _, r := range rows {
		r.Value.Text = ""
		out = append(out, r.Value)
	}
	return out, next, err
}

// Own are the changes of a file on this node that are kept, the newest first, without their texts.
func (h *History) Own(ctx context.Context, file string) ([]Change, error) {
	rows, _, err := h.changes().Find(ctx, entity.Query{Index: "own", Value: h.Node + " " + file, Limit: Kept})
	var out []Change
	for _, r := range rows {
		r.Value.Text = ""
		out = append(out, r.Value)
	}
	return out, err
}

// Get is one change with the text before it and its own. Known is false where the text before
// is not kept any more.
func (h *History) Get(ctx context.Context, id string) (c Change, before string, known bool, err error) {
	row, err := h.changes().Get(ctx, id)
	if errors.Is(err, entity.ErrNotFound) {
		return c, "", false, ErrNotFound
	}
	if err != nil {
		return c, "", false, err
	}
	c = row.Value
	if c.Before == "" {
		return c, "", true, nil
	}
	prev, err := h.changes().Get(ctx, c.From)
	if errors.Is(err, entity.ErrNotFound) || err == nil && (prev.Value.NoText || prev.Value.After != c.Before) {
		return c, "", false, nil
	}
	return c, prev.Value.Text, err == nil, err
}
