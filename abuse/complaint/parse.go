package complaint

import (
	"bytes"
	"fmt"
	"strings"

	"postern/abuse/complaint/arf"
	"postern/abuse/complaint/claim"
	"postern/abuse/complaint/decipher"
	"postern/abuse/complaint/dsn"
	"postern/abuse/complaint/inner"
	"postern/internal/mime"
	"postern/internal/mime/header"
)

// OthersMost bounds the further messages of one report.
const OthersMost = 20

// DefaultOptions are the bounds used where nothing else is said.
func DefaultOptions() Options {
	return Options{Bytes: 8 << 20, Text: 64 << 10, Depth: 12, Parts: 300, Problems: 20}
}

func (o Options) withDefaults() Options {
	d := DefaultOptions()
	for _, f := range []struct{ have, def *int }{{&o.Bytes, &d.Bytes}, {&o.Text, &d.Text}, {&o.Depth, &d.Depth}, {&o.Parts, &d.Parts}, {&o.Problems, &d.Problems}} {
		if *f.have <= 0 {
			*f.have = *f.def
		}
	}
	return o
}

// Parse reads what somebody sent to an address for complaints, a whole mail or a bare XARF
// document. Original, Others and nothing else share memory with raw, which must not change.
func Parse(raw []byte, o Options) Report {
	p := parser{o: o.withDefaults()}
	if len(raw) > p.o.Bytes {
		p.problem("the report is larger than %d bytes; the rest was not read", p.o.Bytes)
		raw = raw[:p.o.Bytes]
	}
	if b := bytes.TrimLeft(raw[:min(len(raw), 100)], "\xef\xbb\xbf \t\r\n"); len(b) > 0 && b[0] == '{' && p.document(raw) {
		return p.done()
	}
	p.tree = mime.Bytes(raw, mime.Limits{
		Depth: p.o.Depth, Parts: p.o.Parts, Fields: 1000, Work: 6, Readings: 1, Anomalies: 50, Names: 8, Text: p.o.Text, Tokens: 20_000, URLs: 1,
	})
	p.r.Claims.Reporter = reporter(p.tree)
	p.unread()
	p.carried()
	switch {
	case p.feedback(), p.json(), p.bounce(), p.forward():
		p.write(nil)
	default:
		p.words()
	}
	return p.done()
}

// parser reads one report.
type parser struct {
	o     Options
	r     Report
	tree  *mime.Tree
	found []inner.Message // messages the report carries
	odd   bool            // found only in another reading of its bytes
}

func (p *parser) problem(format string, args ...any) {
	if s := claim.Text(fmt.Sprintf(format, args...)); len(p.r.Problems) < p.o.Problems {
		p.r.Problems = claim.Add(p.r.Problems, s)
	}
}

func (p *parser) done() Report {
	if p.r.Format == "" {
		p.r.Format = Unparsed
		p.problem("there is neither a report, nor a message, nor text in it")
	}
	p.r.Redacted = p.r.Redacted || redacted(p.r)
	return p.r
}

// unread tells what of the mail could not be read for certain.
func (p *parser) unread() {
	for i, u := range p.tree.Unscannable {
		if i == 3 {
			return
		}
		p.problem("not read for certain: %s", u)
	}
}

func reporter(t *mime.Tree) string {
	if boxes := t.From(); len(boxes) > 0 {
		return claim.Address(boxes[0].Address)
	}
	return ""
}

// carried finds the messages in the report.
func (p *parser) carried() {
	p.found, p.odd = inner.Messages(p.tree, OthersMost+1)
}

// take makes a message that the report carries the one it is about.
func (p *parser) take(m inner.Message) {
	p.r.Original, p.r.Whole = m.Raw, m.Whole
	if m.Encoded {
		p.problem("the message was under %s; its bytes are what that decodes to", m.Part.Encoding)
	}
	if m.Shifted {
		p.problem("lines in front of the first field of the message were left out")
	}
	if p.odd {
		p.problem("the message shows only in another reading of the report")
	}
	for _, other := range p.found {
		if other.Part != m.Part {
			p.r.Others = append(p.r.Others, other.Raw)
		}
	}
	p.facts(m.Raw)
}

// facts are what the message says of itself where the report said nothing.
func (p *parser) facts(raw []byte) {
	h, _ := inner.Header(raw)
	c := &p.r.Claims
	fill := func(to *string, v string) {
		if *to == "" {
			*to = claim.Text(v)
		}
	}
	fill(&c.MessageID, h.Get("Message-ID"))
	fill(&c.FeedbackID, h.Get("CFBL-Feedback-ID"))
	fill(&c.Subject, h.Decoded("Subject"))
	fill(&c.Sent, h.Get("Date"))
	if boxes := header.Mailboxes(h.Get("From")); len(boxes) > 0 {
		fill(&c.From, boxes[0].Address)
	}
	if v := h.Get("X-HmXmrOriginalRecipient"); v != "" {
		c.RcptTo = claim.Add(c.RcptTo, claim.Address(v))
	}
}

// feedback reads an ARF report.
func (p *parser) feedback() bool {
	part, body := p.report()
	if part == nil {
		return false
	}
	f := arf.Read(body)
	who := p.r.Claims.Reporter
	p.r.Format, p.r.Feedback, p.r.Claims = ARF, f.Type, f.Claims
	p.r.Claims.Reporter = who
	for _, s := range f.Problems {
		p.problem("%s", s)
	}
	if f.Type == "xarf" || strings.HasPrefix(f.Type, "xarf") {
		if p.json() {
			return true
		}
		p.problem("the report calls itself XARF and has no document that can be read")
	}
	switch m, ok := p.behind(part); {
	case ok:
		p.take(m)
		if p.loop() {
			p.r.Format = CFBL
		}
	default:
		p.problem("the report has no part with the message")
		if f.Type == "" && p.r.Claims.Empty() {
			p.r.Format = Unparsed // nothing to go by: not to be told from mail that is not ours
		}
	}
	return true
}

// report is the first part with the fields of a feedback report, outside any message that
// the mail carries: a spammer would hide behind one inside.
func (p *parser) report() (*mime.Part, []byte) {
	var second *mime.Part
	says := strings.EqualFold(p.tree.Root.Params["report-type"], "feedback-report")
	for part := range inner.Top(p.tree) {
		if part.MediaType == arf.MediaType {
			return part, part.Decoded()
		}
		if second == nil && part.IsLeaf() && (says || strings.Contains(part.MediaType, "feedback-report") || strings.Contains(part.MediaType, "octet-stream")) && arf.Looks(part.Decoded()) {
			second = part
		}
	}
	if second == nil {
		return nil, nil
	}
	p.problem("the fields of the report stand in a part of type %s", second.MediaType)
	return second, second.Decoded()
}

// behind is the message that follows a part, or any other if none does.
func (p *parser) behind(part *mime.Part) (inner.Message, bool) {
	passed := false
	for _, other := range p.tree.Parts {
		if other == part {
			passed = true
		}
		if !passed {
			continue
		}
		for _, m := range p.found {
			if m.Part == other {
				return m, true
			}
		}
	}
	if len(p.found) > 0 {
		return p.found[0], true
	}
	return inner.Message{}, false
}

// loop reports whether the report was sent where the message says that feedback goes (RFC
// 9477), or is of a loop that marks the message with its recipient.
func (p *parser) loop() bool {
	h, _ := inner.Header(p.r.Original)
	if h.Has("X-HmXmrOriginalRecipient") {
		return true
	}
	want, _, _ := strings.Cut(h.Get("CFBL-Address"), ";")
	if want = strings.ToLower(claim.Address(want)); want == "" {
		return false
	}
	for _, name := range []string{"To", "Cc", "Delivered-To", "X-Original-To"} {
		for _, v := range p.tree.Root.Header.All(name) {
			for _, m := range header.Mailboxes(v[:min(len(v), 2000)]) {
				if strings.ToLower(m.Address) == want {
					return true
				}
			}
		}
	}
	return false
}

// bounce reads a report about delivery.
func (p *parser) bounce() bool {
	b, ok := dsn.Read(p.tree)
	if !ok {
		return false
	}
	p.r.Format, p.r.Bounced, p.r.Claims.MTA = DSN, b.Recipients, b.MTA
	p.r.Original, p.r.Whole = b.Original, b.Whole
	if b.Original != nil {
		p.facts(b.Original)
	}
	if !b.Standard {
		p.problem("the bounce has no part for programs; it is read out of its words")
	}
	return true
}

// forward reads a message that was attached.
func (p *parser) forward() bool {
	if len(p.found) == 0 {
		return false
	}
	p.r.Format = Forward
	p.take(p.found[0])
	if n := len(p.r.Others); n > 0 {
		p.problem("the report carries %d further messages", n)
	}
	if p.loop() {
		p.r.Format = CFBL
	}
	return true
}

// language is that of the person who writes: as declared, else as it looks.
func (p *parser) language(text string) {
	tag := ""
	for part := range inner.Top(p.tree) {
		if tag == "" && (part == p.tree.Root || strings.HasPrefix(part.MediaType, "text/")) {
			tag = decipher.Tag(part.Header.Get("Content-Language"))
		}
	}
	if p.r.Language = decipher.Language(text); tag != "" && (p.r.Language == "" || p.r.Language == "en") {
		p.r.Language = tag
	}
}
