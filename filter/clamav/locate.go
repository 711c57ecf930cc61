package clamav

import (
	"bytes"
	"context"
	"time"

	"postern/filter"
	"postern/internal/mime"
)

// locate scans the parts of an infected message one by one, so that a policy may have them
// left out. Where the infected parts cannot all be named for certain one finding names none:
// the message itself is infected, whatever is left out.
func (s *Scanner) locate(ctx context.Context, m *filter.Message, signature string) []filter.Finding {
	whole := filter.Finding{Symbol: Virus, Detail: signature}
	if m.Parts == nil {
		return []filter.Finding{whole}
	}
	tree, err := m.Parts()
	if err != nil {
		return []filter.Finding{whole}
	}
	// What is known must be said before the step's time is over: a late answer is none.
	if at, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(at)*3/4)
		defer cancel()
	}
	var found []filter.Finding
	named := map[string]bool{}
	for p := range tree.Leaves() {
		at := standing(p)
		if named[at] && at != "" {
			continue
		}
		name, err := s.inPart(ctx, p)
		if err != nil {
			s.log.Warn("infected parts not located", "message", m.ID, "part", p.Path, "error", err)
			return append(found, whole)
		}
		if name != "" {
			named[at] = true
			found = append(found, filter.Finding{Symbol: Virus, Detail: name, Part: at})
		}
	}
	if len(found) == 0 {
		return []filter.Finding{whole}
	}
	return found
}

// inPart returns the signature found in any reading of a part, "" if there is none.
func (s *Scanner) inPart(ctx context.Context, p *mime.Part) (string, error) {
	for _, data := range p.Readings() {
		if len(data) == 0 {
			continue
		}
		// Without the hash of the message: a clamd that ends here has scanned that before.
		r, err := s.scan(ctx, bytes.NewReader(data), int64(len(data)), "")
		if err != nil || r.Signature != "" {
			return r.Signature, err
		}
	}
	return "", nil
}

// standing is the path of the part that must go for the content of p to go: p itself, or the
// text that carries it as an embedded file. A part of another reading has none.
func standing(p *mime.Part) string {
	if p.Alternate && p.Parent != nil && p.Parent.IsLeaf() && len(p.Header.Fields) == 0 && p.BodyStart == p.Start {
		p = p.Parent
	}
	for up := p; up != nil; up = up.Parent {
		if up.Alternate {
			return ""
		}
	}
	return p.Path
}
