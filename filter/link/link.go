// Package link compares where links lead with what they show, with who the message claims to
// be from, and with our own domains.
package link

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"postern/filter"
	"postern/internal/address"
	"postern/internal/mime"
	"postern/internal/mime/alike"
)

// The symbols of this check.
const (
	Mismatch   = "LINK_MISMATCH"    // a link shows the address of one organisation and leads to another
	LikeOwn    = "LINK_LIKE_OWN"    // a link leads to a domain that is easily taken for one of ours
	LikeSender = "LINK_LIKE_SENDER" // a link leads to a domain that is easily taken for the sender's
	Lookalike  = "LINK_LOOKALIKE"   // a link's host is written in letters that look like Latin ones
	Data       = "LINK_DATA"        // a link carries a page in itself
	Elsewhere  = "LINK_ELSEWHERE"   // there are links, and none leads to the sender's organisation
	Strange    = "LINK_STRANGE"     // no link to be followed leads to anybody who had to do with the message
	Form       = "FORM_ELSEWHERE"   // what is typed into a form goes to somebody who had nothing to do with the message
	Password   = "FORM_PASSWORD"    // so does a password, or it travels unencrypted
	Base       = "LINK_BASE"        // short links are completed with a stranger's address
	Code       = "QR_LINK"          // a picture holds a QR code that leads to a page
	CodeHides  = "QR_LINK_HIDES"    // such a code leads to a shortener or a bare address
)

// Symbols are all symbols this check can emit.
func Symbols() []string {
	return []string{Mismatch, LikeOwn, LikeSender, Lookalike, Data, Elsewhere, Strange, Form, Password, Base, Code, CodeHides}
}

// Check looks at the links of a message. It is safe for concurrent use.
type Check struct {
	Pictures Pictures // reads QR codes; nil = they are not looked at. Set before the first Check

	own atomic.Pointer[map[string]alike.Name] // by registered domain
}

// New makes the check; domains are ours, in lower case and A-labels.
func New(domains []string) *Check {
	c := &Check{}
	c.Reload(domains)
	return c
}

// Reload takes other domains of ours.
func (c *Check) Reload(domains []string) {
	own := make(map[string]alike.Name, len(domains))
	for _, d := range domains {
		o := address.Registered(d)
		own[o] = alike.Of(o)
	}
	c.own.Store(&own)
}

// MaxOrgs bounds the organisations of one message that are compared with ours.
const MaxOrgs = 200

// Check implements filter.Check.
func (c *Check) Check(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
	tree, err := m.Parts()
	if err != nil {
		return nil, &filter.CouldNot{Words: "the message could not be read", Cause: err}
	}
	l := &look{own: *c.own.Load(), seen: map[string]bool{}, told: map[string]bool{}}
	for _, from := range tree.From() {
		if from.Domain != "" {
			l.senders = append(l.senders, address.Registered(from.Domain))
		}
	}
	for _, u := range tree.URLs() {
		l.link(u)
	}
	unread := c.codes(ctx, l, tree)
	if l.hosts > 0 && !l.home && len(l.senders) > 0 {
		l.add(Elsewhere, l.first)
	}
	near := append(slices.Clone(l.senders), parties(m, &tree.Root.Header)...)
	l.strange(near)
	l.forms(near, tree.Pages())
	return l.found, unread
}

// look is one run of the check.
type look struct {
	own     map[string]alike.Name
	senders []string        // organisations of the authors
	seen    map[string]bool // organisations compared
	told    map[string]bool // symbols found
	hosts   int
	home    bool // a link leads to the sender's organisation
	first   string
	follow  []string // organisations of the links a reader can follow, each once
	found   []filter.Finding
}

// maxDetail bounds what is shown of a link, in bytes.
const maxDetail = 120

func (l *look) add(symbol, detail string) {
	if l.told[symbol] {
		return
	}
	l.told[symbol] = true
	if len(detail) > maxDetail {
		detail = strings.ToValidUTF8(detail[:maxDetail], "") + "…"
	}
	l.found = append(l.found, filter.Finding{Symbol: symbol, Detail: detail})
}

func (l *look) link(u mime.URL) {
	if scheme, _, ok := strings.Cut(u.Raw, ":"); ok && strings.EqualFold(scheme, "data") {
		l.data(u.Raw)
		return
	}
	if u.Host == "" || strings.Contains(u.Host, ":") {
		return
	}
	o := address.Registered(u.Host)
	if l.hosts++; l.first == "" {
		l.first = u.Host
	}
	for _, s := range l.senders {
		l.home = l.home || s == o
	}
	if u.Anchor && len(l.follow) < MaxOrgs && !slices.Contains(l.follow, o) {
		l.follow = append(l.follow, o)
	}
	if shown := shownOrg(u.Text); shown != "" && shown != o {
		l.add(Mismatch, "shows "+shown+", leads to "+u.Host)
	}
	if l.seen[o] || len(l.seen) >= MaxOrgs {
		return
	}
	l.seen[o] = true
	l.compare(o, u.Host)
}

// data reports pages; pictures and fonts in a link are ordinary.
func (l *look) data(raw string) {
	kind := strings.ToLower(strings.TrimSpace(raw[len("data:"):min(len(raw), 64)]))
	for _, page := range []string{"text/html", "image/svg", "application/xhtml", "text/xml", "application/xml", "application/javascript", "text/javascript"} {
		if strings.HasPrefix(kind, page) {
			l.add(Data, raw)
			return
		}
	}
}

// compare looks for domains that are easily taken for ours or the sender's.
func (l *look) compare(o, host string) {
	if !address.ValidDomain(o) {
		return // an address, or what damaged text left of a name
	}
	if u, bad := disguised(o); bad {
		l.add(Lookalike, u+" ("+host+")")
	}
	name := alike.Of(o)
	if _, ours := l.own[o]; !ours {
		for _, own := range l.own {
			if own.Close(name) {
				l.add(LikeOwn, host)
				break
			}
		}
	}
	for _, s := range l.senders {
		if s != o && alike.Of(s).Close(name) {
			l.add(LikeSender, host+" for "+s)
		}
	}
}

// disguised reports whether an international name holds a label that mixes its letters with
// others that look Latin, or consists of nothing else.
func disguised(domain string) (shown string, bad bool) {
	if !strings.Contains(domain, "xn--") {
		return "", false
	}
	u, err := idna.ToUnicode(domain)
	if err != nil {
		return "", false
	}
	for label := range strings.SplitSeq(u, ".") {
		if len(label) == utf8.RuneCountInString(label) || latin(label) {
			continue // plain, or Latin with accents: müller is a name of its own
		}
		if looks := alike.Skeleton(label); len(looks) == utf8.RuneCountInString(looks) {
			return u, true
		}
	}
	return u, false
}

// latin reports whether all letters of a label are Latin.
func latin(label string) bool {
	for _, r := range label {
		if r > 0x24f && (r < 0x1e00 || r > 0x1eff) {
			return false
		}
	}
	return true
}
