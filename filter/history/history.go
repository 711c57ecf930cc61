// Package history remembers what speaks for a mail: that its source delivered mail of its
// author's domain before, that its list is known, that our recipient wrote to its author,
// and who forwards on behalf of our users. It also notices a signature that is replayed.
package history

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"postern/filter"
)

// The symbols of this package.
const (
	SourceKnown        = "SOURCE_KNOWN"        // the source had an aligned pass for this author domain before
	ListKnown          = "LIST_KNOWN"          // list mail whose list is proved and was delivered before
	ForwarderKnown     = "FORWARDER_KNOWN"     // the client is a configured forwarder
	KnownCorrespondent = "KNOWN_CORRESPONDENT" // our recipient wrote to the proved author before
	SignatureReplayed  = "SIGNATURE_REPLAYED"  // one valid signature in very many envelopes
)

// What counts as history.
const (
	MinMessages = 3                   // good messages that make a source or a list known
	MinDays     = 2                   // different days (UTC) they came on
	Keep        = 90 * 24 * time.Hour // how long they count

	KeepCorrespondent = 400 * 24 * time.Hour // how long a message we wrote counts
	MaxCorrespondents = 100                  // recipients of one message; with more it is no letter

	ReplayEnvelopes = 100       // different envelopes of one signature that are no replay
	ReplayWindow    = time.Hour // the time they are counted in
)

// maxAsked bounds the recipients of one message whose correspondence is looked up.
const maxAsked = 1000

// Results returns what authentication found about the message, waiting for it if need be.
type Results func(ctx context.Context, m *filter.Message) ([]filter.Finding, error)

// Parts is the world around a History.
type Parts struct {
	Store      Store
	Results    Results // nil = m.Seen alone
	Now        func() time.Time
	Forwarders []Forwarder
}

// History is the check at OnData and the observer that remembers.
type History struct {
	store      Store
	results    Results
	now        func() time.Time
	forwarders atomic.Pointer[[]Forwarder]
	replays    *replays
}

// New makes a History.
func New(p Parts) *History {
	h := &History{store: p.Store, results: p.Results, now: p.Now, replays: newReplays(p.Now())}
	h.Reload(p.Forwarders)
	return h
}

// Reload swaps the forwarders; what is remembered stays.
func (h *History) Reload(forwarders []Forwarder) {
	all := slices.Clone(forwarders)
	h.forwarders.Store(&all)
}

// Check implements filter.Check for mail from outside. An error says that authentication or
// the store could not tell; the findings beside it stand.
func (h *History) Check(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
	if m.Direction != filter.Inbound {
		return nil, nil
	}
	found := forwarded(*h.forwarders.Load(), m)
	seen := m.Seen
	var unsure error
	if h.results != nil {
		var auth []filter.Finding
		auth, unsure = h.results(ctx, m)
		seen = append(slices.Clone(seen), auth...)
	}
	f := read(m, seen)
	known, err := h.known(ctx, m, &f)
	if err != nil {
		unsure = &filter.CouldNot{Words: "the history could not be read", Cause: err}
	}
	found = append(found, known...)
	if more, ok := h.replays.finding(h.now(), counted(m, &f, found), envelopes(m, found)); ok {
		found = append(found, more)
	}
	return found, unsure
}

// known asks the store once for all that it may know about the message.
func (h *History) known(ctx context.Context, m *filter.Message, f *facts) ([]filter.Finding, error) {
	now := h.now()
	var questions []Question
	var answers []func(Past) (filter.Finding, bool)
	ask := func(k Key, keep time.Duration, answer func(Past) (filter.Finding, bool)) {
		questions, answers = append(questions, Question{Key: k, Since: now.Add(-keep)}), append(answers, answer)
	}
	if k, ok := f.sourceKey(m.Client); ok {
		ask(k, Keep, func(p Past) (filter.Finding, bool) {
			return filter.Finding{Symbol: SourceKnown, Detail: f.source(m.Client) + " for " + f.domain}, p.proven()
		})
	}
	if l, ok := f.provedList(m); ok {
		ask(l.key(), Keep, func(p Past) (filter.Finding, bool) {
			return filter.Finding{Symbol: ListKnown, Detail: l.id + " by " + l.host}, p.proven()
		})
	}
	if f.provedAuthor() {
		for _, to := range m.To[:min(len(m.To), maxAsked)] {
			ask(pairKey(withoutTag(to.Address), f.author), KeepCorrespondent, func(p Past) (filter.Finding, bool) {
				return filter.Finding{Symbol: KnownCorrespondent, Detail: f.author, For: to.Address}, p.Good > 0
			})
		}
	}
	if len(questions) == 0 {
		return nil, nil
	}
	past, err := h.store.Past(ctx, questions, now)
	if err != nil {
		return nil, err
	}
	var found []filter.Finding
	for i, p := range past {
		if one, ok := answers[i](p); ok {
			found = append(found, one)
		}
	}
	return found, nil
}

// proven reports whether this is history enough to speak for a mail.
func (p Past) proven() bool {
	return p.Good >= MinMessages && p.Days >= MinDays && p.Bad <= p.Good
}

// pairKey is the key of one of ours who wrote to another.
func pairKey(ours, theirs string) Key { return keyOf("pair", ours, theirs) }
