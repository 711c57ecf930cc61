package dsn

import (
	"bytes"
	"regexp"
	"strings"

	"postern/abuse/complaint/claim"
	"postern/abuse/complaint/inner"
	"postern/abuse/complaint/pasted"
	"postern/internal/mime"
	"postern/internal/mime/header"
	"postern/internal/mime/view"
)

// What mailers write into text. Each is matched against one line of bounded length.
var (
	enhanced = regexp.MustCompile(`(?:^|[^0-9.])([245]\.[0-9]{1,3}\.[0-9]{1,3})(?:[^0-9.]|\.?$|\.[^0-9])`)
	reply    = regexp.MustCompile(`(?:^|[^0-9.])([45])([0-5])[0-9](?:[- ]|$)`)
	anywhere = regexp.MustCompile(`[^\s<>()\[\]:;,"'=|]+@[A-Za-z0-9.-]+[A-Za-z0-9]`)
	alone    = regexp.MustCompile(`^[\s*>"'<]*([^\s<>()\[\]:;,"'=|]+@[A-Za-z0-9.-]+[A-Za-z0-9])[>"']*\s*(?:$|:|\[|\(|<|\.?\s|,)`)
	nobody   = regexp.MustCompile(`(?i)^(?:mailer-daemon|postmaster|mail\.?delivery.*|double-bounce|noreply|no-reply)@`)
)

// returned are the lines behind which the message itself stands.
var returned = regexp.MustCompile(`(?i)below this line is a copy|copy of the (?:original )?message|original message|unsent message follows|header of the original|message headers follow|returned message|message header`)

// find is the first enhanced status code of a text.
func find(s string) string {
	if m := enhanced.FindStringSubmatch(s[:min(len(s), 2000)]); m != nil {
		return m[1]
	}
	return ""
}

// words reads a bounce that is written for people.
func (r *Report) words(t *mime.Tree) {
	h := &t.Root.Header
	text := human(t)
	if !r.Standard && !bounces(h, text) {
		return
	}
	if r.Original == nil {
		r.inText(t)
		if f, ok := pasted.Find(text, func(b []byte) string { return string(b) }); ok && f.Source {
			text = text[:f.Before]
		}
	}
	r.fields(text)
	if len(r.Recipients) > 0 {
		return
	}
	for _, v := range h.All("X-Failed-Recipients") {
		for a := range strings.SplitSeq(v, ",") {
			r.add(Recipient{Final: address(a)})
		}
	}
	r.lines(h, text)
	act := "failed"
	if late(h.Decoded("Subject"), text) {
		act = "delayed"
	}
	for i := range r.Recipients {
		r.Recipients[i].Action = act
	}
}

// inText takes a returned message out of the text it stands in, byte for byte.
func (r *Report) inText(t *mime.Tree) {
	for p := range inner.Top(t) {
		if !p.IsLeaf() || p.MediaType != "text/plain" {
			continue
		}
		if f, ok := pasted.Find(p.Decoded(), func(b []byte) string { return string(b) }); ok && f.Source {
			r.Original, r.Whole = f.Raw, f.Whole
			return
		}
	}
}

// human is the text of the report itself, with the line ends it has.
func human(t *mime.Tree) []byte {
	c := view.NewCollector(view.Budget{Text: textMost, Tokens: 20_000})
	for p := range inner.Top(t) {
		if p.IsLeaf() && !strings.HasPrefix(p.MediaType, "text/rfc822") {
			c.Add(view.Body{MediaType: p.MediaType, Charset: p.Charset, Names: p.FileNames, Readings: [][]byte{p.Decoded()}})
		}
	}
	return []byte(c.Text())
}

// bounces reports whether a mail without a status part is a bounce at all. People who write
// from postmaster addresses complain too: from there a word is not enough.
func bounces(h *header.Header, text []byte) bool {
	if h.Has("X-Failed-Recipients") || bytes.Contains(text, []byte("Final-Recipient:")) {
		return true
	}
	from, subject := strings.ToLower(h.Get("From")), strings.ToLower(h.Decoded("Subject"))
	head := strings.ToLower(string(text[:min(len(text), 4000)]))
	switch {
	case strings.TrimSpace(h.Get("Return-Path")) == "<>", within(from, "mailer-daemon", "mailer daemon", "mail delivery", "mail deliver", "maildelivery", "mdaemon", "ndr administrator", "undeliverable"):
		return within(subject+"\n"+head, "deliver", "failure", "failed", "returned", "error", "rejected", "unable", "bounce", "trouble", "unknown", "не доставлен", "退信", "无法投递")
	case within(from, "postmaster", "post_master", "mail administrator", "system administrator"):
		return within(subject, "undeliver", "delivery", "failure notice", "returned mail", "mail error", "退信", "не доставлен") ||
			within(head, "could not be delivered", "was not delivered", "undeliverable", "user unknown", "invalid user", "unable to deliver", "did not reach", "送信できません")
	}
	return false
}

func within(s string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// late reports whether delivery is still tried.
func late(subject string, text []byte) bool {
	return within(strings.ToLower(subject+"\n"+string(text[:min(len(text), 4000)])),
		"delayed", "will be retried", "will keep trying", "still trying", "warning: could not send", "warning only", "not yet been delivered")
}

// fields reads the fields of RFC 3464 where they stand in the text, quoted or not.
func (r *Report) fields(text []byte) {
	at := bytes.Index(text, []byte("Final-Recipient:"))
	if at < 0 {
		return
	}
	for _, near := range []string{"Action:", "Reporting-MTA:"} { // some write it behind these
		if i := bytes.LastIndex(text[:at], []byte(near)); i >= 0 && at-i < 500 {
			at = i
		}
	}
	plain := make([]byte, 0, len(text)-at)
	for l := range bytes.Lines(text[at:]) {
		plain = append(plain, bytes.TrimLeft(l, "> ")...)
	}
	r.status(plain)
}

// lines finds the addresses a bounce is about: those that stand at the beginning of a line,
// or else any but those of the people it goes to and comes from.
func (r *Report) lines(h *header.Header, text []byte) {
	notOurs := map[string]bool{}
	for _, name := range []string{"To", "From", "Cc", "Delivered-To", "Envelope-To", "Return-Path"} {
		for _, v := range h.All(name) {
			for _, m := range header.Mailboxes(v[:min(len(v), 2000)]) {
				notOurs[strings.ToLower(m.Address)] = true
			}
		}
	}
	known := len(r.Recipients) > 0
	for _, pattern := range []*regexp.Regexp{alone, anywhere} {
		r.scan(pattern, text, known, notOurs)
		if len(r.Recipients) > 0 {
			return
		}
	}
}

// scan gives each recipient it meets the diagnostic words that follow.
func (r *Report) scan(pattern *regexp.Regexp, text []byte, known bool, skip map[string]bool) {
	current, n := -1, 0
	for l := range strings.Lines(string(text)) {
		if n++; n > 2000 || n > 3 && len(r.Recipients) > 0 && returned.MatchString(l[:min(len(l), 200)]) {
			break
		}
		l = strings.TrimRight(l[:min(len(l), 1000)], "\r\n")
		if a := pattern.FindString(l); a != "" && !strings.Contains(strings.ToUpper(l), "MAIL FROM:") {
			a = strings.TrimRight(claim.Address(anywhere.FindString(a)), ".")
			if at := r.index(a); at >= 0 {
				current = at
			} else if !known && !skip[strings.ToLower(a)] && !nobody.MatchString(a) {
				r.add(Recipient{Final: a})
				current = r.index(a)
			}
		}
		r.diagnose(current, l)
	}
	if current < 0 && len(r.Recipients) == 1 { // the reason stands in front of the address, or far from it
		for l := range strings.Lines(string(text[:min(len(text), 8000)])) {
			r.diagnose(0, strings.TrimRight(l[:min(len(l), 1000)], "\r\n"))
		}
	}
	if len(r.Recipients) == 1 && r.Recipients[0].Status == "" {
		for l := range strings.Lines(string(text[:min(len(text), 8000)])) {
			r.diagnose(0, strings.TrimRight(l[:min(len(l), 1000)], "\r\n"))
		}
	}
}

func (r *Report) index(address string) int {
	for i, have := range r.Recipients {
		if strings.EqualFold(have.Final, address) {
			return i
		}
	}
	return -1
}

// diagnose takes what a line says about recipient i. A reply code without an enhanced one
// gives the general code of its class.
func (r *Report) diagnose(i int, l string) {
	if i < 0 {
		return
	}
	one := &r.Recipients[i]
	if s := find(l); s != "" && (one.Status == "" || strings.HasSuffix(one.Status, ".0.0")) {
		one.Status, one.Diagnostic = s, claim.Text(l)
		return
	}
	if m := reply.FindStringSubmatch(l); m != nil && one.Status == "" {
		one.Status, one.Diagnostic = m[1]+".0.0", claim.Text(l)
	}
}
