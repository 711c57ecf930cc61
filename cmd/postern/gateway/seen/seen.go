// Package seen reads what is remembered of a message: what people look for it by.
package seen

import (
	"postern/filter"
	"postern/internal/record"
	"postern/internal/stamp"
)

// Headers reads what trace shows of a message.
func Headers(m *filter.Message) record.Headers {
	if m.Parts == nil {
		return record.Headers{}
	}
	t, err := m.Parts()
	if err != nil {
		return record.Headers{}
	}
	return record.Headers{Subject: t.Subject(), MessageID: t.Root.Header.Get("Message-ID")}
}

// Given returns the Message-ID that the stamper gives to what is sent without one.
func Given(s *stamp.Stamper) func(*filter.Message) string {
	return func(m *filter.Message) string {
		if m.Direction != filter.Outbound || m.Parts == nil {
			return ""
		}
		t, err := m.Parts()
		if err != nil || t.Root.Header.Get("DKIM-Signature") != "" { // nothing is added to what is signed
			return ""
		}
		return s.MessageID(m)
	}
}
