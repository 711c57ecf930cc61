package history_test

import (
	"testing"

	"postern/filter"
	"postern/filter/history"
)

// Whoever got one signed mail can send it again on as many days as he likes: that makes his
// host no source of the author's.
func TestOneSignedMailMakesNoSourceKnown(t *testing.T) {
	replayed := func(f func(*mail)) mail {
		l := honest()
		l.from, l.name, l.b = "x@thief.example", "vps.thief.example", "cafe0001"
		if f != nil {
			f(&l)
		}
		return l
	}
	for name, c := range map[string]struct {
		past func(*world)
		want bool
	}{
		"the same again and again": {func(w *world) { w.often(replayed(nil), 5, 10) }, false},
		"to others": {func(w *world) {
			for _, to := range []string{"a@ours.example", "b@ours.example", "c@ours.example"} {
				w.often(replayed(func(l *mail) { l.to = []string{to} }), 1, 2)
			}
		}, false},
		"with a signature of his own each time": {func(w *world) {
			for range 4 {
				w.often(replayed(func(l *mail) { l.dkim = []string{"thief.example", "a.example"} }), 1, 2)
			}
		}, false},
		"two mails, often": {func(w *world) {
			for _, b := range []string{"cafe0001", "cafe0002"} {
				w.often(replayed(func(l *mail) { l.b = b }), 3, 3)
			}
		}, false},
		"three mails": {func(w *world) {
			for _, b := range []string{"cafe0001", "cafe0002", "cafe0003"} {
				w.often(replayed(func(l *mail) { l.b = b }), 1, 2)
			}
		}, true},
		"a verifier that tells no signature": {func(w *world) {
			w.often(replayed(func(l *mail) { l.dkim = nil }), 2, 2)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.past(w)
			if got := w.has(replayed(nil).broken(), history.SourceKnown); got != c.want {
				t.Errorf("known: %v, want %v", got, c.want)
			}
		})
	}
}

// The author's own hosts prove themselves: a mail of theirs that comes again is one more.
func TestMailThatSPFProvesCountsEachTime(t *testing.T) {
	w := newWorld(t)
	own := honest()
	own.from, own.b = "bounce@mail.a.example", "cafe0001"
	w.often(own, 2, 2)
	if !w.has(own.broken(), history.SourceKnown) {
		t.Error("the author's own host is not known")
	}
}

// While the store cannot say whether a signature was there, it proves no source.
func TestStoreFailsWhileASignatureIsLookedUp(t *testing.T) {
	w := newWorld(t)
	l := honest()
	found, err := w.run(l)
	if err != nil {
		t.Fatal(err)
	}
	l.b = "cafe0001"
	o := outcome(l, found, filter.Accept, filter.Delivered)
	w.store.fails = true
	if err := w.h.Done(t.Context(), l.message(), o); err == nil {
		t.Error("nobody hears of it")
	}
	w.store.fails = false
	if len(w.store.marks) != 0 {
		t.Errorf("%d marks", len(w.store.marks))
	}
}

// Once a source is known, its mail is not remembered one by one.
func TestSignaturesOfAKnownSourceAreNotKept(t *testing.T) {
	w := newWorld(t)
	w.often(honest(), 2, 2)
	before := len(w.store.marks)
	w.delivered(honest())
	w.delivered(honest())
	if n := len(w.store.marks) - before; n != 2 {
		t.Errorf("%d marks for two mails", n)
	}
}
