package cases

import (
	"context"
	"time"

	"postern/internal/entity"
)

// Case is one problem: an account of ours, or a source elsewhere.
type Case struct {
	ID      string `json:"id"` // A-2026-000042
	Kind    Kind   `json:"kind"`
	Account string `json:"account,omitempty"`
	State   string `json:"state"`
}

// Desk keeps the cases.
type Desk struct {
	Entities entity.Home
	Now      func() time.Time
	// Audit notes a change in the audit trail.
	Audit func(ctx context.Context, actor, action, object string, before, after any, note string) error
}

// Attach adds a report to the case it belongs to, or opens one. It is idempotent by
// Complaint.Report.
func (d *Desk) Attach(context.Context, Complaint) (Case, error) { return Case{}, entity.ErrInvalid }
