package sources

import (
	"context"
	"net/netip"
	"time"

	"postern/abuse/external/order"
	"postern/cmd/postern/sources/trial"
	"postern/filter"
	"postern/internal/record"
)

// TriedMost bounds on how much accepted mail a published list is tried, the youngest first.
const TriedMost = 500_000

// accepted calls f for each mail from elsewhere that reached somebody since a time. Good is
// what nothing was found against.
func (d *Desk) accepted(ctx context.Context, since time.Time, f func(ip netip.Addr, ham bool) error) error {
	q, n := record.Trace{Since: since, Limit: record.MaxPage}, 0
	for {
		page, err := d.p.Traffic.Find(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range page.Rows {
			ip, err := netip.ParseAddr(r.Client.IP)
			if err != nil || r.Direction != filter.Inbound.String() || !trial.Arrived(r) {
				continue
			}
			if err := f(ip, r.Action == filter.Accept.String()); err != nil {
				return err
			}
			if n++; n >= TriedMost {
				return nil
			}
		}
		if q.After = page.Next; page.Next == "" {
			return nil
		}
	}
}

// Try tells what a block would have hit.
func (d *Desk) Try(ctx context.Context, b order.Block) (trial.Result, error) {
	return trial.Of(ctx, d.p.Traffic, d.Protected(), b, d.p.Now().UTC())
}
