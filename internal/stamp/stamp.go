// Package stamp writes the header block the gateway puts before a message, and removes from
// the message what pretends to be such a block. Nothing else of a message is changed.
package stamp

import (
	"io"

	"postern/filter"
)

// Names are the names of the fields we write, and who we are in them.
type Names struct {
	Verdict, Reasons, Unchecked string
	SpamFlag, SpamScore         string
	AuthservID                  string // RFC 8601 section 2.5; "" = Hostname
	Hostname                    string // our name in Received
}

// DefaultNames are the names of a configuration that says nothing.
func DefaultNames(hostname string) Names {
	return Names{
		Verdict: "X-Postern-Verdict", Reasons: "X-Postern-Reasons", Unchecked: "X-Postern-Unchecked",
		SpamFlag: "X-Spam-Flag", SpamScore: "X-Spam-Score", AuthservID: hostname, Hostname: hostname,
	}
}

// Stamper writes blocks. It is safe for concurrent use.
type Stamper struct {
	Names Names
	Key   []byte        // of the trace tokens; the same on every node
	AV    func() string // "ClamAV 1.4.6/27000/2026-11-22", or "" when nothing scanned
}

// Range is a half-open range of bytes.
type Range struct{ Start, End int64 }

// Block is our header block for recipients that share a verdict, each line ended by CRLF.
// Outbound it holds a Received field alone.
func (s *Stamper) Block(m *filter.Message, v filter.Verdict, r filter.Report, to []string) []byte {
	return nil
}

// Open is what goes out, and its length: the block and then the body of m without the fields
// that Cuts names.
func (s *Stamper) Open(block []byte, m *filter.Message) (io.Reader, int64, error) {
	return nil, 0, nil
}

// Passes counts the passes of m through its listener for the recipient that its Received
// fields prove.
func (s *Stamper) Passes(m *filter.Message, address string) int { return 0 }
