package history

import (
	"container/list"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"postern/filter"
)

// MaxSignatures bounds the signatures that are watched; those seen longest ago are forgotten.
// Each costs up to 16 octets for every envelope up to ReplayEnvelopes.
const MaxSignatures = 20_000

// replays counts the envelopes of signatures on this node.
type replays struct {
	seed  maphash.Seed
	start time.Time // times are kept from here on, so that a clock that is set does not matter

	mu    sync.Mutex
	known map[signature]*list.Element // of *watched
	order *list.List                  // the latest in front
}

// watched is one signature and the latest envelopes it came in.
type watched struct {
	signature signature
	last      time.Duration
	envelopes []envelope
}

// envelope is a sender and a recipient, hashed, and when it came.
type envelope struct {
	hash uint64
	at   time.Duration
}

func newReplays(start time.Time) *replays {
	return &replays{seed: maphash.MakeSeed(), start: start, known: map[signature]*list.Element{}, order: list.New()}
}

// counted are the signatures whose envelopes are counted. A host that may send for the
// signer, as SPF proves, may send its mail to as many as it likes; so may a known list, which
// passes on what others signed.
func counted(m *filter.Message, f *facts, found []filter.Finding) []signature {
	if slices.ContainsFunc(found, func(o filter.Finding) bool { return o.Symbol == ListKnown }) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(f.signatures), func(s signature) bool {
		return s.value == "" || m.From != "" && aligned(s.domain, f.mailFrom)
	})
}

// envelopes are those of a message, without the recipients a known forwarder forwards for.
func envelopes(m *filter.Message, found []filter.Finding) []string {
	var all []string
	for _, to := range m.To {
		if len(all) > ReplayEnvelopes {
			break
		}
		forwarded := slices.ContainsFunc(found, func(o filter.Finding) bool {
			return o.Symbol == ForwarderKnown && (o.For == "" || o.For == to.Address)
		})
		if !forwarded {
			all = append(all, m.From+"\x00"+to.Address)
		}
	}
	return all
}

// finding tells of the first signature that came in too many envelopes, this message's
// included.
func (r *replays) finding(now time.Time, signatures []signature, envelopes []string) (filter.Finding, bool) {
	if len(envelopes) == 0 || len(signatures) == 0 {
		return filter.Finding{}, false
	}
	hashes, at := r.hashes(envelopes), now.Sub(r.start)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range signatures {
		n := len(hashes)
		if e, ok := r.known[s]; ok {
			for _, old := range e.Value.(*watched).envelopes {
				if recent(old.at, at) && !slices.Contains(hashes, old.hash) {
					n++
				}
			}
		}
		if n > ReplayEnvelopes {
			detail := fmt.Sprintf("one signature of %s in more than %d envelopes within %s", s.domain, ReplayEnvelopes, ReplayWindow)
			return filter.Finding{Symbol: SignatureReplayed, Detail: detail}, true
		}
	}
	return filter.Finding{}, false
}

// add remembers the envelopes of a message under each of its signatures.
func (r *replays) add(now time.Time, signatures []signature, envelopes []string) {
	if len(envelopes) == 0 || len(signatures) == 0 {
		return
	}
	hashes, at := r.hashes(envelopes), now.Sub(r.start)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range signatures {
		e, ok := r.known[s]
		if !ok {
			e = r.order.PushFront(&watched{signature: s})
			r.known[s] = e
		}
		r.order.MoveToFront(e)
		w := e.Value.(*watched)
		w.last = at
		for _, h := range hashes {
			w.see(h, at)
		}
	}
	r.forget(at)
}

// see keeps the latest envelopes, one more than are no replay.
func (w *watched) see(hash uint64, at time.Duration) {
	oldest := 0
	for i := range w.envelopes {
		if w.envelopes[i].hash == hash {
			w.envelopes[i].at = at
			return
		}
		if w.envelopes[i].at < w.envelopes[oldest].at {
			oldest = i
		}
	}
	if len(w.envelopes) <= ReplayEnvelopes {
		w.envelopes = append(w.envelopes, envelope{hash, at})
		return
	}
	w.envelopes[oldest] = envelope{hash, at}
}

// forget drops what is out of the window and what is too much.
func (r *replays) forget(at time.Duration) {
	for e := r.order.Back(); e != nil; e = r.order.Back() {
		w := e.Value.(*watched)
		if recent(w.last, at) && r.order.Len() <= MaxSignatures {
			return
		}
		r.order.Remove(e)
		delete(r.known, w.signature)
	}
}

// recent reports whether then is within the window of now. A clock without a monotonic
// reading may have been set back meanwhile.
func recent(then, now time.Duration) bool { return (now - then).Abs() < ReplayWindow }

func (r *replays) hashes(envelopes []string) []uint64 {
	out := make([]uint64, 0, len(envelopes))
	for _, e := range envelopes {
		if h := maphash.String(r.seed, e); !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}
