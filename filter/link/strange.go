package link

import (
	"slices"
	"strings"

	"postern/filter"
	"postern/internal/address"
	"postern/internal/mime"
)

// strange reports links of a page none of which leads to the author's organisation, to that of
// the envelope, or to those that gave the message its Message-ID, signed it or keep its list.
func (l *look) strange(near []string) {
	if len(l.follow) == 0 || len(l.senders) == 0 {
		return
	}
	for _, o := range l.follow {
		if slices.Contains(near, o) {
			return
		}
	}
	l.add(Strange, strings.Join(l.follow[:min(len(l.follow), 3)], ", "))
}

// forms reports where forms send what is typed into them, and who completes short links.
func (l *look) forms(near []string, p *mime.Pages) {
	for _, f := range p.Forms {
		if f.Host == "" {
			continue
		}
		stranger := !slices.Contains(near, address.Registered(f.Host))
		if stranger {
			l.add(Form, f.Host)
		}
		if f.Secret && (stranger || len(f.Raw) > 5 && strings.EqualFold(f.Raw[:5], "http:")) {
			l.add(Password, f.Raw)
		}
	}
	if p.Base != "" && p.Anchors > 0 && !slices.Contains(near, address.Registered(p.Base)) {
		l.add(Base, p.Base)
	}
}

// parties are the organisations that a header and an envelope name beside the author. What they
// claim is not proved here: a stranger's link does not even fit what the message says of itself.
func parties(m *filter.Message, h *mime.Header) (out []string) {
	take := func(host string) {
		if host = strings.Trim(strings.ToLower(host), " \t<>.;"); address.ValidDomain(host) {
			out = append(out, address.Registered(host))
		}
	}
	take(address.DomainOf(m.From))
	for _, name := range []string{"Message-ID", "List-Id", "List-Unsubscribe", "Sender"} {
		value := h.Get(name)
		for word := range strings.FieldsFuncSeq(value, func(r rune) bool { return strings.ContainsRune("<>@/?:, \t\"()", r) }) {
			if strings.Contains(word, ".") {
				take(word)
			}
		}
	}
	for _, sig := range h.All("DKIM-Signature") {
		for tag := range strings.SplitSeq(sig, ";") {
			if name, value, _ := strings.Cut(tag, "="); strings.TrimSpace(name) == "d" {
				take(value)
			}
		}
	}
	return out
}
