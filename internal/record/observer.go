package record

import (
	"context"
	"log/slog"
	"slices"

	"postern/filter"
)

// Observer writes down what became of a message: one log line, the traffic row, the counters.
// It implements filter.Observer.
type Observer struct {
	Node    string
	Log     *slog.Logger
	Traffic Traffic                         // nil: no rows
	Metrics *Metrics                        // nil: no counters
	Count   func(Row)                       // nil: nobody counts beside
	Headers func(m *filter.Message) Headers // nil: no subject and no Message-ID
	// MessageID is the Message-ID that a message without one went out with, "" = none. nil:
	// no message gets one.
	MessageID func(m *filter.Message) string
}

// Done implements filter.Observer. It waits for nothing and never fails.
func (o *Observer) Done(ctx context.Context, m *filter.Message, out filter.Outcome) error {
	var h Headers
	if o.Headers != nil && m.Body != nil {
		h = o.Headers(m)
	}
	if h.MessageID == "" && o.MessageID != nil && m.Body != nil && goesOn(out) {
		h.MessageID = o.MessageID(m)
	}
	row := Build(o.Node, m, out, h)
	stored := o.Traffic == nil || o.Traffic.Add(row)
	if o.Metrics != nil {
		o.Metrics.count(row)
		if !stored {
			o.Metrics.dropped.Inc()
		}
	}
	if o.Count != nil {
		o.Count(row)
	}
	if o.Log != nil {
		o.Log.LogAttrs(ctx, slog.LevelInfo, "message", attrs(row)...)
	}
	return nil
}

// goesOn reports that a copy of the message was handed on, or may be.
func goesOn(out filter.Outcome) bool {
	return slices.ContainsFunc(out.Fates, func(f filter.Fate) bool {
		return f.State == filter.Delivered || f.State == filter.InOutbox || f.State == filter.Held
	})
}

// maxLogged bounds the recipients of one log line; the traffic row has them all.
const maxLogged = 50

// attrs are the fields of the one log line of a message. All text in a row is clean already.
func attrs(r Row) []slog.Attr {
	out := []slog.Attr{
		slog.String("id", r.ID), slog.String("direction", r.Direction), slog.String("listener", r.Listener),
		slog.String("ip", r.Client.IP), slog.String("name", r.Client.Name), slog.String("helo", r.Client.Helo), slog.String("tls", r.Client.TLS),
		slog.String("account", r.Account), slog.String("from", r.From), slog.Int("recipients", len(r.To)), slog.Any("to", r.To[:min(len(r.To), maxLogged)]),
		slog.String("subject", r.Subject), slog.String("message_id", r.MessageID), slog.Int64("size", r.Size), slog.String("sha256", r.SHA256),
		slog.String("action", r.Action), slog.String("score", r.Score.String()), slog.Any("symbols", r.Symbols),
		slog.Any("unchecked", r.Unchecked), slog.Bool("dns_budget", r.DNSCut), slog.String("reply", r.Reply), slog.Any("delay", r.Delay),
	}
	return out
}
