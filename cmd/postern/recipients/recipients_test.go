package recipients_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/blocklist"
	"postern/cmd/postern/access"
	"postern/cmd/postern/glue"
	"postern/cmd/postern/home"
	"postern/cmd/postern/recipients"
	"postern/filter"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/desk/mine"
	"postern/internal/entity"
	"postern/internal/mailtest/redisd"
	"postern/internal/record"
	"postern/internal/relay/outbox"
	"postern/internal/spool"
	"postern/internal/store/redis/redistest"
	"postern/quarantine"
	"postern/rules"
)

// keys are keys of links that the tests alone have.
type keys struct{}

func (keys) Derive(purpose string) (map[byte][]byte, byte) {
	sum := sha256.Sum256([]byte(purpose))
	return map[byte][]byte{1: sum[:]}, 1
}

// world is a desk on a real home.
type world struct {
	*recipients.Desk
	t       *testing.T
	home    *home.Home
	calls   *control.Server
	q       *quarantine.Quarantine
	own     *blocklist.Own
	now     time.Time
	n       int
	policy  map[string]rules.Policy
	events  map[string]string
	sent    []string // what was released: "to subject"
	pages   *access.Pages
	release func() (string, error)
}

// each runs a test on both homes.
func each(t *testing.T, f func(w *world)) {
	t.Run("embedded", func(t *testing.T) { f(newWorld(t, nil)) })
	t.Run("redis", func(t *testing.T) {
		s := redistest.Server(t)
		f(newWorld(t, func(c *config.Config, dir string) {
			c.Store.Home, c.Store.Addrs, c.Store.User, c.Store.Durability = "redis", []string{s.Addr}, redistest.User, "redis"
			c.Store.Password, c.Store.KeyFile = filepath.Join(dir, "password"), filepath.Join(dir, "keys")
			for path, text := range map[string]string{c.Store.Password: redisd.Password, c.Store.KeyFile: strings.Repeat("ab", 32) + "\n"} {
				ok(t, os.WriteFile(path, []byte(text), 0o600))
			}
		}))
	})
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t *testing.T, edit func(c *config.Config, dir string)) *world {
	t.Helper()
	w := &world{t: t, now: time.Now().UTC().Truncate(time.Hour).Add(30 * time.Minute), policy: map[string]rules.Policy{"default": {Digest: "daily"}}, events: map[string]string{}}
	dir, c := t.TempDir(), config.Default()
	c.Hostname, c.State = "mx1.example.com", filepath.Join(dir, "state")
	c.Public.Addr, c.Public.URL = "127.0.0.1:1", "https://mail.example"
	c.Routes = map[string]config.Route{"example.com": {Backend: "mail"}, "example.net": {Backend: "mail"}}
	if edit != nil {
		edit(c, dir)
	}
	clock := func() time.Time { return w.now }
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	sp := &spool.Spool{Memory: 1 << 20}
	var err error
	w.home, err = home.Open(t.Context(), home.Options{Config: c, Spool: sp, Now: time.Now, Log: log, Event: func(string, string, bool) {}, Rules: func() string { return "" }})
	ok(t, err)
	w.live()
	w.release = func() (string, error) { return "250 ok", nil }
	audit := &record.Auditor{Store: w.home.Audit, Now: clock}
	w.q = quarantine.New(quarantine.Config{
		Store: w.home.Holds, Spool: sp, Node: "mx1", Now: clock, Log: log, Subject: (*filter.Message).Subject,
		Rescan: func(context.Context, quarantine.Hold, io.ReaderAt) (quarantine.ScanResult, error) {
			return quarantine.ScanResult{}, nil
		},
		Send: func(_ context.Context, h quarantine.Hold, _ io.ReaderAt) (string, error) {
			reply, err := w.release()
			if err == nil {
				w.sent = append(w.sent, strings.Join(h.To, ","))
			}
			return reply, err
		},
		Audit: func(ctx context.Context, e quarantine.Event) error {
			return audit.Write(ctx, e.Actor, e.Action, e.Object, e.Before, e.After, e.Note)
		},
	})
	w.own = blocklist.NewOwn(blocklist.OwnParts{Store: w.home.Lists, Now: clock, Log: log})
	ok(t, w.own.Load(t.Context()))
	var cfg atomic.Pointer[config.Config]
	cfg.Store(c)
	submit := &glue.Submitter{Config: &cfg, Store: w.home.Outbox, Spool: sp, Now: clock, Random: bytes.NewReader(bytes.Repeat([]byte("random"), 10_000)), Wake: func() {}}
	w.Desk, err = recipients.New(recipients.Parts{
		Config: &cfg, Policy: func(name string) (rules.Policy, bool) { p, ok := w.policy[name]; return p, ok }, Quarantine: w.q, Own: w.own, Entities: w.home.Entities,
		Keys: keys{}, Submit: submit, Now: clock, Log: log, Audit: audit.Write,
		Event: func(key, text string, over bool) {
			if w.events[key] = text; over {
				delete(w.events, key)
			}
		},
		Alone: func(ctx context.Context, _ string, f func(context.Context) error) error { return f(ctx) },
	})
	ok(t, err)
	w.calls = control.NewServer()
	w.Handle(w.calls)
	w.pages = (&access.Access{Calls: w.calls, Now: clock, Log: log}).Pages()
	return w
}

// live runs what the home does by itself, and waits until it takes records.
func (w *world) live() {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(w.t.Context()))
	var loops sync.WaitGroup
	for _, loop := range w.home.Loops {
		loops.Go(func() { _ = loop(ctx) }) // ends with ctx
	}
	w.t.Cleanup(func() {
		stop()
		loops.Wait()
		_ = w.home.Close()
	})
	err := errors.New("not tried")
	for end := time.Now().Add(time.Minute); err != nil && time.Now().Before(end); {
		if err = w.probe(ctx); err != nil {
			time.Sleep(20 * time.Millisecond)
		}
	}
	ok(w.t, err)
}

// probe changes a record and a hold: a new Redis is looked at by its node when it is first
// written to.
func (w *world) probe(ctx context.Context) error {
	id, body := rand.Text(), "probe"
	sum := sha256.Sum256([]byte(body))
	h := quarantine.Hold{
		V: quarantine.RecordVersion, ID: id + "-00", MessageID: id, Node: "mx1", At: w.now.Add(-time.Hour), Expires: w.now.Add(time.Hour), Direction: "inbound", State: quarantine.Provisional,
		Class: quarantine.Evidence, To: []string{"probe@example.com"}, Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:]), Key: id, Reasons: []quarantine.Reason{}, Unchecked: []quarantine.Unchecked{},
	}
	_, err := w.home.Holds.Put(ctx, h, strings.NewReader(body))
	if err == nil {
		err = w.home.Holds.Confirm(ctx, []string{h.ID})
	}
	if err == nil {
		h, err = w.home.Holds.Get(ctx, h.ID)
	}
	if err == nil {
		h.State, h.Ended = quarantine.Deleted, &quarantine.Ended{At: w.now, By: "probe"}
		_, err = w.home.Holds.Change(ctx, h)
	}
	for v := uint64(1); v <= 2 && err == nil; v++ {
		err = w.home.Entities.Put(ctx, entity.Record{Kind: "probe", ID: id, Version: v, Data: []byte("{}")})
	}
	return err
}

// hold holds a message for somebody.
func (w *world) hold(to, subject string, symbols ...string) string {
	w.t.Helper()
	w.n++
	w.now = w.now.Add(time.Second)
	body := fmt.Sprintf("From: Frank <frank@friend.example>\r\nTo: <%s>\r\nSubject: %s\r\n\r\nText %d.\r\n", to, subject, w.n)
	sum := sha256.Sum256([]byte(body))
	id, err := filter.NewID(w.now, bytes.NewReader(sum[:]))
	ok(w.t, err)
	if len(symbols) == 0 {
		symbols = []string{"HOLD_THIS"}
	}
	h := quarantine.Hold{
		V: quarantine.RecordVersion, ID: id + "-00", MessageID: id, Node: "mx1", At: w.now, Expires: w.now.Add(30 * 24 * time.Hour), Keep: 30 * 24 * time.Hour,
		Direction: "inbound", State: quarantine.Provisional, Class: quarantine.ByVerdict, Policy: "default", Backend: "mail", From: "frank@friend.example", To: []string{to},
		Subject: subject, Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:]), Action: "quarantine", Key: id, Reasons: []quarantine.Reason{}, Unchecked: []quarantine.Unchecked{},
	}
	for _, s := range symbols {
		h.Reasons = append(h.Reasons, quarantine.Reason{Symbol: s, Score: 100})
	}
	_, err = w.home.Holds.Put(w.t.Context(), h, strings.NewReader(body))
	ok(w.t, err)
	ok(w.t, w.home.Holds.Confirm(w.t.Context(), []string{h.ID}))
	return h.ID
}

func (w *world) tend() {
	w.t.Helper()
	ok(w.t, w.Tend(w.t.Context()))
}

// letters are the entries of the outbox, "recipient holds".
func (w *world) letters() (all []outbox.Entry) {
	w.t.Helper()
	all, err := w.home.Outbox.List(w.t.Context(), "", 1000)
	ok(w.t, err)
	return all
}

func (w *world) letter(e outbox.Entry) string {
	w.t.Helper()
	body, err := w.home.Outbox.Body(w.t.Context(), e.ID)
	ok(w.t, err)
	defer body.Close()
	raw, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
	ok(w.t, err)
	return string(raw)
}

// deliver empties the outbox as its worker does: it tells of each end before the entry is gone.
func (w *world) deliver(state filter.FateState) (to []string) {
	w.t.Helper()
	for _, e := range w.letters() {
		e, _, err := w.home.Outbox.ClaimID(w.t.Context(), e.ID, w.now, time.Minute)
		ok(w.t, err)
		to = append(to, e.To[0].Address)
		w.Ended(w.t.Context(), e, filter.Fate{Recipient: e.To[0].Address, State: state, Reply: "250 ok"})
		e.To = nil
		ok(w.t, w.home.Outbox.End(w.t.Context(), e))
	}
	slices.Sort(to)
	return to
}

func (w *world) reader(addr string) recipients.Reader {
	w.t.Helper()
	var out recipients.Letters
	ok(w.t, w.calls.Call(w.t.Context(), "digest.list", mine.Of{Address: addr}, &out))
	return out.Readers[0]
}

// eight is when the next daily letter goes out.
func (w *world) eight(addr string) {
	w.t.Helper()
	w.tend()
	due := w.reader(addr).Due
	if due.IsZero() || due.Hour() != 8 || due.Sub(w.now) > 24*time.Hour {
		w.t.Fatalf("the letter to %s is due at %v", addr, due)
	}
	w.now = due
}

func as(w *world, addr string) context.Context { return recipients.As(w.t.Context(), addr) }

func TestOneLetterAtItsHour(t *testing.T) {
	each(t, func(w *world) {
		w.hold("ada@example.com", "One")
		w.hold("Ada@Example.com", "Two")
		w.hold("bob@example.com", "Three")
		w.hold("eve@elsewhere.example", "Not hosted")
		w.eight("ada@example.com")
		w.now = w.now.Add(-time.Second)
		if w.tend(); len(w.letters()) != 0 {
			w.t.Fatal("before its hour")
		}
		w.now = w.now.Add(time.Second)
		for range 3 {
			w.tend()
		}
		if to := w.deliver(filter.Delivered); !slices.Equal(to, []string{"ada@example.com", "bob@example.com"}) {
			w.t.Fatalf("letters to %v", to)
		}
		if r := w.reader("ada@example.com"); r.Last == nil || r.Last.Holds != 2 || r.Last.State != "delivered" || !r.Due.IsZero() {
			w.t.Errorf("%+v", r)
		}
		w.now = w.now.Add(48 * time.Hour)
		if w.tend(); len(w.letters()) != 0 {
			w.t.Error("a letter though nothing is new")
		}
		w.hold("ada@example.com", "Four")
		w.eight("ada@example.com")
		w.tend()
		all := w.letters()
		if len(all) != 1 || !strings.Contains(w.letter(all[0]), "Four") || strings.Contains(w.letter(all[0]), "One") {
			w.t.Errorf("%d letters", len(all))
		}
	})
}

// TestCrashes ends the work at each step of a letter: one letter goes out, not two and not none.
func TestCrashes(t *testing.T) {
	each(t, func(w *world) {
		for _, crash := range []string{"written down", "in the outbox", "delivered"} {
			w.hold("ada@example.com", crash)
			w.eight("ada@example.com")
			ctx, kill := context.WithCancel(w.t.Context())
			broken := errors.New("killed")
			full := w.Submit.Store
			switch crash {
			case "written down":
				w.Submit.Store = failing{full, func() error { kill(); return broken }, nil}
			case "in the outbox":
				w.Submit.Store = failing{full, nil, func() { kill() }}
			case "delivered":
				w.Submit.Store = failing{full, nil, func() { w.deliver(filter.Delivered); kill() }}
			}
			_ = w.Tend(ctx)
			kill()
			w.Submit.Store = full
			for range 3 {
				w.tend()
			}
			n := len(w.deliver(filter.Delivered))
			if crash == "delivered" {
				n++
			}
			if n != 1 {
				w.t.Errorf("killed when it was %s: %d letters", crash, n)
			}
			if r := w.reader("ada@example.com"); r.Sending != nil || r.Last == nil || r.Last.State != "delivered" {
				w.t.Errorf("killed when it was %s: %+v %+v", crash, r.Sending, r.Last)
			}
		}
	})
}

// failing is an outbox that a process dies at.
type failing struct {
	outbox.Store
	before func() error
	after  func()
}

func (f failing) Add(ctx context.Context, e outbox.Entry, body io.Reader) (string, error) {
	if f.before != nil {
		return "", f.before()
	}
	id, err := f.Store.Add(ctx, e, body)
	f.after()
	return id, err
}

func TestWhoGetsLetters(t *testing.T) {
	each(t, func(w *world) {
		w.policy["default"] = rules.Policy{Digest: "off"}
		w.hold("ada@example.com", "No letters")
		if w.tend(); !w.reader("ada@example.com").Due.IsZero() {
			w.t.Error("a policy without letters")
		}
		w.policy["default"] = rules.Policy{Digest: "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23"}
		w.hold("ada@example.com", "A virus", "VIRUS")
		w.hold("ada@example.com", "Hourly")
		w.tend()
		if due := w.reader("ada@example.com").Due; due.Sub(w.now) > time.Hour {
			w.t.Errorf("hourly, due at %v", due)
		}
		w.now = w.reader("ada@example.com").Due
		w.tend()
		text := w.letter(w.letters()[0])
		if strings.Contains(text, "A virus") || !strings.Contains(text, "Hourly") {
			w.t.Errorf("%s", text)
		}
		w.deliver(filter.Held)
		if w.events["digest-refused"] == "" || w.reader("ada@example.com").Last.State != "refused" {
			w.t.Errorf("a refused letter: %v", w.events)
		}
		w.policy["default"] = rules.Policy{Digest: "daily", DigestInfected: true}
		id := w.hold("ada@example.com", "A virus", "VIRUS")
		w.eight("ada@example.com")
		w.tend()
		if text := w.letter(w.letters()[0]); !strings.Contains(text, "A virus") || strings.Contains(text, "Deliver to me") {
			w.t.Errorf("malware with a way to release it: %s", text)
		}
		var did recipients.Did
		if err := w.pages.Call(as(w, "ada@example.com"), "recipient.release", mine.Of{Address: "ada@example.com", ID: id}, &did); err == nil || len(w.sent) > 0 {
			w.t.Errorf("malware was released: %v %v", err, w.sent)
		}
	})
}

func TestSettings(t *testing.T) {
	each(t, func(w *world) {
		set := func(s mine.Settings) error {
			s.Address = "ada@example.com"
			return w.pages.Call(as(w, "ada@example.com"), "recipient.set", s, &s)
		}
		w.hold("ada@example.com", "One")
		w.tend()
		ok(w.t, set(mine.Settings{Language: "el", Zone: "Asia/Shanghai", Hours: []int{9}}))
		due := w.reader("ada@example.com").Due
		if due.Hour() != 1 { // 09:00 in Shanghai
			w.t.Errorf("due at %v", due)
		}
		w.now = due
		w.tend()
		if text := w.letter(w.letters()[0]); !strings.Contains(text, "Content-Language: el") || !strings.Contains(text, "lang=3Del") {
			w.t.Errorf("%s", text)
		}
		w.deliver(filter.Delivered)
		ok(w.t, set(mine.Settings{Language: "el", Zone: "Asia/Shanghai", Off: true}))
		w.hold("ada@example.com", "Two")
		w.now = w.now.Add(30 * time.Hour)
		if w.tend(); len(w.letters()) != 0 {
			w.t.Error("a letter to somebody who wants none")
		}
		for _, bad := range []mine.Settings{{Language: "xx", Zone: "UTC"}, {Language: "en", Zone: "Mars/Phobos"}, {Language: "en", Zone: "UTC", Hours: []int{24}}, {Language: "en", Zone: "Local"}} {
			if set(bad) == nil {
				w.t.Errorf("%+v is taken", bad)
			}
		}
	})
}

// TestHK07: whoever asks, and under whatever name, sees their own mail alone.
func TestHK07(t *testing.T) {
	each(t, func(w *world) {
		id := w.hold("ada@example.com", "For Ada")
		for _, who := range []string{
			"bob@example.com", "ada+tag@example.com", "ada@example.net", "ada@sub.example.com", "postmaster@example.com", "ad@example.com", "@example.com", "ada", "", "*", "ada@example.com.", "\"ada\"@example.com",
			"ada@EXAMPLE.net", "áda@example.com", "ada@example.com,bob@example.com", "ada%40example.com", "ada@example.com\x00",
		} {
			for _, address := range []string{who, "ada@example.com", "ADA@example.com"} {
				for _, call := range []string{"recipient.show", "recipient.release", "recipient.allow", "recipient.delete", "recipient.disown"} {
					var out json.RawMessage
					err := w.pages.Call(as(w, who), call, mine.Of{Address: address, ID: id}, &out)
					if err == nil || !strings.HasPrefix(err.Error(), "404 ") {
						w.t.Errorf("%q as %q: %s: %v %s", who, address, call, err, out)
					}
				}
				var list mine.List
				if err := w.pages.Call(as(w, who), "recipient.list", mine.Of{Address: address}, &list); err == nil && len(list.Holds) > 0 {
					w.t.Errorf("%q sees the list of %q", who, address)
				}
			}
		}
		for _, bad := range []string{"", "x", id + "x", id[:len(id)-1], "../" + id, strings.ToUpper(id), "%00", "' OR 1=1 --", strings.Repeat("x", 5000)} {
			var out json.RawMessage
			if err := w.pages.Call(as(w, "ada@example.com"), "recipient.show", mine.Of{Address: "ada@example.com", ID: bad}, &out); err == nil || !strings.HasPrefix(err.Error(), "404 ") {
				w.t.Errorf("ID %.40q: %v", bad, err)
			}
		}
		for _, call := range []string{"quarantine.list", "digest.list", "digest.send", "user.list"} {
			if w.pages.May(as(w, "ada@example.com"), call) && call != "quarantine.list" {
				w.t.Errorf("a recipient may make %s", call)
			}
		}
		var m mine.Message
		ok(w.t, w.pages.Call(as(w, "Ada@example.com"), "recipient.show", mine.Of{Address: "Ada@example.com", ID: id}, &m))
		if m.Subject != "For Ada" || !strings.Contains(m.Text, "Text ") || len(w.sent) != 0 {
			w.t.Errorf("%+v %v", m, w.sent)
		}
	})
}

func TestWhatARecipientDoes(t *testing.T) {
	each(t, func(w *world) {
		do := func(act, id, state string) {
			w.t.Helper()
			var did recipients.Did
			if err := w.pages.Call(as(w, "ada@example.com"), "recipient."+act, mine.Of{Address: "ada@example.com", ID: id}, &did); err != nil || did.State != state {
				w.t.Errorf("%s: %+v, %v", act, did, err)
			}
		}
		a, b, c, d := w.hold("ada@example.com", "A"), w.hold("ada@example.com", "B"), w.hold("ada@example.com", "C"), w.hold("ada@example.com", "D")
		do("release", a, "released")
		do("allow", b, "released")
		do("delete", c, "deleted")
		do("disown", d, "disowned")
		var list mine.List
		ok(w.t, w.pages.Call(as(w, "ada@example.com"), "recipient.list", mine.Of{Address: "ada@example.com"}, &list))
		if len(list.Holds) != 0 || len(w.sent) != 2 {
			w.t.Errorf("%+v, sent %v", list, w.sent)
		}
		if h, err := w.q.Show(w.t.Context(), d); err != nil || h.State != quarantine.Held {
			w.t.Errorf("what is not theirs stays for the postmaster: %v, %v", h.State, err)
		}
		entries, _, err := w.home.Lists.ListEntries(w.t.Context())
		ok(w.t, err)
		if len(entries) != 1 || entries[0].Key() != "allow frank@friend.example recipient:ada@example.com" || entries[0].Author != "recipient ada@example.com" {
			w.t.Errorf("%+v", entries)
		}
		w.release = func() (string, error) { return "", &quarantine.SendError{Reply: "451 later"} }
		do("release", w.hold("ada@example.com", "E"), "releasing")
		w.release = func() (string, error) { return "", &quarantine.SendError{Reply: "550 no", Permanent: true} }
		do("release", w.hold("ada@example.com", "F"), "refused")
		all, err := w.home.Audit.Entries(w.t.Context(), 0, 1000)
		ok(w.t, err)
		for _, want := range []string{"release", "released", "list-add", "delete", "disown"} {
			if !slices.ContainsFunc(all, func(e record.Entry) bool {
				return e.Action == want && e.Actor == "recipient ada@example.com"
			}) {
				w.t.Errorf("the audit lacks %s", want)
			}
		}
	})
}

func TestPreviewAndSend(t *testing.T) {
	each(t, func(w *world) {
		var wrote recipients.Wrote
		if err := w.calls.Call(w.t.Context(), "digest.send", mine.Of{Address: "ada@example.com"}, &wrote); err == nil {
			w.t.Error("a letter about nothing")
		}
		if err := w.calls.Call(w.t.Context(), "digest.preview", mine.Of{Address: "ada@elsewhere.example"}, &wrote); err == nil {
			w.t.Error("a letter to elsewhere")
		}
		for i := range 55 {
			w.hold("ada@example.com", fmt.Sprintf("Subject%d.", i))
		}
		ok(w.t, w.calls.Call(w.t.Context(), "digest.preview", mine.Of{Address: "ada@example.com"}, &wrote))
		if wrote.Holds != 55 || strings.Count(string(wrote.Message), "https://mail.example/d/") != 0 && len(w.letters()) != 0 || !strings.Contains(string(wrote.Message), "and 5 more messages") {
			w.t.Errorf("%d, %s", wrote.Holds, wrote.Message)
		}
		ok(w.t, w.calls.Call(w.t.Context(), "digest.send", mine.Of{Address: "ada@example.com"}, &wrote))
		if all := w.letters(); len(all) != 1 || all[0].ID != wrote.Entry || all[0].Origin != glue.OriginDigest || all[0].From != "" {
			w.t.Errorf("%+v", all)
		}
		w.now = w.now.Add(2 * time.Hour)
		if w.tend(); w.events["digest-late"] == "" {
			w.t.Error("a letter that waits is not told of")
		}
		w.deliver(filter.Delivered)
		if w.tend(); len(w.events) != 0 {
			w.t.Errorf("%v", w.events)
		}
	})
}

func TestLinksToTheList(t *testing.T) {
	each(t, func(w *world) {
		ctx, stop := context.WithCancel(w.t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.Answer(ctx) }()
		w.hold("ada@example.com", "One")
		for _, who := range []string{"nobody@example.com", "ada@elsewhere.example", "nonsense", "", "ADA@example.com"} {
			w.Ask(who, "ru")
		}
		end := time.Now().Add(30 * time.Second)
		for len(w.letters()) == 0 && time.Now().Before(end) {
			time.Sleep(10 * time.Millisecond)
		}
		stop()
		ok(w.t, <-ended)
		all := w.letters()
		if len(all) != 1 || all[0].To[0].Address != "ada@example.com" {
			w.t.Fatalf("%+v", all)
		}
		if text := w.letter(all[0]); !strings.Contains(text, "Content-Language: ru") || !strings.Contains(text, "mail/in/") {
			w.t.Errorf("%s", text)
		}
	})
}
