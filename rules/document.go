package rules

import (
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"postern/rules/book"
)

// raisedBy names what emits a symbol of a check: the default rules keep one file for each.
func raisedBy(sym *Symbol) string {
	dir, name := path.Split(sym.Place.File)
	if dir != "default/" {
		return "what the operator's configuration names"
	}
	switch strings.TrimSuffix(name, ".yaml") {
	case "abuse":
		return "the state of the account (abuse)"
	case "account":
		return "what an account may write as its sender (filter/account)"
	case "attach":
		return "the walk over the message and its archives (filter/attach)"
	case "auth":
		return "authentication of the sender (filter/auth)"
	case "clamav":
		return "the virus scanner (filter/clamav)"
	case "greylist":
		return "first contact (filter/greylist)"
	case "history":
		return "what was seen before, and named forwarders (filter/history)"
	case "limit":
		return "rate limits (filter/limit)"
	case "lists":
		return "DNS lists and the operator's own lists (blocklist)"
	case "patterns":
		return "what patterns read of a message (rules)"
	case "sender":
		return "reverse name and HELO of the client (filter/sender)"
	case "smtp":
		return "the SMTP session (internal/smtpd)"
	default:
		return name
	}
}

// policyKeys explains the columns of the table of policies.
const policyKeys = `
- **tag, quarantine, reject** are scores. A refusal by score alone becomes a hold while a step could not tell what it may tell the next time.
- **greylist**: a stranger whose mail scores from here up to quarantine is asked to come again (451). Never asked are senders that DMARC proves, that the recipient wrote to before, or that the postmaster allows. ` + "`off`" + ` asks nobody.
- **at most** (key ` + "`most`" + `) is the largest action that content may lead to: score, symbols, DMARC and own block lists. A virus and what cannot be scanned are still held, rates still defer, and a suspended account or a MAIL FROM that the account may not use is still refused.
- **infected**: ` + "`strip`" + ` hands the message on without the infected parts where every virus has a part that is named for certain, and holds it otherwise.
- **on list** is done instead of the domain owner's wish (p=reject, p=quarantine) where ARC_TRUSTED, FORWARDER_KNOWN, LIST_KNOWN, SOURCE_KNOWN or OWN_ALLOW speaks for the mail. While authentication or that evidence could not be checked, the wish holds and never refuses.

Whose mail is judged under which policy: the most specific line of ` + "`recipients`" + ` wins: the address, the address without its +tag, its local part at any domain (` + "`postmaster@*`" + `), its domain (` + "`*@example.com`" + `), a parent domain (` + "`*@*.example.com`" + `), ` + "`*`" + `. So ` + "`\"*\": strict`" + ` leaves postmaster@ and abuse@ where they are: whoever is refused can ask why. Before DATA these two are refused to nobody inbound but who sends too much.
`

// Document writes the reference of all symbols as Markdown.
func (s *Set) Document(w io.Writer) error {
	var b strings.Builder
	b.WriteString(`# Checks and what they are worth

Generated from the rules by ` + "`postern rules document`" + `; not to be edited.

A check says what it saw by a symbol. The rules say what a symbol is worth: a score in points,
or an action of its own. The score of a message is the sum over its symbols, each once; what
happens at which score is the policy's. ` + "`postern rules explain SYMBOL`" + ` tells more about one.

## Policies

| policy | tag | greylist | quarantine | reject | at most | infected | DMARC reject / quarantine / on list | unscannable | encrypted | days kept |
|---|---|---|---|---|---|---|---|---|---|---|
`)
	for _, name := range s.Policies() {
		p := s.policy(name)
		infected := p.Antivirus.Infected
		if !p.Antivirus.Scan {
			infected = "not scanned"
		}
		greylist := "off"
		if p.Greylist > 0 {
			greylist = p.Greylist.String()
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s / %s / %s | %s | %s | %d |\n", name, p.Tag, greylist, p.Quarantine, p.Reject,
			p.Most, infected, p.DMARC.Reject, p.DMARC.Quarantine, p.DMARC.OnList, p.Unscannable, p.Encrypted, p.KeepDays)
	}
	b.WriteString(policyKeys)
	s.documentChecks(&b)
	s.documentPatterns(&b)
	s.documentComposites(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Set) documentChecks(b *strings.Builder) {
	by := map[string][]*Symbol{}
	for _, sym := range s.book.Symbols {
		if sym.Kind == book.FromCheck {
			by[raisedBy(sym)] = append(by[raisedBy(sym)], sym)
		}
	}
	b.WriteString("\n## Symbols of the checks\n")
	for _, source := range slices.Sorted(maps.Keys(by)) {
		fmt.Fprintf(b, "\n### Raised by %s\n\n| symbol | score | action | what it says |\n|---|---|---|---|\n", source)
		slices.SortFunc(by[source], func(x, y *Symbol) int { return strings.Compare(x.Name, y.Name) })
		for _, sym := range by[source] {
			s.documentSymbol(b, sym, "")
		}
	}
}

func (s *Set) documentSymbol(b *strings.Builder, sym *Symbol, extra string) {
	action := s.actionText(sym)
	if action == "none of its own" {
		action = ""
	}
	describe := sym.Describe
	if len(sym.Unless) > 0 {
		what := "does not count"
		if takesAway(sym) != "" {
			what = "scores nothing"
		}
		describe += " (" + what + " beside " + strings.Join(sym.Unless, " or ") + ")"
	}
	if sym.Quiet {
		describe += " (not said; other rules look at it)"
	}
	fmt.Fprintf(b, "| %s | %s | %s | %s |%s\n", sym.Name, signed(sym.Score), action, cell(describe), extra)
}

func (s *Set) documentPatterns(b *strings.Builder) {
	b.WriteString("\n## Patterns\n\n| symbol | score | action | what it says | looks in |\n|---|---|---|---|---|\n")
	sorted := slices.SortedFunc(slices.Values(s.book.Patterns), func(x, y *book.Pattern) int { return strings.Compare(x.ID, y.ID) })
	for _, p := range sorted {
		in := p.In
		if p.Header != "" {
			in += " " + p.Header
		}
		s.documentSymbol(b, s.book.Symbols[p.ID], " "+in+" |")
	}
}

func (s *Set) documentComposites(b *strings.Builder) {
	b.WriteString("\n## Composites\n\n| symbol | score | action | what it says | when |\n|---|---|---|---|---|\n")
	sorted := slices.SortedFunc(slices.Values(s.book.Composites), func(x, y *book.Composite) int { return strings.Compare(x.ID, y.ID) })
	for _, c := range sorted {
		s.documentSymbol(b, s.book.Symbols[c.ID], " "+cell(c.Text)+" |")
	}
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
