// Package snippet keeps short texts that people put into their letters: their own, and those
// that the desk shares.
package snippet

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"postern/abuse/notice/letter"
	"postern/internal/entity"
	"postern/internal/said"
)

// Bounds of the texts.
const (
	MaxText  = 2 << 10 // octets of a text
	MaxTitle = 80      // runes of a title
	MaxEach  = 200     // texts of one person, and shared ones
)

// Errors of a Book. They are wrapped.
var (
	ErrInvalid  = said.New("snippet.this-is-no-snippet", "this is no snippet")
	ErrNotFound = said.New("snippet.there-is-no-such-snippet", "there is no such snippet")
	ErrFull     = said.Errorf("snippet.nobody-keeps-more-than-snippets", "nobody keeps more than %d snippets", "most", MaxEach)
	ErrChanged  = said.New("snippet.the-snippet-was-changed-in-the-meantime", "the snippet was changed in the meantime")
)

// Snippet is one text.
type Snippet struct {
	ID       string    `json:"id"`
	Owner    string    `json:"owner,omitempty"` // "" = it is shared
	Language string    `json:"language"`
	Title    string    `json:"title"`
	Short    string    `json:"short,omitempty"` // typed behind a semicolon
	Text     string    `json:"text"`
	By       string    `json:"by"` // who changed it last
	At       time.Time `json:"at"`
	Changes  int       `json:"changes"` // counts them
}

// Shared reports whether everybody sees it.
func (s Snippet) Shared() bool { return s.Owner == "" }

// Book keeps the texts.
type Book struct {
	Store entity.Store
	Now   func() time.Time
	Audit func(ctx context.Context, actor, action, object string, before, after any, note string) error
}

func (b *Book) table() entity.Table[Snippet] {
	return entity.Table[Snippet]{Store: b.Store, Kind: "snippet", ID: func(s *Snippet) string { return s.ID }, Keys: func(s *Snippet) []entity.Key {
		return []entity.Key{{Index: "of", Value: whose(s.Owner), At: s.At.UnixMilli()}}
	}}
}

func whose(owner string) string {
	if owner == "" {
		return "shared"
	}
	return "own " + owner
}

var goodShort = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N}\p{M}_-]{0,19}$`)

func tidy(s *Snippet) error {
	s.Title, s.Short = strings.Join(strings.Fields(s.Title), " "), strings.TrimPrefix(strings.TrimSpace(s.Short), ";")
	s.Text = strings.TrimSpace(strings.ReplaceAll(s.Text, "\r\n", "\n"))
	switch {
	case !slices.Contains(letter.Languages(), s.Language):
		return said.Errorf("snippet.language-one-of", "%w: language: one of %v", "kind", ErrInvalid, "languages", letter.Languages())
	case s.Title == "" || utf8.RuneCountInString(s.Title) > MaxTitle || !utf8.ValidString(s.Title):
		return said.Errorf("snippet.title-1-to-characters", "%w: title: 1 to %d characters", "kind", ErrInvalid, "most", MaxTitle)
	case s.Short != "" && !goodShort.MatchString(s.Short):
		return said.Errorf("snippet.short-up-to-20-letters-digits-hyphens", "%w: short: up to 20 letters, digits, hyphens and underscores", "kind", ErrInvalid)
	case s.Text == "" || len(s.Text) > MaxText || !utf8.ValidString(s.Text):
		return said.Errorf("snippet.text-1-to-octets", "%w: text: 1 to %d octets", "kind", ErrInvalid, "most", MaxText)
	case strings.Contains(s.Text, "{{"):
		return said.Errorf("snippet.text-a-snippet-has-no-variables", "%w: text: a snippet has no variables", "kind", ErrInvalid)
	}
	return nil
}

// List is the texts that somebody sees, by title: theirs and the shared ones. language "" is all.
func (b *Book) List(ctx context.Context, who, language string) ([]Snippet, error) {
	out := []Snippet{}
	owners := []string{""}
	if who != "" {
		owners = append(owners, who)
	}
	for _, owner := range owners {
		rows, _, err := b.table().Find(ctx, entity.Query{Index: "of", Value: whose(owner), Limit: MaxEach})
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if language == "" || r.Value.Language == language {
				out = append(out, r.Value)
			}
		}
	}
	slices.SortFunc(out, func(a, b Snippet) int {
		if c := strings.Compare(strings.ToLower(a.Title), strings.ToLower(b.Title)); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}

// Save keeps a text of who, or a shared one: a new one if it has no ID. Of one that is there,
// Changes is what was seen before.
func (b *Book) Save(ctx context.Context, who string, s Snippet, shared bool) (Snippet, error) {
	if err := tidy(&s); err != nil {
		return s, err
	}
	if s.Owner = who; shared {
		s.Owner = ""
	}
	if err := b.clash(ctx, s); err != nil {
		return s, err
	}
	s.By, s.At = who, b.Now().UTC().Truncate(time.Millisecond)
	if s.ID == "" {
		return b.create(ctx, s)
	}
	var before Snippet
	row, err := b.table().Change(ctx, s.ID, func(old *Snippet) error {
		switch before = *old; {
		case old.Owner != s.Owner:
			return ErrNotFound
		case old.Changes != s.Changes:
			return said.Errorf("snippet.by", "%w: by %s", "kind", ErrChanged, "by", old.By)
		}
		s.Changes = old.Changes + 1
		*old = s
		return nil
	})
	if errors.Is(err, entity.ErrNotFound) {
		err = ErrNotFound
	}
	if err != nil {
		return s, err
	}
	return row.Value, b.said(ctx, who, "snippet-saved", before, row.Value)
}

// clash refuses a short name that another text of the same owner and language has.
func (b *Book) clash(ctx context.Context, s Snippet) error {
	if s.Short == "" {
		return nil
	}
	all, err := b.List(ctx, s.Owner, s.Language)
	for _, o := range all {
		if o.ID != s.ID && o.Owner == s.Owner && strings.EqualFold(o.Short, s.Short) {
			return said.Errorf("snippet.short-has-already", "%w: short: %q has ;%s already", "kind", ErrInvalid, "title", o.Title, "short", s.Short)
		}
	}
	return err
}

func (b *Book) create(ctx context.Context, s Snippet) (Snippet, error) {
	n, err := b.table().Count(ctx, entity.Query{Index: "of", Value: whose(s.Owner)}, MaxEach)
	if err != nil {
		return s, err
	}
	if n >= MaxEach {
		return s, ErrFull
	}
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return s, err
	}
	s.ID, s.Changes = hex.EncodeToString(id[:]), 1
	if _, err := b.table().Create(ctx, s); err != nil {
		return s, err
	}
	return s, b.said(ctx, s.By, "snippet-saved", Snippet{}, s)
}

// Remove forgets a text of who, or a shared one.
func (b *Book) Remove(ctx context.Context, who, id string, shared bool) (Snippet, error) {
	row, err := b.table().Get(ctx, id)
	if errors.Is(err, entity.ErrNotFound) || errors.Is(err, entity.ErrInvalid) || err == nil && row.Value.Shared() != shared || err == nil && !shared && row.Value.Owner != who {
		return Snippet{}, ErrNotFound
	}
	if err == nil {
		err = b.table().Remove(ctx, row)
	}
	if err != nil {
		return Snippet{}, err
	}
	return row.Value, b.said(ctx, who, "snippet-removed", row.Value, Snippet{})
}

// said tells the audit of what others see; what people keep for themselves is theirs.
func (b *Book) said(ctx context.Context, who, action string, before, after Snippet) error {
	if !before.Shared() || !after.Shared() {
		return nil
	}
	one := func(s Snippet) any {
		if s.ID == "" {
			return nil
		}
		return s
	}
	id := after.ID
	if id == "" {
		id = before.ID
	}
	return b.Audit(ctx, who, action, id, one(before), one(after), "")
}
