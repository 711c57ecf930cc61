// Package book reads rule files: it turns YAML into the rules as their authors meant them,
// merged layer over layer and checked against each other, or into a list of everything that
// is wrong with them, each with its place.
package book

import (
	"postern/filter"
	"postern/internal/strict"
	"postern/rules/book/attachment"
	"postern/rules/expr"
)

// Symbol is what one observation is worth and how people are told of it.
type Symbol struct {
	Name     string
	Score    filter.Score
	Action   filter.Action // Accept when the rule gives none
	Rcpt     bool          // stage: rcpt, the action already counts before DATA
	Unless   []string      // other symbols, any of which takes score and action away; the score alone where PolicyDecides
	Describe string        // one plain sentence
	Quiet    bool          // it counts for other rules and is not said; then it is worth nothing itself
	Kind     Kind
	Place    strict.Place // where it was first written
}

// Kind says what raises a symbol.
type Kind string

// The kinds of symbols.
const (
	FromCheck   Kind = "check"
	IsPattern   Kind = "pattern"
	IsComposite Kind = "composite"
)

// Pattern is one expression looked for in one view of a message.
type Pattern struct {
	ID     string
	In     string // the way to look at a message, see package look
	Header string // lower-case names of fields where In asks for them, and what is taken of them
	Match  string // RE2 syntax
	Times  int    // how often it must match, where that is more than once
	Hit    []Sample
	Miss   []Sample
	Place  strict.Place
}

// Sample is a text a pattern is tested on.
type Sample struct {
	Text  string
	Place strict.Place
}

// Composite is a symbol that others make up.
type Composite struct {
	ID    string
	When  expr.Expr
	Text  string // the condition as written
	Place strict.Place
}

// Antivirus is what a policy says about virus scanning.
type Antivirus struct {
	Scan         bool   // false: what the step clamav found or failed at does not count
	Infected     string // reject, quarantine, strip or tag
	KeepOriginal bool   // keep an evidence copy of an infected message
}

// DMARC is what a policy makes of the sending domain's wish.
type DMARC struct {
	Reject     string // honour, hold or ignore a p=reject
	Quarantine string // hold, tag or ignore a p=quarantine
	OnList     string // hold or tag instead of reject when other evidence speaks for the mail
}

// Policy is how strictly the mail of some recipients or accounts is judged.
type Policy struct {
	Name       string
	Extends    string       // the policy it starts from; "" for default
	Tag        filter.Score // thresholds that a score reaches
	Greylist   filter.Score // 0 = nobody is asked to come again
	Quarantine filter.Score
	Reject     filter.Score

	Most        filter.Action // the largest action that content may lead to
	Antivirus   Antivirus
	DMARC       DMARC
	Unscannable filter.Action
	Encrypted   filter.Action
	Attachments attachment.Lists
	KeepDays    int // how long a hold is kept

	Digest         string // off, daily, or hours of the day: when recipients hear of what is held
	DigestInfected bool   // digests name infected mail too; its recipient cannot release it
}

// Book is a merged and checked rule set.
type Book struct {
	Symbols    map[string]*Symbol
	Patterns   []*Pattern          // in the order first written
	Composites []*Composite        // each after those it is made of
	Policies   map[string]*Policy  // with everything they inherit
	Recipients map[string]string   // inbound: address, name@*, *@domain, *@*.domain or * -> policy
	Accounts   map[string]string   // outbound: account, *@domain or * -> policy
	Revision   string              // 12 hex digits over all files
	Used       map[string][]string // symbol -> composites that mention it, sorted
}

// PolicyDecides names the symbols whose action a policy sets, and the key that does.
func PolicyDecides(symbol string) (key string, ok bool) {
	switch symbol {
	case "VIRUS":
		return "antivirus.infected", true
	case "UNSCANNABLE":
		return "unscannable", true
	case "ENCRYPTED":
		return "encrypted", true
	case "FILE_TYPE":
		return "attachments", true
	case "DMARC_REJECT":
		return "dmarc.reject", true
	case "DMARC_QUARANTINE":
		return "dmarc.quarantine", true
	}
	return "", false
}
