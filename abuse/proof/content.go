package proof

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"strings"

	"postern/abuse/sent"
	"postern/internal/canon"
	"postern/internal/mime"
)

// alike is how much of a text must be that of the logged message, in hundredths: a redacted
// address and a list's footer leave more, another text leaves next to nothing.
const alike = 70

// Bounds on what is looked at in a reported message.
const (
	marksMost    = 20
	queueIDsMost = 10
)

// message is the reported message as far as it can be read.
type message struct {
	raw      []byte // with CRLF line ends
	id       string // Message-ID without angle brackets
	marks    []string
	queueIDs []string
	to       []string // envelope recipients that servers on the way wrote down
	body     []byte   // nil: there is none
	hash     string   // of the body, as in a signature of ours
	likeness string
}

// received finds the ID in a Received field.
var received = regexp.MustCompile(`(?i)\sid\s+<?([A-Za-z0-9._-]{5,64})`)

// deliveredTo are the fields in which servers note the envelope recipient.
var deliveredTo = map[string]bool{"delivered-to": true, "x-original-to": true, "envelope-to": true, "x-envelope-to": true, "x-delivered-to": true}

// read takes the reported message apart. What cannot be read stays empty.
func (a *attempt) read() {
	m := &a.msg
	m.raw = a.report.Original
	if m.id = bare(a.report.Claims.MessageID); len(m.raw) == 0 {
		return
	}
	if !bytes.Contains(m.raw, []byte("\r\n")) {
		m.raw = bytes.ReplaceAll(m.raw, []byte("\n"), []byte("\r\n"))
	}
	head, body, err := canon.Read(bytes.NewReader(m.raw))
	if err != nil {
		a.note("the reported message cannot be read: %v", err)
		return
	}
	m.header(head, strings.ToLower(a.Field))
	if !a.report.Whole {
		return
	}
	sum := canon.NewBody(true)
	if err := canon.HashBody(body, sum); err != nil {
		return
	}
	m.hash = base64.StdEncoding.EncodeToString(sum.Sum())
	if at := bytes.Index(m.raw, []byte("\r\n\r\n")); at >= 0 {
		m.body = bytes.TrimSpace(m.raw[at:])
	}
	if tree, err := mime.Walk(bytes.NewReader(m.raw), int64(len(m.raw)), mime.DefaultLimits()); err == nil {
		m.likeness = sent.Likeness(tree.Text() + "\n" + tree.HTMLText()) // as the log has it
	}
}

func (m *message) header(head *canon.Header, field string) {
	for _, f := range head.Fields {
		value := strings.TrimSpace(string(f.Value()))
		switch {
		case (strings.HasSuffix(f.Name, "-trace") || f.Name == field || f.Name == "cfbl-feedback-id") && len(m.marks) < marksMost:
			m.marks = append(m.marks, value)
		case f.Name == "message-id":
			m.id = bare(value)
		case f.Name == "received" && len(m.queueIDs) < queueIDsMost:
			if id := received.FindStringSubmatch(value); id != nil {
				m.queueIDs = append(m.queueIDs, id[1])
			}
		case deliveredTo[f.Name] && len(m.to) < marksMost:
			m.to = append(m.to, folded(value))
		}
	}
}

func bare(id string) string { return strings.Trim(strings.TrimSpace(id), "<>") }

// agreement is how the reported content compares with the logged message.
type agreement int

const (
	absent  agreement = iota // there is nothing to compare
	differs                  // it is another message
	agrees
)

// content compares Message-ID and body with the log.
func (a *attempt) content() agreement {
	m, r := a.msg, a.row
	if m.id != "" && r.MessageID != "" && m.id != r.MessageID {
		a.note("Message-ID <%s> is not that of the logged message", m.id)
		return differs
	}
	if len(m.body) == 0 {
		a.note("no body to be compared")
		return absent
	}
	if a.sameBody() {
		a.note("the body is that of the logged message")
		return agrees
	}
	switch n := sent.Alike(m.likeness, r.Fuzzy); {
	case m.id == "":
		a.note("without Message-ID only the very same body counts")
		return differs
	case n >= alike:
		a.note("%d %% of the text is that of the logged message", n)
		return agrees
	case m.likeness == "":
		a.note("no text to be compared")
		return absent
	default:
		a.note("the text is not that of the logged message (%d %% alike)", n)
		return differs
	}
}

func (a *attempt) sameBody() bool {
	if a.msg.hash == a.row.BodyHash {
		return a.row.BodyHash != ""
	}
	for _, c := range a.row.Copies {
		if c.BodyHash != "" && c.BodyHash == a.msg.hash {
			return true
		}
	}
	return false
}
