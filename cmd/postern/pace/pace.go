// Package pace bounds how much of the work of others one person undoes alone.
package pace

import (
	"context"
	"encoding/json"
	"fmt"

	"postern/abuse/second"
	"postern/cmd/postern/calls"
	"postern/internal/control"
	"postern/internal/said"
)

// Act is the act of a proposal for a call that one person makes too often.
const Act = "call"

// Pace stands before the calls that undo what others did, one after the other by one user:
// beyond a number of them in an hour each needs another person.
type Pace struct {
	Book  *second.Book
	Steps *second.Pace
	Alert func(key, text string, over bool)
}

// call is one that was proposed.
type call struct {
	Name   string          `json:"name"`
	Params json.RawMessage `json:"params"`
}

// lifts are the calls, with what says of which thing they are.
func lifts() map[string]func(raw json.RawMessage) (object string, counts bool) {
	field := func(names ...string) func(json.RawMessage) (string, bool) {
		return func(raw json.RawMessage) (string, bool) {
			var all map[string]any
			_ = json.Unmarshal(raw, &all) // the call itself refuses what cannot be read
			for _, n := range names {
				if s, ok := all[n].(string); ok && s != "" {
					return s[:min(len(s), 320)], true
				}
			}
			return "all", true
		}
	}
	return map[string]func(json.RawMessage) (string, bool){
		"measure.undo": field("id"), "account.undo": field("account"), "account.restore": field("name", "account"), "suppress.lift": field("id"),
		"blocklist.add": func(raw json.RawMessage) (string, bool) {
			var e struct {
				Allow bool   `json:"allow"`
				Value string `json:"value"`
			}
			_ = json.Unmarshal(raw, &e) // the call itself refuses what cannot be read
			return "allow " + e.Value[:min(len(e.Value), 320)], e.Allow
		},
	}
}

type approvedKey struct{}

// Handle puts itself before the calls that s has by now.
func (p Pace) Handle(s *control.Server) {
	for name, of := range lifts() {
		s.Wrap(name, func(ctx context.Context, raw json.RawMessage, next func(context.Context) (any, error)) (any, error) {
			who := calls.Person(ctx)
			object, counts := of(raw)
			if !counts || !who.User || ctx.Value(approvedKey{}) != nil {
				return next(ctx)
			}
			ok, err := p.Steps.Take(ctx, who.Name)
			switch {
			case err != nil:
				return nil, err
			case ok:
				return next(ctx)
			}
			p.Alert("pace-"+who.Name, fmt.Sprintf("%s has undone the work of others %d times within %s, and goes on: see approval list and audit list", who.Name, second.Most, second.Per), false)
			return nil, p.propose(ctx, who, name, object, raw)
		})
	}
}

// propose lets another person decide; the error says so.
func (p Pace) propose(ctx context.Context, who second.Person, name, object string, raw json.RawMessage) error {
	params, err := json.Marshal(call{name, raw})
	if err != nil {
		return err
	}
	q, err := p.Book.Propose(ctx, who, second.Proposal{
		Act: Act, Object: object, Said: said.Say("asked.call", "%s of %s", "call", name, "object", object), Params: params,
		Because: said.Say("pace.more-than", "more than %d such acts within %s", "most", second.Most, "span", said.Say("pace.an-hour", "an hour")),
	})
	if err != nil {
		return control.Because(control.Conflict, err)
	}
	refused := control.Refuse(control.Conflict, "pace.that-is-more-than-such-acts-within", "that is more than %d such acts within %s: %s waits for another person, see approval show %s", "most", second.Most, "span", said.Say("pace.an-hour", "an hour"), "id", q.ID, "again", q.ID)
	refused.Waits = q.ID
	return refused
}

// Approved makes a call that another person approved.
func Approved(ctx context.Context, s *control.Server, p second.Proposal) error {
	var c call
	if err := json.Unmarshal(p.Params, &c); err != nil {
		return err
	}
	ctx = control.WithActor(context.WithValue(ctx, approvedKey{}, true), p.By+", approved by "+p.Decided.By)
	var out any
	return s.Call(ctx, c.Name, c.Params, &out)
}
