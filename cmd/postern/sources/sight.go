package sources

import (
	"context"
	"io"
	"net/netip"
	"strings"

	"postern/abuse/cases"
	"postern/abuse/cases/dossier"
	"postern/abuse/external"
	"postern/filter"
	"postern/internal/entity"
	"postern/internal/said"
	"postern/quarantine"
)

// ErrSight is wrapped by what cannot be a sighting.
var ErrSight = said.New("source.this-tells-of-no-source-elsewhere", "this tells of no source elsewhere")

// SightHold opens the case of the source of a held message, or adds the message to the one
// there is. That our filters held it is no ground to complain of it.
func (d *Desk) SightHold(ctx context.Context, who cases.Actor, id, why string) (cases.Case, error) {
	h, err := d.p.Holds.Show(ctx, id)
	if err != nil {
		return cases.Case{}, err
	}
	ip, err := netip.ParseAddr(h.Client.IP)
	if err != nil || h.Direction != filter.Inbound.String() || h.Client.Account != "" {
		return cases.Case{}, said.Errorf("source.came-from-no-host-elsewhere", "%w: %s came from no host elsewhere", "kind", ErrSight, "id", id)
	}
	if h.State.Ended() {
		return cases.Case{}, said.Errorf("source.has-ended-and-its-bytes-with-it", "%w: %s has ended, and its bytes with it", "kind", ErrSight, "id", id)
	}
	r, err := d.p.Holds.Raw(ctx, id)
	if err != nil {
		return cases.Case{}, err
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, ReadMost+1))
	if err != nil {
		return cases.Case{}, err
	}
	if len(raw) > ReadMost {
		return cases.Case{}, said.Errorf("source.is-larger-than-octets", "%w: %s is larger than %d octets", "kind", ErrSight, "id", id, "readmost", ReadMost)
	}
	return d.sight(ctx, who, raw, Kept{From: h.From, To: h.To, IP: ip.Unmap(), Port: h.Client.Port, Helo: h.Client.Helo, At: h.At}, groundOf(h.Reasons), "held message "+id, said.Typed(why))
}

// groundOf is what a verdict rests on.
func groundOf(reasons []quarantine.Reason) external.Ground {
	for _, r := range reasons {
		if !strings.HasPrefix(r.Symbol, "SPF_") {
			return external.Content
		}
	}
	if len(reasons) == 0 {
		return external.Content
	}
	return external.SPF
}

// Trapped opens the case of the source of a message that reached a trap, or adds to the one
// there is: that is a ground to confirm it by.
func (d *Desk) Trapped(ctx context.Context, m *filter.Message, trap string) (cases.Case, error) {
	if m.Direction != filter.Inbound || !m.Client.IP.IsValid() || m.Body == nil || m.Size > ReadMost {
		return cases.Case{}, ErrSight
	}
	raw, err := io.ReadAll(m.Open())
	if err != nil {
		return cases.Case{}, err
	}
	var to []string
	for _, r := range m.To {
		to = append(to, r.Address)
	}
	k := Kept{From: m.From, To: to, IP: m.Client.IP.Unmap(), Port: m.Client.Port, Helo: m.Client.Helo, At: m.Time.UTC()}
	return d.sight(ctx, cases.Machine(), raw, k, external.Trap, "message "+m.ID+" to a trap", said.Say("note.wrote-to-trap", "it wrote to the trap %s", "trap", trap))
}

func (d *Desk) sight(ctx context.Context, who cases.Actor, raw []byte, k Kept, g external.Ground, name string, why said.Words) (cases.Case, error) {
	if err := dossier.Why(who, why); err != nil {
		return cases.Case{}, err
	}
	k, err := d.keep(ctx, raw, k)
	if err != nil {
		return cases.Case{}, err
	}
	return d.External.Sight(ctx, who, external.Sighting{
		IP: k.IP, Port: k.Port, Helo: k.Helo, Domain: k.Domain, Account: k.From, At: k.At, Ground: g,
		Evidence: cases.Evidence{Class: entity.Evidence, Sum: k.Sum, Name: name},
	}, why)
}
