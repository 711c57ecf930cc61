// Package gauges are the metrics of a gateway that are read at each scrape.
package gauges

import (
	"context"

	"postern/abuse/appeal"
	"postern/cmd/postern/home"
	"postern/internal/config"
	"postern/internal/record"
)

// Of are the gauges of a home and of the sessions before it.
func Of(h *home.Home, c func() *config.Config, sessions func() int) record.Gauges {
	return record.Gauges{
		Holds: func() map[string]int {
			st, err := h.Holds.Stats(context.Background())
			if err != nil {
				return nil
			}
			out := map[string]int{}
			for s, n := range st.States {
				out[string(s)] = n
			}
			return out
		},
		Bytes: func() int64 {
			st, err := h.Holds.Stats(context.Background())
			if err != nil {
				return 0
			}
			return st.Bytes
		},
		Cap: func() int64 { return int64(c().Quarantine.Cap) },
		Outbox: func() int {
			n, err := h.Outbox.Count(context.Background())
			if err != nil {
				return -1
			}
			return n
		},
		Appeals: func() int {
			n, err := (&appeal.Book{Store: h.Entities}).Waiting(context.Background())
			if err != nil {
				return -1
			}
			return n
		},
		Sessions: func() map[string]int { return map[string]int{"all": sessions()} },
	}
}
