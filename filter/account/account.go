// Package account says whether an account may write under the addresses it gives: as
// MAIL FROM, and as From and Sender of the message (RFC 6409 section 6.1). An account may use
// its own address with any +tag, and what the postmaster granted it.
package account

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"postern/filter"
	"postern/internal/mime"
	"postern/internal/mime/header"
)

// The symbols this check emits.
const (
	SenderForeign = "SENDER_FOREIGN" // MAIL FROM is an address the account may not use
	FromForeign   = "FROM_FOREIGN"   // an author in From or Sender is
)

// Mode is what the accounts of a listener may write as.
type Mode string

// The modes, the strictest first. A listener without one is Own.
const (
	Own    Mode = "own"    // their own address, and what was granted
	Hosted Mode = "hosted" // any address of a hosted domain too
	Any    Mode = "any"    // anything: nothing is checked
)

// Listener is how the accounts of one listener are checked.
type Listener struct {
	Mode Mode
	// Late says that a header field may name the account, so that MAIL FROM waits for it.
	Late bool
}

// Config is who may write as whom.
type Config struct {
	Listeners map[string]Listener
	// Home is the domain of accounts whose login is written without one; "" = such an account
	// has no address of its own.
	Home   string
	Hosted func(domain string) bool // domain: lower case, A-labels; nil = none is
	Allow  map[string][]string      // address or "@domain" -> accounts
	File   string                   // the same, see CheckFile; "" = none
}

// maxShown bounds the foreign addresses one message is told of.
const maxShown = 5

// Parts is the world around Senders.
type Parts struct {
	Now   func() time.Time
	Log   *slog.Logger
	Alert func(text string, over bool) // the file cannot be read any more, or can again; nil = only logged
}

// Senders checks the addresses of accounts. It is safe for concurrent use.
type Senders struct {
	parts Parts
	state atomic.Pointer[state]
}

// New makes the check. The error names what of Allow or File cannot be read, and where.
func New(cfg Config, p Parts) (*Senders, error) {
	s := &Senders{parts: p}
	return s, s.Reload(cfg)
}

// tell says why the file cannot be read, or with "" that it can again.
func (s *Senders) tell(fault string) {
	text := "the file of senders cannot be read, the last good one stands"
	if fault == "" {
		s.parts.Log.Info("the file of senders is read again")
	} else {
		s.parts.Log.Error(text, "err", fault)
	}
	if s.parts.Alert != nil {
		s.parts.Alert(text+": "+fault, fault == "")
	}
}

// Reload swaps the configuration and reads the file; with an error everything stays. A file
// that changes later is read again by itself.
func (s *Senders) Reload(cfg Config) error {
	allow, err := grantsOf(cfg.Allow)
	if err != nil {
		return err
	}
	st := &state{cfg: cfg, allow: allow}
	if cfg.File != "" {
		st.file = &file{path: cfg.File}
		if err := st.file.read(s.parts.Now()); err != nil {
			return err
		}
	}
	if old := s.state.Swap(st); old != nil && old.file != nil && old.file.broken() {
		s.tell("")
	}
	return nil
}

// state is one configuration and what belongs to it.
type state struct {
	cfg   Config
	allow grants
	file  *file
}

// Sender is the check for OnSender: MAIL FROM. The null sender is everybody's: vacation
// notices and bounces have it.
func (s *Senders) Sender() filter.Check {
	return filter.CheckFunc(func(_ context.Context, m *filter.Message) ([]filter.Finding, error) {
		st, l, ok := s.of(m)
		if !ok || l.Late {
			return nil, nil
		}
		return s.envelope(st, l, m), nil
	})
}

// Content is the check for OnData: every author that any reader could find in From and
// Sender, and MAIL FROM where the account was not known before.
func (s *Senders) Content() filter.Check {
	return filter.CheckFunc(func(_ context.Context, m *filter.Message) ([]filter.Finding, error) {
		st, l, ok := s.of(m)
		if !ok {
			return nil, nil
		}
		var found []filter.Finding
		if l.Late {
			found = s.envelope(st, l, m)
		}
		tree, err := m.Parts()
		if err != nil {
			return found, &filter.CouldNot{Words: "the author could not be read", Cause: err}
		}
		shown := map[string]bool{}
		for _, author := range authors(tree) {
			words := author
			switch {
			case author == "":
				words = "no address that can be read"
			case s.permits(st, l, m.Account, author):
				continue
			}
			if !shown[words] && len(shown) < maxShown {
				shown[words] = true
				found = append(found, filter.Finding{Symbol: FromForeign, Detail: words})
			}
		}
		return found, nil
	})
}

// of is how a message is checked; false when it is not.
func (s *Senders) of(m *filter.Message) (*state, Listener, bool) {
	if m.Direction != filter.Outbound || m.Account == "" {
		return nil, Listener{}, false
	}
	st := s.state.Load()
	l := st.cfg.Listeners[m.Listener]
	return st, l, l.Mode != Any
}

func (s *Senders) envelope(st *state, l Listener, m *filter.Message) []filter.Finding {
	if m.From == "" || s.permits(st, l, m.Account, m.From) {
		return nil
	}
	return []filter.Finding{{Symbol: SenderForeign, Detail: m.From}}
}

// authors are the addresses of From in every reading of the header, and of Sender; "" for a
// field that names no address at all. A message without the fields names nobody.
func authors(t *mime.Tree) []string {
	var out []string
	add := func(boxes []mime.Mailbox) {
		n := len(out)
		for _, b := range boxes {
			if b.Address != "" {
				out = append(out, b.Address)
			}
		}
		if len(out) == n {
			out = append(out, "")
		}
	}
	if from := t.From(); len(from) > 0 || t.Root.Header.Has("From") {
		add(from)
	}
	for _, v := range t.Root.Header.All("From") {
		out = append(out, stray(v)...)
	}
	for _, p := range t.Parts {
		if p.Parent != nil && (p.Parent != t.Root || !p.Alternate || p.Start != t.Root.Start) {
			continue // the header of a part, not another reading of the message's own
		}
		for _, v := range p.Header.All("Sender") {
			add(header.Mailboxes(v))
		}
	}
	return out
}

// permits reports whether the account may write under the address.
func (s *Senders) permits(st *state, l Listener, account, address string) bool {
	a, ok := parse(address)
	if !ok {
		return false
	}
	who := nameOf(account, st.cfg.Home)
	if own, ok := parse(who); ok && (a == own || a.base() == own) {
		return true
	}
	if l.Mode == Hosted && st.cfg.Hosted != nil && st.cfg.Hosted(a.domain) {
		return true
	}
	if st.allow.has(a, account, who) {
		return true
	}
	if st.file == nil {
		return false
	}
	granted, fault, news := st.file.current(s.parts.Now())
	if news {
		s.tell(fault)
	}
	return granted.has(a, account, who)
}

// nameOf is the account's own address: its name, at home where it is written without domain.
func nameOf(account, home string) string {
	account = strings.TrimSpace(account)
	if home == "" || strings.ContainsAny(account, "@/: ") {
		return account
	}
	return account + "@" + home
}

var errNoAccount = errors.New("names no account")
