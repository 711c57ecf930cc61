package accountcalls

import (
	"context"
	"strings"
	"time"

	"postern/abuse"
	"postern/abuse/history"
	"postern/abuse/measure"
	"postern/internal/control"
)

// PreviewAsk is a measure that somebody thinks of.
type PreviewAsk struct {
	Account string  `json:"account,omitempty"`
	Domain  string  `json:"domain,omitempty"`
	Level   string  `json:"level"`
	Hours   float64 `json:"hours,omitempty"` // 0 = until somebody ends it
}

// Impact is what a measure would do.
type Impact struct {
	Target   string    `json:"target"`
	Level    string    `json:"level"`
	Word     string    `json:"word"`
	Now      string    `json:"now"` // what is in force
	Two      bool      `json:"two,omitempty"`
	Accounts int       `json:"accounts"` // that it holds for, of those that sent in the last 28 days
	Hour     Volume    `json:"hour"`
	Day      *Volume   `json:"day,omitempty"` // of one account
	Held     int       `json:"held"`          // messages that are held by a measure now
	Waiting  int       `json:"waiting"`       // copies on their way out, of one account
	More     bool      `json:"more,omitempty"`
	Rate     *Volume   `json:"rate,omitempty"` // M1: what is left an hour
	Until    time.Time `json:"until,omitzero"`
	Review   time.Time `json:"review,omitzero"`

	Systems []System          `json:"systems"` // that carry it besides our own listeners
	Stays   []measure.Measure `json:"stays"`   // in force already, and stays so
	Stands  bool              `json:"stands,omitempty"`
}

// Volume is mail.
type Volume struct {
	Messages   int `json:"messages"`
	Recipients int `json:"recipients"`
}

// System is one that carries measures.
type System struct {
	Name     string `json:"name"`
	Required bool   `json:"required,omitempty"`
	Sessions bool   `json:"sessions,omitempty"` // it ends what is open
}

// heldMost bounds what is counted of held mail.
const heldMost = 1000

// preview says what a measure would do; it changes nothing.
func (c *calls) preview(ctx context.Context, q PreviewAsk) (Impact, error) {
	level, err := abuse.ParseLevel(q.Level)
	if err != nil {
		return Impact{}, control.Because(control.Invalid, err)
	}
	if q.Hours < 0 || q.Hours > 24*3650 {
		return Impact{}, control.Refuse(control.Invalid, "account.hours-from-0-to-ten-years", "hours: from 0 to ten years")
	}
	r := measure.Request{Account: q.Account, Domain: q.Domain, Level: level, Reason: "-"}
	if err := c.Desk.Check(r); err != nil {
		return Impact{}, known(err)
	}
	out := Impact{Target: r.Target(), Level: level.String(), Word: level.Word(), Two: r.Two(), Accounts: 1, Systems: []System{}}
	out.Now = c.Accounts.Force(out.Target).Effective().String()
	now := c.Now().UTC()
	switch {
	case q.Hours > 0:
		out.Until = now.Add(time.Duration(q.Hours * float64(time.Hour)))
	case level >= abuse.M2:
		out.Review = now.Add(c.Desk.Config.Suspend)
	}
	if level == abuse.M1 {
		messages, recipients := c.Throttle()
		out.Rate = &Volume{messages, recipients}
	}
	if err := c.sends(ctx, &out, now); err != nil {
		return out, err
	}
	if c.Held != nil {
		held, err := c.Held.Held(ctx, out.Target, heldMost)
		if err != nil {
			return out, err
		}
		out.Held, out.More = len(held), out.More || len(held) >= heldMost
	}
	return out, c.carried(ctx, &out, level)
}

// sends counts the mail that a measure would hit.
func (c *calls) sends(ctx context.Context, out *Impact, now time.Time) error {
	if domain, ok := strings.CutPrefix(out.Target, "@"); ok {
		if err := c.Engine.Refresh(ctx); err != nil {
			return err
		}
		all := c.Engine.Profiles.All(domain, now)
		out.Accounts = len(all)
		for _, o := range all {
			out.Hour.Messages += o.Messages
			out.Hour.Recipients += o.Recipients
		}
		return nil
	}
	h, err := history.Of(ctx, c.Sent, out.Target, now, nil)
	out.Hour = Volume{h.Hour.Messages, h.Hour.Recipients}
	out.Day = &Volume{h.Day.Messages, h.Day.Recipients}
	out.Waiting, out.More = h.Waiting, h.Cut
	return err
}

// carried says who else enforces it, and what is in force beside it.
func (c *calls) carried(ctx context.Context, out *Impact, level abuse.Level) error {
	thought := measure.Measure{Target: out.Target, Level: level}
	for _, x := range c.Desk.Connectors {
		if can := x.Capabilities(); measure.Carries(x, thought) {
			out.Systems = append(out.Systems, System{x.Name(), can.Required, can.Sessions && level >= abuse.M3})
		}
	}
	all, _, err := c.Desk.List(ctx, out.Target, true, "", 50)
	for _, m := range all {
		if m.State.InForce() {
			out.Stays = append(out.Stays, m)
			out.Stands = out.Stands || m.Level >= level
		}
	}
	out.Stays = some(out.Stays)
	return err
}
