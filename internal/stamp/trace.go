package stamp

import (
	"bytes"

	"postern/filter"
)

// Where complaints about a message go, and what they are told it by (RFC 9477).
const (
	complaintAddress = "CFBL-Address"
	complaintID      = "CFBL-Feedback-ID"
)

// Trace is what ties an outbound message to who sent it.
type Trace struct {
	Token      string // "" = none
	Complaints string // address that takes complaints; "" = the fields of RFC 9477 are not written
	FeedbackID string // what a complaint names the message by
}

// Tracer makes the trace of outbound mail.
type Tracer interface {
	// Trace is that of a message to recipients who share a block.
	Trace(m *filter.Message, to []string) Trace
	// Genuine reports whether the value of a trace field was made here.
	Genuine(value []byte) bool
}

// trace writes the fields by which a message is found again. Without recipients nobody is
// handed that block.
func (s *Stamper) trace(b *bytes.Buffer, m *filter.Message, to []string) {
	if s.Tracer == nil || len(to) == 0 {
		return
	}
	t := s.Tracer.Trace(m, to)
	if t.Token != "" && s.Names.Trace != "" {
		writeField(b, s.Names.Trace, []string{t.Token})
	}
	if t.Complaints != "" && t.FeedbackID != "" {
		writeField(b, complaintAddress, []string{t.Complaints + ";", "report=arf"})
		writeField(b, complaintID, []string{t.FeedbackID})
	}
}

// complaintFields are the fields for complaints that stand in a block: those of the message
// itself go then. Where we write none, and inbound, they are the sender's own.
func complaintFields(block []byte) []string {
	var out []string
	for _, name := range []string{complaintAddress, complaintID} {
		if bytes.HasPrefix(block, []byte(name+":")) || bytes.Contains(block, []byte("\n"+name+":")) {
			out = append(out, name)
		}
	}
	return out
}

// forgedTrace reports a trace field that is not ours to find there. Mail of ours that comes
// back over a list keeps its own: the signature covers it.
func (s *Stamper) forgedTrace(f rawField, d filter.Direction) bool {
	if s.Names.Trace == "" || !f.named(s.Names.Trace) {
		return false
	}
	return d == filter.Outbound || s.Tracer == nil || !s.Tracer.Genuine(f.value())
}
