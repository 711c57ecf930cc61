// Package header looks at what the header of a message claims: who wrote it and to whom an
// answer goes, when and with which program it was written, and by which way it came.
package header

import (
	"context"
	"strings"
	"sync/atomic"

	"postern/filter"
	"postern/internal/address"
	"postern/internal/mime"
	"postern/internal/mime/alike"
)

// The symbols of this check.
const (
	DateMissing = "DATE_MISSING" // no Date field (RFC 5322 section 3.6 wants one)
	DateInvalid = "DATE_INVALID" // a Date that is none
	DateFuture  = "DATE_FUTURE"  // written more than a day after it came
	DatePast    = "DATE_PAST"    // written more than two weeks before it came

	MessageIDMissing = "MSGID_MISSING" // no Message-ID
	MessageIDInvalid = "MSGID_INVALID" // a Message-ID without the form of one
	MailerForged     = "MAILER_FORGED" // the named program does not write such a Message-ID

	FromOwnDomain     = "FROM_OWN_DOMAIN"     // inbound mail whose author is in a domain of ours
	FromLikeOwn       = "FROM_LIKE_OWN"       // its domain is easily taken for one of ours
	FromNameOwn       = "FROM_NAME_OWN"       // the shown name holds an address of ours
	FromNamePerson    = "FROM_NAME_PERSON"    // the shown name is that of somebody of ours
	FromNameReader    = "FROM_NAME_READER"    // the shown name is the reader's own
	FromNameAddress   = "FROM_NAME_ADDRESS"   // the shown name is an address of another domain
	FromNameDomain    = "FROM_NAME_DOMAIN"    // the domain has something of the shown name
	FromNameStrange   = "FROM_NAME_STRANGE"   // the domain has nothing of the shown name
	FromIsTo          = "FROM_IS_TO"          // the author's address is the reader's
	ReplyToElsewhere  = "REPLY_TO_ELSEWHERE"  // answers go to another organisation
	ReplyToFree       = "REPLY_TO_FREE"       // answers go to a free mailbox, the author has another address
	ToMissing         = "TO_MISSING"          // neither To nor Cc
	ReceivedForged    = "RECEIVED_FORGED"     // it says that we took it before
	ReceivedNoAddress = "RECEIVED_NO_ADDRESS" // a hop has an address that cannot be
)

// Symbols are all symbols this check can emit.
func Symbols() []string {
	return []string{DateMissing, DateInvalid, DateFuture, DatePast, MessageIDMissing, MessageIDInvalid, MailerForged,
		FromOwnDomain, FromLikeOwn, FromNameOwn, FromNamePerson, FromNameReader, FromNameAddress, FromNameDomain, FromNameStrange, FromIsTo,
		ReplyToElsewhere, ReplyToFree, ToMissing, ReceivedForged, ReceivedNoAddress}
}

// Us is what the check has to know of this installation.
type Us struct {
	Host    string   // our host name, as it stands in Received
	Domains []string // our domains, lower case, A-labels
	People  []string // full names of people of ours
}

// known is Us made ready for comparing.
type known struct {
	host    string
	domains map[string]bool
	orgs    map[string]alike.Name // by registered domain
	people  map[string]bool       // words of a name, joined
}

// Check looks at the header of a message. Mail of our own accounts is looked at for its dates
// and programs, not for whom it claims to be from: that is another check's. It is safe for
// concurrent use.
type Check struct{ known atomic.Pointer[known] }

// New makes the check.
func New(us Us) *Check {
	c := &Check{}
	c.Reload(us)
	return c
}

// Reload takes what changed.
func (c *Check) Reload(us Us) {
	k := &known{host: strings.ToLower(us.Host), domains: map[string]bool{}, orgs: map[string]alike.Name{}, people: map[string]bool{}}
	for _, d := range us.Domains {
		k.domains[d] = true
		o := address.Registered(d)
		k.orgs[o] = alike.Of(o)
	}
	for _, p := range us.People {
		if name := words(p); len(name) > 1 {
			k.people[strings.Join(name, " ")] = true
		}
	}
	c.known.Store(k)
}

// Check implements filter.Check.
func (c *Check) Check(_ context.Context, m *filter.Message) ([]filter.Finding, error) {
	tree, err := m.Parts()
	if err != nil {
		return nil, &filter.CouldNot{Words: "the message could not be read", Cause: err}
	}
	l := &look{known: c.known.Load(), m: m, tree: tree, head: &tree.Root.Header}
	l.dates()
	l.messageID()
	if m.Direction == filter.Inbound {
		l.author()
		l.answers()
		l.way()
	}
	return l.found, nil
}

// look is one run of the check.
type look struct {
	*known
	m     *filter.Message
	tree  *mime.Tree
	head  *mime.Header
	found []filter.Finding
}

// maxDetail bounds what is shown of a field, in bytes.
const maxDetail = 120

func (l *look) add(symbol, detail string) {
	if len(detail) > maxDetail {
		detail = strings.ToValidUTF8(detail[:maxDetail], "") + "…"
	}
	l.found = append(l.found, filter.Finding{Symbol: symbol, Detail: detail})
}

// ours reports whether a domain is one of ours or below one.
func (k *known) ours(domain string) bool {
	for domain != "" {
		if k.domains[domain] {
			return true
		}
		_, domain, _ = strings.Cut(domain, ".")
	}
	return false
}
