package header

import (
	"slices"
	"strings"

	"postern/filter"
	"postern/internal/address"
	"postern/internal/mime"
	"postern/internal/mime/alike"
	"postern/internal/mime/header"
)

// author compares who the message claims to be from with us and with its reader.
func (l *look) author() {
	to := slices.Concat(header.Mailboxes(l.head.Get("To")), header.Mailboxes(l.head.Get("Cc")))
	if !l.head.Has("To") && !l.head.Has("Cc") {
		l.add(ToMissing, "")
	}
	authors := l.tree.From()
	for _, from := range authors[:min(len(authors), MaxAuthors)] {
		if from.Domain == "" {
			continue
		}
		own := l.ours(from.Domain)
		if own {
			l.add(FromOwnDomain, from.Domain)
		} else {
			l.likeOwn(from.Domain)
			l.person(from, to)
		}
		l.nameAddress(from)
		l.named(from)
		if l.isReader(from.Address) {
			l.add(FromIsTo, from.Address)
		}
	}
}

// MaxAuthors bounds the authors of one message that are compared.
const MaxAuthors = 20

// likeOwn compares what was registered: our example.com with their exarnple.com.
func (l *look) likeOwn(domain string) {
	theirs := address.Registered(domain)
	name := alike.Of(theirs)
	for own, n := range l.orgs {
		if theirs != own && n.Close(name) {
			l.add(FromLikeOwn, domain)
			return
		}
	}
}

// person compares the shown name with the names of our people and of the reader.
func (l *look) person(from mime.Mailbox, to []mime.Mailbox) {
	name := words(from.Name)
	if len(name) < 2 {
		return // one word is no name of a person for certain
	}
	if l.people[strings.Join(name, " ")] {
		l.add(FromNamePerson, from.Name+" <"+from.Address+">")
		return
	}
	for _, r := range to[:min(len(to), MaxAuthors)] {
		if l.isReader(r.Address) && !strings.EqualFold(r.Address, from.Address) && slices.Equal(words(r.Name), name) {
			l.add(FromNameReader, from.Name+" <"+from.Address+">")
			return
		}
	}
}

// words are the words of a name as they look, in a fixed order: "Lovelace, Ada" is "Ada
// Lovelace".
func words(name string) []string {
	out := strings.FieldsFunc(alike.Skeleton(name), func(r rune) bool { return strings.ContainsRune(` ,."'()<>@`, r) })
	slices.Sort(out)
	return out
}

// nameAddress finds an address inside the shown name that is not the one behind it.
func (l *look) nameAddress(from mime.Mailbox) {
	for part := range strings.FieldsFuncSeq(from.Name, func(r rune) bool { return strings.ContainsRune(" \t<>()[]\"',;:|", r) }) {
		at := strings.LastIndexByte(part, '@')
		if at <= 0 {
			continue
		}
		domain := strings.ToLower(strings.Trim(part[at+1:], "."))
		if !strings.Contains(domain, ".") || address.Registered(domain) == address.Registered(from.Domain) {
			continue
		}
		if l.ours(domain) {
			l.add(FromNameOwn, from.Name+" <"+from.Address+">")
		} else {
			l.add(FromNameAddress, from.Name+" <"+from.Address+">")
		}
		return
	}
}

// isReader reports whether an address is one of the envelope's recipients.
func (l *look) isReader(address string) bool {
	return slices.ContainsFunc(l.m.To, func(r filter.Recipient) bool { return strings.EqualFold(r.Address, address) })
}

// answers looks at where an answer would go.
func (l *look) answers() {
	reply := header.Mailboxes(l.head.Get("Reply-To"))
	authors := l.tree.From()
	if len(reply) == 0 || len(authors) == 0 || authors[0].Domain == "" {
		return
	}
	from := authors[0].Domain
	for _, r := range reply {
		if r.Domain == "" || address.Registered(r.Domain) == address.Registered(from) || l.ours(r.Domain) {
			return // one of them leads back, or to a list of ours
		}
	}
	l.add(ReplyToElsewhere, reply[0].Address)
	if free(reply[0].Domain) {
		l.add(ReplyToFree, reply[0].Address)
	}
}
