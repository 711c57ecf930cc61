package intakecalls

import (
	"context"
	"io"
	"strings"

	"postern/abuse/complaint"
	"postern/internal/control"
)

// View is a report as a person may read it, and the message it is about.
type View struct {
	SHA256   string          `json:"sha256"` // of the bytes, which stay as they are
	Report   complaint.View  `json:"report"`
	Original *complaint.View `json:"original,omitempty"`
}

// view makes a report readable. Whoever looks at evidence is written down.
func (p Parts) view(ctx context.Context, q ID) (View, error) {
	b, sum, err := p.bytes(ctx, q.ID, "complaint-view")
	if err != nil {
		return View{}, err
	}
	out := View{SHA256: sum, Report: complaint.Safe(b)}
	if original := complaint.Parse(b, complaint.DefaultOptions()).Original; original != nil {
		v := complaint.Safe(original)
		out.Original = &v
	}
	return out, nil
}

// raw hands out the bytes.
func (p Parts) raw(ctx context.Context, q ID) (Raw, error) {
	b, _, err := p.bytes(ctx, q.ID, "complaint-raw")
	return Raw{Bytes: b}, err
}

// bytes reads a report for somebody, which the audit says.
func (p Parts) bytes(ctx context.Context, id, action string) (b []byte, sum string, err error) {
	if strings.HasPrefix(id, "b-") {
		return nil, "", control.Refuse(control.Invalid, "intake.stands-for-many-reports-look-at-one", "%s stands for many reports: look at one of those that complaint show names", "id", id)
	}
	r, _, err := p.Desk.Get(ctx, id)
	if err != nil {
		return nil, "", refused(err)
	}
	if r.Size > rawMost {
		return nil, "", control.Refuse(control.Invalid, "intake.report-has-bytes-more-than-are-not", "report %s has %d bytes, more than %d are not handed out at once", "id", r.ID, "size", r.Size, "rawmost", rawMost)
	}
	if err := p.Audit(ctx, control.Actor(ctx), action, r.ID, nil, nil, ""); err != nil {
		return nil, "", err
	}
	f, err := p.Desk.Bytes(ctx, r)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	b, err = io.ReadAll(f)
	return b, r.SHA256, err
}
