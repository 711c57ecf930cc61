package access

import (
	"context"
	"encoding/json"

	"postern/internal/control"
	"postern/internal/people"
	"postern/quarantine"
)

// own makes a call about the mail of an address that is covered.
func (b bounded) own(name string) boundedCall {
	return func(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
		var of struct {
			Address *string `json:"address"`
		}
		if err := json.Unmarshal(raw, &of); err != nil || of.Address == nil {
			return nil, control.Refuse(control.Invalid, "access.say-whose-mail-address", "say whose mail: address")
		}
		if *of.Address == "" || !p.Covers(*of.Address) {
			return nil, control.Because(control.NotFound, quarantine.ErrNotFound)
		}
		return b.whole(name)(ctx, p, raw)
	}
}

// recipients are the calls about the mail of one address.
func (b bounded) recipients(table map[string]boundedCall) map[string]boundedCall {
	for _, name := range [...]string{"list", "show", "release", "allow", "delete", "disown", "settings", "set"} {
		name = "recipient." + name
		table[name] = b.own(name)
	}
	return table
}
