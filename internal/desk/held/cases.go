package held

import (
	"context"
	"errors"
	"time"

	"postern/internal/desk/page"
)

// opened is a case that was opened or found.
type opened struct {
	ID    string
	Holds int
}

// opening is what a case begins with.
type opening struct {
	Kind    string `json:"kind"`
	Account string `json:"account,omitempty"`
	Source  source `json:"source"`
	About   string `json:"about,omitempty"`
	Reason  string `json:"reason"`
}

type source struct {
	IP     string    `json:"ip,omitempty"`
	Port   uint16    `json:"port,omitempty"`
	Time   time.Time `json:"time,omitzero"`
	Helo   string    `json:"helo,omitempty"`
	Domain string    `json:"domain,omitempty"`
	Serial string    `json:"serial,omitempty"`
}

// of is what the opening asks for with one of its messages: a case is confirmed only where it
// says when and through which port or as which message the mail came.
func (o opening) of(h hold) opening {
	o.Source.Time = h.At
	if o.Source.IP != "" {
		o.Source.Port = h.Client.Port
	}
	if o.Kind == "local" {
		o.Source.Serial = h.MessageID
	}
	return o
}

type evidence struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Held string `json:"held"`
}

// about is the case that a hold belongs to: that of the account it came from, else that of the
// host, else that of the sender's domain.
func (h hold) about() opening {
	if h.Direction == "outbound" && h.Client.Account != "" {
		return opening{Kind: "local", Account: h.Client.Account}
	}
	o := opening{Kind: "external"}
	switch domain := h.value("domain"); {
	case h.Client.IP != "":
		o.Source = source{IP: h.Client.IP, Helo: h.Client.Helo}
	case domain != "":
		o.Source = source{Domain: domain}
	default:
		o.About = "held mail " + h.ID
	}
	return o
}

// open opens a case for each that the holds are about, with the messages as evidence.
func (h *Room) open(ctx context.Context, b *bulk) {
	ids := map[opening]int{}
	for _, x := range b.Holds {
		o := x.about()
		at, known := ids[o]
		if !known {
			asked := o.of(x)
			if asked.Reason = b.Note; asked.Reason == "" {
				asked.Reason = "held mail " + x.ID
			}
			var c struct {
				ID string `json:"id"`
			}
			if err := h.Calls.Call(ctx, "case.open", asked, &c); err != nil {
				b.fail(x, err)
				continue
			}
			at = len(b.Cases)
			ids[o], b.Cases = at, append(b.Cases, opened{ID: c.ID})
		}
		var c struct{}
		err := h.Calls.Call(ctx, "case.evidence", evidence{ID: b.Cases[at].ID, Name: x.ID + ".eml", Held: x.ID}, &c)
		if err != nil {
			b.fail(x, err)
			continue
		}
		b.Cases[at].Holds++
		b.Done++
	}
}

func (b *bulk) fail(x hold, err error) {
	words := ""
	if refused := new(page.Error); errors.As(err, &refused) {
		words = refused.Words
	}
	b.Failed = append(b.Failed, failure{x, words})
}
