// Package people keeps who may use the desk and its API: users with a role, and tokens with
// scopes. It knows what each role may do; what a call needs is said where the calls are.
package people

import (
	"slices"
	"strings"
	"time"

	"postern/internal/address"
	"postern/internal/said"
)

// Errors of a Directory. They are wrapped: use errors.Is.
var (
	ErrDenied   = said.New("people.not-allowed", "not allowed") // whatever the reason, strangers hear just this
	ErrInvalid  = said.New("people.cannot-be-kept-like-this", "cannot be kept like this")
	ErrNotFound = said.New("people.there-is-no-such-user-or-token", "there is no such user or token")
	ErrExists   = said.New("people.there-is-one-of-this-name-already", "there is one of this name already")
	ErrLast     = said.New("people.it-is-the-last-postmaster", "it is the last postmaster")
)

// Role says what a user may do.
type Role string

// The roles, from the narrowest.
const (
	Recipient   Role = "user"         // mail of the own addresses
	DomainAdmin Role = "domain-admin" // mail and accounts of the own domains
	Agent       Role = "abuse-agent"  // holds, complaints, measures that can be undone
	Lead        Role = "abuse-lead"   // also approves, and resets what stopped itself
	Postmaster  Role = "postmaster"   // everything
	Auditor     Role = "auditor"      // reads everything, changes nothing
)

// Roles are all roles.
func Roles() []Role { return []Role{Recipient, DomainAdmin, Agent, Lead, Postmaster, Auditor} }

// Scope is one thing that may be done; a token has some of its owner's.
type Scope string

// The scopes.
const (
	HoldsRead    Scope = "holds:read"
	HoldsAct     Scope = "holds:act"
	ListsRead    Scope = "lists:read"
	ListsAct     Scope = "lists:act"
	AccountsRead Scope = "accounts:read"
	AccountsAct  Scope = "accounts:act"
	TraceRead    Scope = "trace:read"
	CasesRead    Scope = "cases:read"
	CasesAct     Scope = "cases:act"
	CasesApprove Scope = "cases:approve" // guarantees, what one person may not do alone, what stopped itself
	EvidenceRead Scope = "evidence:read" // whole evidence, with the addresses of third parties
	ReportsRead  Scope = "reports:read"
	ReportsSend  Scope = "reports:send" // hand in complaints
	OutboxRead   Scope = "outbox:read"
	OutboxAct    Scope = "outbox:act"
	KeysRead     Scope = "keys:read"
	KeysAct      Scope = "keys:act"
	AuditRead    Scope = "audit:read"
	SystemRead   Scope = "system:read"
	SystemAct    Scope = "system:act"
	PeopleRead   Scope = "people:read"
	PeopleAct    Scope = "people:act"
	InboxRead    Scope = "inbox:read" // mail that is kept for tests
	InboxAct     Scope = "inbox:act"
)

// Reads reports whether what has this scope changes nothing.
func (s Scope) Reads() bool { return strings.HasSuffix(string(s), ":read") }

// Scopes are all scopes.
func Scopes() []Scope {
	return []Scope{HoldsRead, HoldsAct, ListsRead, ListsAct, AccountsRead, AccountsAct, TraceRead, CasesRead, CasesAct, CasesApprove, EvidenceRead,
		ReportsRead, ReportsSend, OutboxRead, OutboxAct, KeysRead, KeysAct, AuditRead, SystemRead, SystemAct, PeopleRead, PeopleAct, InboxRead, InboxAct}
}

// Scopes are what a role may do, at most.
func (r Role) Scopes() []Scope {
	agent := []Scope{HoldsRead, HoldsAct, ListsRead, ListsAct, AccountsRead, AccountsAct, TraceRead, CasesRead, CasesAct, EvidenceRead, ReportsRead, ReportsSend, OutboxRead, SystemRead, InboxRead, InboxAct}
	switch r {
	case Recipient:
		return []Scope{HoldsRead, HoldsAct}
	case DomainAdmin:
		return []Scope{HoldsRead, HoldsAct, ListsRead, ListsAct, AccountsRead, AccountsAct, CasesRead, TraceRead, ReportsSend}
	case Agent:
		return agent
	case Lead:
		return append(agent, CasesApprove, AuditRead, OutboxAct)
	case Postmaster:
		return Scopes()
	case Auditor:
		return []Scope{HoldsRead, ListsRead, AccountsRead, TraceRead, CasesRead, EvidenceRead, ReportsRead, OutboxRead, KeysRead, AuditRead, SystemRead, PeopleRead, InboxRead}
	}
	return nil
}

// Bounded roles see what concerns their own domains or addresses, and nothing else.
func (r Role) Bounded() bool { return r == Recipient || r == DomainAdmin }

// User is somebody who may sign in.
type User struct {
	Name      string    `json:"name"` // lower case
	Role      Role      `json:"role"`
	Email     string    `json:"email,omitempty"`
	Domains   []string  `json:"domains,omitempty"`   // of a domain admin
	Addresses []string  `json:"addresses,omitempty"` // of a user
	Language  string    `json:"language,omitempty"`
	Unix      string    `json:"unix,omitempty"` // the login on this machine whose calls over the socket are this user's
	Disabled  bool      `json:"disabled,omitempty"`
	Created   time.Time `json:"created"`
	By        string    `json:"by"`
	Changed   time.Time `json:"changed"`
	Epoch     uint64    `json:"epoch"` // grows when password or rights change: what was signed in before is no longer
	Hash      string    `json:"hash,omitempty"`
	Subject   string    `json:"subject,omitempty"`  // hash of who it is at an OpenID provider
	Provided  bool      `json:"provided,omitempty"` // the provider made the user, and says the role
	Password  bool      `json:"password,omitempty"` // of what is seen: there is one
}

// Seen is u without what nobody needs to see.
func (u User) Seen() User {
	u.Hash, u.Password = "", u.Password || u.Hash != ""
	return u
}

// Token lets a program act for a user.
type Token struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"` // what it is for
	Owner   string    `json:"owner"`
	Scopes  []Scope   `json:"scopes"`
	Created time.Time `json:"created"`
	By      string    `json:"by"`
	Expires time.Time `json:"expires"`
	Used    time.Time `json:"used,omitzero"` // to the hour
	Revoked time.Time `json:"revoked,omitzero"`
	Hash    string    `json:"hash,omitempty"` // SHA-256 of the secret, hex
}

// Seen is t without what nobody needs to see.
func (t Token) Seen() Token {
	t.Hash = ""
	return t
}

// Principal is who makes a call, and what that one may do.
type Principal struct {
	Name      string // of the user
	Role      Role
	Email     string
	Token     string // its name, where one was used
	Scopes    []Scope
	Domains   []string
	Addresses []string
}

// Actor is the principal as the audit writes it.
func (p Principal) Actor() string {
	if p.Token == "" {
		return p.Name
	}
	return p.Name + " (token " + p.Token + ")"
}

// Can reports whether the principal has the scope.
func (p Principal) Can(s Scope) bool { return slices.Contains(p.Scopes, s) }

// Covers reports whether what concerns the address or domain is the principal's to see.
func (p Principal) Covers(of string) bool {
	of = strings.ToLower(strings.TrimSpace(of))
	switch {
	case !p.Role.Bounded():
		return true
	case p.Role == Recipient:
		return slices.Contains(p.Addresses, of)
	}
	_, domain, found := cutLast(of, "@")
	if !found {
		domain = of
	}
	return slices.Contains(p.Domains, domain)
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// Bounds of what is kept.
const (
	MaxName     = 64  // octets of a name
	MaxDomains  = 500 // of a domain admin
	MaxLifetime = 366 * 24 * time.Hour
	MinPassword = 12  // characters
	MaxPassword = 256 // octets
)

func validName(what, s string) error {
	if s == "" || len(s) > MaxName || strings.ToLower(s) != s {
		return said.Errorf("people.1-to-lower-case-characters", "%s %q: 1 to %d lower-case characters: %w", "what", what, "s", s, "most", MaxName, "kind", ErrInvalid)
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("._-@+", rune(c)) {
			return said.Errorf("people.letters-digits-and-only", "%s %q: letters, digits and . _ - @ + only: %w", "what", what, "s", s, "kind", ErrInvalid)
		}
	}
	return nil
}

// normalise puts u into the form it is kept in, or says why it cannot be kept.
func (u *User) normalise() error {
	u.Name = strings.ToLower(strings.TrimSpace(u.Name))
	if err := validName("user", u.Name); err != nil {
		return err
	}
	if u.Unix != "" {
		if err := validName("login", u.Unix); err != nil {
			return err
		}
	}
	if !slices.Contains(Roles(), u.Role) {
		return said.Errorf("people.role-one-of", "role %q: one of %v: %w", "role", u.Role, "roles", Roles(), "kind", ErrInvalid)
	}
	for _, list := range []*[]string{&u.Domains, &u.Addresses} {
		for i, s := range *list {
			(*list)[i] = strings.ToLower(strings.TrimSpace(s))
		}
		slices.Sort(*list)
		*list = slices.Compact(*list)
		if len(*list) > MaxDomains {
			return said.Errorf("people.domains-or-addresses-at-most", "%d domains or addresses, at most %d: %w", "n", len(*list), "most", MaxDomains, "kind", ErrInvalid)
		}
	}
	for _, d := range u.Domains {
		if !address.ValidDomain(d) {
			return said.Errorf("people.domain", "domain %q: %w", "d", d, "kind", ErrInvalid)
		}
	}
	for _, a := range slices.Concat(u.Addresses, some(u.Email)) {
		if _, err := address.Parse(a, true); err != nil {
			return said.Errorf("people.address", "address %q: %w", "a", a, "kind", ErrInvalid)
		}
	}
	switch {
	case u.Role == DomainAdmin && len(u.Domains) == 0:
		return said.Errorf("people.a-domain-admin-needs-at-least-one", "a domain admin needs at least one domain: %w", "kind", ErrInvalid)
	case u.Role != DomainAdmin && len(u.Domains) > 0:
		return said.Errorf("people.only-a-domain-admin-has-domains", "only a domain admin has domains: %w", "kind", ErrInvalid)
	case u.Role == Recipient && len(u.Addresses) == 0:
		return said.Errorf("people.a-user-needs-at-least-one-address", "a user needs at least one address: %w", "kind", ErrInvalid)
	}
	return nil
}

func some(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
