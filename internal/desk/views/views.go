// Package views keeps the searches that people gave a name, each person's own.
package views

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"postern/internal/entity"
	"postern/internal/said"
)

// Bounds of what a person keeps.
const (
	MaxViews = 50  // of one person
	MaxName  = 60  // characters of a name
	MaxQuery = 500 // octets of a search
)

// ErrInvalid is wrapped by what Save refuses.
var ErrInvalid = said.New("view.cannot-be-kept-like-this", "cannot be kept like this")

// View is a search with a name, in one room of the desk.
type View struct {
	Room  string `json:"room"` // "held"
	Name  string `json:"name"`
	Query string `json:"query"`
}

// person is the views of one person.
type person struct {
	Owner string `json:"owner"`
	Views []View `json:"views"`
}

// Book is everybody's views.
type Book struct{ table entity.Table[person] }

// New returns the book that stands in the store.
func New(store entity.Store) *Book {
	return &Book{entity.Table[person]{Store: store, Kind: "view", ID: func(p *person) string { return id(p.Owner) }}}
}

// List returns the views of somebody, by name.
func (b *Book) List(ctx context.Context, owner string) ([]View, error) {
	row, err := b.table.Get(ctx, id(owner))
	if errors.Is(err, entity.ErrNotFound) {
		return []View{}, nil
	}
	if row.Value.Views == nil {
		return []View{}, err
	}
	return row.Value.Views, err
}

// Save keeps a view; one of the same room and name is replaced.
func (b *Book) Save(ctx context.Context, owner string, v View) ([]View, error) {
	v.Name, v.Query = strings.TrimSpace(v.Name), strings.TrimSpace(v.Query)
	if err := check(v); err != nil {
		return nil, err
	}
	return b.change(ctx, owner, func(p *person) error {
		p.Views = slices.DeleteFunc(p.Views, v.same)
		if len(p.Views) >= MaxViews {
			return said.Errorf("view.searches-are-kept-already-the-most-there", "%w: %d searches are kept already, the most there may be", "kind", ErrInvalid, "most", MaxViews)
		}
		p.Views = append(p.Views, v)
		slices.SortFunc(p.Views, func(a, b View) int {
			if c := strings.Compare(a.Room, b.Room); c != 0 {
				return c
			}
			return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
		})
		return nil
	})
}

// Remove forgets a view. What is not there is no error.
func (b *Book) Remove(ctx context.Context, owner string, v View) ([]View, error) {
	return b.change(ctx, owner, func(p *person) error {
		p.Views = slices.DeleteFunc(p.Views, v.same)
		return nil
	})
}

func (b *Book) change(ctx context.Context, owner string, f func(*person) error) ([]View, error) {
	for {
		row, err := b.table.Change(ctx, id(owner), f)
		if !errors.Is(err, entity.ErrNotFound) {
			return row.Value.Views, err
		}
		p := person{Owner: owner, Views: []View{}}
		if err := f(&p); err != nil {
			return nil, err
		}
		if row, err = b.table.Create(ctx, p); !errors.Is(err, entity.ErrExists) {
			return row.Value.Views, err
		}
	}
}

func (v View) same(o View) bool { return v.Room == o.Room && v.Name == o.Name }

func check(v View) error {
	switch {
	case v.Room == "" || len(v.Room) > 20:
		return said.Errorf("view.a-search-belongs-to-a-room", "%w: a search belongs to a room", "kind", ErrInvalid)
	case v.Name == "" || utf8.RuneCountInString(v.Name) > MaxName || !utf8.ValidString(v.Name) || strings.ContainsFunc(v.Name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return said.Errorf("view.a-name-has-1-to-characters-that", "%w: a name has 1 to %d characters that can be seen", "kind", ErrInvalid, "most", MaxName)
	case len(v.Query) > MaxQuery || !utf8.ValidString(v.Query):
		return said.Errorf("view.a-search-has-at-most-octets", "%w: a search has at most %d octets", "kind", ErrInvalid, "most", MaxQuery)
	}
	return nil
}

// id is the ID of somebody's record: a name may hold what an ID may not.
func id(owner string) string {
	var out strings.Builder
	for _, c := range []byte(owner) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "_%02x", c)
		}
	}
	return "u" + out.String()
}
