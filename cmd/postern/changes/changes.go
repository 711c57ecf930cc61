// Package changes tells whether anything is new, cheaply: a mark for each part of the desk,
// which is another one when that part has changed on any node.
package changes

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"postern/internal/control"
	"postern/internal/entity"
	"postern/quarantine"
)

// Parts are what is looked at.
type Parts struct {
	Holds    quarantine.Store
	Entities entity.Store
}

// Marks are those of all topics; they mean nothing by themselves.
type Marks struct {
	Marks map[string]string `json:"marks"`
}

// kinds are the records that a topic is about.
func kinds() map[string][]entity.Kind {
	return map[string][]entity.Kind{
		"cases":   {"case", "report-bundle", "approval"},
		"figures": {"figures-hour"},
	}
}

// Look makes the marks.
func (p Parts) Look(ctx context.Context) (Marks, error) {
	out := Marks{Marks: map[string]string{}}
	held, err := p.held(ctx)
	if err != nil {
		return out, fmt.Errorf("held mail: %w", err)
	}
	out.Marks["held"] = held
	for topic, all := range kinds() {
		var mark []string
		for _, k := range all {
			n, err := p.Entities.Revision(ctx, k)
			if err != nil {
				return out, fmt.Errorf("%s: %w", topic, err)
			}
			mark = append(mark, strconv.FormatUint(n, 36))
		}
		out.Marks[topic] = strings.Join(mark, ".")
	}
	return out, nil
}

// held is another one when a hold came, or went from one state to another: how many there are
// of each, and which is the newest.
func (p Parts) held(ctx context.Context) (string, error) {
	st, err := p.Holds.Stats(ctx)
	if err != nil {
		return "", err
	}
	newest, err := p.Holds.List(ctx, quarantine.Query{Limit: 1})
	if err != nil {
		return "", err
	}
	var mark []string
	for s, n := range st.States {
		if s != quarantine.Provisional && n > 0 {
			mark = append(mark, string(s[:min(len(s), 4)])+strconv.FormatInt(int64(n), 36))
		}
	}
	slices.Sort(mark)
	if len(newest.Holds) > 0 {
		mark = append(mark, newest.Holds[0].ID)
	}
	return strings.Join(mark, "."), nil
}

// Handle adds the call.
func (p Parts) Handle(s *control.Server) {
	control.Handle(s, "changes", func(ctx context.Context, _ struct{}) (Marks, error) { return p.Look(ctx) })
}
