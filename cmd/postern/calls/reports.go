package calls

import (
	"context"
	"time"

	"postern/internal/control"
	"postern/internal/report"
)

// Reports asks for received reports.
type Reports struct {
	Kind   string    `json:"kind,omitempty"` // dmarc or tls
	Domain string    `json:"domain,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	After  string    `json:"after,omitempty"`
	Limit  int       `json:"limit,omitempty"`
}

func (g Parts) reportCalls(s *control.Server) {
	control.Handle(s, "reports.list", func(ctx context.Context, p Reports) ([]report.Received, error) {
		if p.Kind != "" && p.Kind != report.KindDMARC && p.Kind != report.KindTLS {
			return nil, control.Refuse(control.Invalid, "call.is-no-kind-of-report-dmarc-or", "%q is no kind of report: dmarc or tls", "kind", p.Kind)
		}
		all, err := g.Reports.Received(ctx, report.Query{Kind: p.Kind, Domain: p.Domain, Since: p.Since, After: p.After, Limit: p.Limit})
		return some(all), err
	})
	control.Handle(s, "reports.show", func(ctx context.Context, p ID) (report.Received, error) {
		r, ok, err := g.Reports.Report(ctx, p.ID)
		if err == nil && !ok {
			err = control.Refuse(control.NotFound, "call.there-is-no-report", "there is no report %s", "id", p.ID)
		}
		return r, err
	})
	control.Handle(s, "reports.sent", func(ctx context.Context, p Reports) ([]report.Sent, error) {
		const page = 100
		if p.Limit <= 0 {
			p.Limit = page
		}
		all, err := g.Reports.Sent(ctx, p.Domain, p.Limit)
		return some(all), err
	})
}
