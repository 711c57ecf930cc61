package history_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/filter/history"
)

// replayed is one signed message in the nth envelope.
func replayed(n int) mail {
	return mail{ip: "203.0.113.1", from: fmt.Sprintf("x%d@evil.example", n), spf: "pass", author: "ann@a.example",
		dkim: []string{"a.example"}, b: "Zm9vYmFy", dmarc: "pass", to: []string{fmt.Sprintf("u%d@ours.example", n)}}
}

func (w *world) replayed(l mail) bool { w.t.Helper(); return w.has(l, history.SignatureReplayed) }

// One valid signature in 5,000 envelopes an hour is found from the 101st on, whether the mail
// is taken or not, and is forgotten an hour after the last.
func TestH_H06_OneSignatureInManyEnvelopes(t *testing.T) {
	w := newWorld(t)
	for n := range 5000 {
		l := replayed(n)
		if got, want := w.replayed(l), n >= history.ReplayEnvelopes; got != want {
			t.Fatalf("envelope %d: found %v", n+1, got)
		}
		if n%2 == 0 {
			w.delivered(l)
		} else {
			w.refused(l)
		}
		w.now = w.now.Add(time.Hour / 5000)
	}
	marks := len(w.store.marks)
	w.delivered(replayed(6000))
	if len(w.store.marks) != marks {
		t.Error("a replayed signature makes its source known")
	}
	other := replayed(6000)
	other.b = "another"
	if w.replayed(other) {
		t.Error("another signature of the domain is found")
	}
	if !w.replayed(replayed(6000)) {
		t.Error("the signature is not found any more")
	}
	w.now = w.now.Add(history.ReplayWindow)
	if w.replayed(replayed(6000)) {
		t.Error("found after an hour of silence")
	}
}

func TestNoReplay(t *testing.T) {
	for name, change := range map[string]func(*mail, int){
		"one envelope, sent again and again": func(l *mail, _ int) { *l = replayed(1) },
		"signed each by itself":              func(l *mail, n int) { l.b = fmt.Sprint(n) },
		"the signer sends to many":           func(l *mail, n int) { l.from = fmt.Sprintf("bounce-%d@mail.a.example", n) },
		"not signed":                         func(l *mail, _ int) { l.dkim = nil },
		"by a forwarder":                     func(l *mail, _ int) { l.ip = "192.0.2.1" },
		"by a forwarder of theirs":           func(l *mail, _ int) { l.ip = "192.0.2.129" },
	} {
		w := newWorld(t, history.Forwarder{Name: "uni", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/25")}},
			history.Forwarder{Name: "club", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.128/25")}, For: []string{"ours.example"}})
		for n := range 300 {
			l := replayed(n)
			change(&l, n)
			if w.replayed(l) {
				t.Errorf("%s: found at envelope %d", name, n+1)
				break
			}
			w.delivered(l)
		}
	}
}

// The exceptions hold only where they are proved.
func TestReplayAllTheSame(t *testing.T) {
	for name, change := range map[string]func(*mail, int){
		"the signer's MAIL FROM without SPF": func(l *mail, n int) { l.from, l.spf = fmt.Sprintf("b%d@a.example", n), "softfail" },
		"the null sender":                    func(l *mail, _ int) { l.from, l.helo, l.spf = "", "a.example", "pass" },
		"a list nobody knows": func(l *mail, _ int) {
			l.header = "List-Id: <x.evil.example>\nList-Post: <mailto:x@evil.example>"
		},
		"a forwarder for others": func(l *mail, _ int) { l.ip = "192.0.2.129" },
		"all in one transaction": func(l *mail, n int) {
			for i := range 30 {
				l.to = append(l.to, fmt.Sprintf("v%d.%d@ours.example", n, i))
			}
		},
	} {
		w := newWorld(t, history.Forwarder{Name: "club", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.128/25")}, For: []string{"other.example"}})
		found := 0
		for n := range 120 {
			l := replayed(n)
			change(&l, n)
			if w.replayed(l) {
				found++
			}
			w.delivered(l)
		}
		if found < 20 {
			t.Errorf("%s: found %d times", name, found)
		}
	}
}

// One letter to a known list reaches all its subscribers here with its author's signature.
func TestKnownListPassesSignaturesOn(t *testing.T) {
	w := newWorld(t)
	w.often(listMail(), 2, 2)
	for n := range 300 {
		l := listMail()
		l.dkim, l.b, l.dmarc = []string{"a.example"}, "same", "pass"
		l.from, l.to = fmt.Sprintf("dev-bounces+%d@lists.example", n), []string{fmt.Sprintf("u%d@ours.example", n)}
		if w.replayed(l) {
			t.Fatalf("found at subscriber %d", n+1)
		}
		w.delivered(l)
	}
}

// Against a count that remembers everything: found exactly when more than ReplayEnvelopes
// different envelopes came within the window, this one included.
func TestReplayModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		latest := map[int]time.Time{}
		for range rapid.IntRange(1, 4).Draw(rt, "bursts") {
			from := rapid.IntRange(0, 150).Draw(rt, "from")
			for n := from; n < from+rapid.IntRange(1, 130).Draw(rt, "envelopes"); n++ {
				count := 1
				for m, at := range latest {
					if m != n && w.now.Sub(at) < history.ReplayWindow {
						count++
					}
				}
				if got, want := w.replayed(replayed(n)), count > history.ReplayEnvelopes; got != want {
					rt.Fatalf("%d envelopes: found %v", count, got)
				}
				w.delivered(replayed(n))
				latest[n] = w.now
				w.now = w.now.Add(time.Second)
			}
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 70).Draw(rt, "minutes")) * time.Minute)
		}
	})
}
