// Package trial tells what a block would have hit among the mail of the last days.
package trial

import (
	"context"
	"net/netip"
	"time"

	"postern/abuse/external/order"
	"postern/filter"
	"postern/internal/address"
	"postern/internal/record"
	"postern/internal/said"
)

// Bounds of a trial.
const (
	Days     = 7
	Most     = 20_000 // mails that are counted
	someMost = 8
)

// Example is one mail that would have been refused.
type Example struct {
	ID   string    `json:"id"`
	At   time.Time `json:"at"`
	IP   string    `json:"ip"`
	From string    `json:"from"`
	To   string    `json:"to,omitempty"`
}

// Result is what a block would have done.
type Result struct {
	Block     order.Block `json:"block"` // in its one form
	Refused   string      `json:"refused,omitempty"`
	Said      said.Words  `json:"said,omitzero"` // Refused by its code
	Days      int         `json:"days"`
	Mails     int         `json:"mails"`
	Taken     int         `json:"taken"` // of them reached somebody
	Good      int         `json:"good"`  // of those nothing was found against
	Senders   int         `json:"senders"`
	Addresses int         `json:"addresses"`
	More      bool        `json:"more,omitempty"` // there is more than is counted
	Some      []Example   `json:"examples"`       // good ones first
}

// Of tries b. That it is not allowed is said in the result.
func Of(ctx context.Context, traffic record.Traffic, p order.Protected, b order.Block, now time.Time) (Result, error) {
	out := Result{Days: Days, Some: []Example{}}
	if err := b.Check(p, now); err != nil {
		out.Block = b
		said.Of(err).Put(&out.Refused, &out.Said)
		return out, nil
	}
	out.Block = b
	q := record.Trace{Since: now.AddDate(0, 0, -Days), Direction: filter.Inbound.String(), Limit: record.MaxPage}
	switch b.Scope {
	case order.ByFrom:
		q.From = b.Value
	case order.ByDomain:
		q.From = "@" + b.Value
	default:
		q.IP = prefix(b.Value)
	}
	senders, hosts, bad := map[string]bool{}, map[string]bool{}, []Example{}
	for out.Mails < Most {
		page, err := traffic.Find(ctx, q)
		if err != nil {
			return out, err
		}
		for _, r := range page.Rows {
			out.Mails++
			senders[address.DomainOf(r.From)], hosts[r.Client.IP] = true, true
			taken := Arrived(r)
			good := taken && r.Action == filter.Accept.String()
			if taken {
				out.Taken++
			}
			e := Example{ID: r.ID, At: r.Time, IP: r.Client.IP, From: r.From}
			if len(r.To) > 0 {
				e.To = r.To[0].Address
			}
			if good {
				out.Good++
				if len(out.Some) < someMost {
					out.Some = append(out.Some, e)
				}
			} else if len(bad) < someMost {
				bad = append(bad, e)
			}
		}
		if q.After = page.Next; page.Next == "" {
			break
		}
	}
	out.More = q.After != ""
	out.Senders, out.Addresses = len(senders), len(hosts)
	out.Some = append(out.Some, bad[:min(len(bad), someMost-len(out.Some))]...)
	return out, nil
}

func prefix(value string) netip.Prefix {
	if n, err := netip.ParsePrefix(value); err == nil {
		return n
	}
	ip, err := netip.ParseAddr(value)
	if err != nil {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(ip, ip.BitLen())
}

// Arrived reports whether a mail reached somebody.
func Arrived(r record.Row) bool {
	for _, f := range r.To {
		if f.State == string(filter.Delivered) || f.State == string(filter.InOutbox) {
			return true
		}
	}
	return false
}
