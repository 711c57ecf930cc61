package rulecalls

import (
	"context"

	"postern/cmd/postern/rulecalls/keys"
	"postern/internal/control"
)

// Caret is a place in a text.
type Caret struct {
	Kind   string `json:"kind"` // rules, config or calendar
	Text   string `json:"text,omitempty"`
	Line   int    `json:"line,omitempty"`   // from 1; 0 = all keys
	Column int    `json:"column,omitempty"` // from 1
}

// Help is what may stand at a place.
type Help struct {
	Path string       `json:"path"` // of the place
	Key  *keys.Entry  `json:"key,omitempty"`
	Keys []keys.Entry `json:"keys"` // that may stand there
}

func keysCall(_ context.Context, p Caret) (Help, error) {
	all, err := keys.Of(p.Kind)
	if err != nil {
		return Help{}, control.Because(control.Invalid, err)
	}
	if p.Line < 1 {
		return Help{Keys: all}, nil
	}
	path := keys.PathAt(p.Text, p.Line, p.Column)
	key, under := keys.Find(all, path)
	return Help{Path: path, Key: key, Keys: under}, nil
}
