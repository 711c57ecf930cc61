package scenarios

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/abuse/connect/webhook"
	"postern/abuse/measure"
	"postern/cmd/postern/calls"
)

// directory is a SCIM provider with one user. While it lies it answers 200 and changes nothing.
type directory struct {
	mu      sync.Mutex
	user    string
	active  bool
	lying   bool
	version int
	asked   int // to change the user
}

func (d *directory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	show := func(active bool) map[string]any {
		return map[string]any{"id": "17", "userName": d.user, "active": active, "meta": map[string]string{"version": fmt.Sprintf(`W/"%d"`, d.version)}}
	}
	switch {
	case r.Header.Get("Authorization") != "Bearer directory-token":
		w.WriteHeader(http.StatusUnauthorized)
	case strings.HasSuffix(r.URL.Path, "/Users"):
		_ = json.NewEncoder(w).Encode(map[string]any{"totalResults": 1, "Resources": []any{show(d.active)}})
	case r.Method == http.MethodPatch:
		body, _ := io.ReadAll(r.Body)
		d.asked++
		want := bytes.Contains(body, []byte(`"value":true`))
		if !d.lying {
			d.active = want
			d.version++
		}
		_ = json.NewEncoder(w).Encode(show(want)) // what was asked, not what is so
	default:
		_ = json.NewEncoder(w).Encode(show(d.active))
	}
}

func (d *directory) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// A connector that says yes, while the read-back says that the user is active, makes no measure
// active: it is tried again and a person is paged, until it is so.
func TestScenario21ConnectorThatLies(t *testing.T) {
	t.Parallel()
	const anna = "anna@example.com"
	bothHomes(t, func(t *testing.T, redis bool) {
		d := &directory{user: anna, active: true, lying: true, version: 1}
		srv := httptest.NewServer(d)
		t.Cleanup(srv.Close)
		n, page := senders(t, plan{Redis: redis, Abuse: fmt.Sprintf(`connectors: {scim: [{name: idp, url: "%s/scim/v2", token_file: DIR/idp.token, required: true}]}`, srv.URL)}, anna)
		n.WriteFile("idp.token", "directory-token\n")
		n.serve()
		m := told[measure.Measure](n, "measure.apply", calls.MeasureAsk{Account: anna, Level: "M5", BreakGlass: "nobody else is there", Reason: "the account is in other hands"})
		if m.State != measure.PendingActivation || len(m.Connectors) != 1 || m.Connectors[0].Verified || m.Tries != 1 {
			t.Fatalf("%+v", m)
		}
		if out := n.command("measure", "list"); strings.Contains(out, " active ") || !strings.Contains(out, "pending-activation") {
			t.Errorf("the list says\n%s", out)
		}
		if out := n.command("measure", "show", m.ID); !strings.Contains(out, "idp: not proved") {
			t.Errorf("it shows\n%s", out)
		}
		n.await("somebody is paged", func() bool { return len(page.pages("measure-connector:"+m.ID)) > 0 })
		if p := page.pages("measure-connector:")[0]; !strings.Contains(p.Summary+p.Detail, "idp") {
			t.Errorf("the page does not name it: %+v", p)
		}
		for _, wait := range []time.Duration{time.Minute, 3 * time.Minute, 6 * time.Minute} {
			n.pass(wait)
			if got := told[measure.Measure](n, "measure.show", calls.ID{ID: m.ID}); got.State != measure.PendingActivation || got.Tries <= m.Tries {
				t.Errorf("after %v: %+v", wait, got)
			} else {
				m = got
			}
		}
		if d.asked < 4 || len(page.pages("measure-connector:")) != 1 {
			t.Errorf("asked %d times, paged %+v", d.asked, page.pages("measure-connector:"))
		}

		d.set(func() { d.lying = false })
		n.pass(11 * time.Minute)
		if got := told[measure.Measure](n, "measure.show", calls.ID{ID: m.ID}); got.State != measure.Active || !got.Connectors[0].Verified || d.active {
			t.Errorf("when it does as it says: %+v, active there %v", got, d.active)
		}
		n.await("the page is over", func() bool { return page.cleared("measure-connector:") })
		n.command("measure", "undo", "--reason", "it was a test", m.ID)
		if !d.active {
			t.Error("the user stays off after the end of the measure")
		}
	})
}

// taker is somebody who listens to our webhooks, behind a line on which things happen to them.
type taker struct {
	mu      sync.Mutex
	r       *webhook.Receiver
	tamper  func(h http.Header, body []byte) []byte // nil: the line is good
	twice   bool                                    // each event arrives twice
	refused []error                                 // of events that were not taken, oldest first
	taken   []string                                // types of those that were
	inForce bool
	seen    []event // as they were sent
}

type event struct {
	header http.Header
	body   []byte
}

func (k *taker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen = append(k.seen, event{r.Header.Clone(), bytes.Clone(body)})
	if k.tamper != nil {
		body = k.tamper(r.Header, body)
	}
	_, kind, _, err := k.r.Take(r.Header, body)
	if k.twice && err == nil {
		_, _, _, again := k.r.Take(r.Header, body)
		k.refused = append(k.refused, again)
	}
	if err != nil {
		k.refused = append(k.refused, err)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	k.taken = append(k.taken, kind)
	switch kind {
	case "abuse.measure.requested":
		k.inForce = true
	case "abuse.measure.removed":
		k.inForce = false
	}
	_ = json.NewEncoder(w).Encode(map[string]bool{"in_force": k.inForce})
}

// on makes the line another one and forgets what was.
func (k *taker) on(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tamper, k.twice, k.refused, k.taken, k.inForce = nil, false, nil, nil, false
	f()
}

func newSecret(c byte) (text string, key webhook.Secret) {
	text = "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{c}, 32))
	key, err := webhook.ParseSecret(text)
	if err != nil {
		panic(err)
	}
	return text, key
}

// An event of ours whose body was altered by an octet, that is six minutes old, or that came before
// is refused, and no measure rests on it; while a key is changed the old and the new one are good.
func TestScenario22WebhooksThatWereTamperedWith(t *testing.T) {
	t.Parallel()
	oldText, oldKey := newSecret(1)
	newText, newKey := newSecret(2)
	_, strange := newSecret(3)
	var n *node
	late := time.Duration(0)
	k := &taker{r: &webhook.Receiver{Secrets: []webhook.Secret{oldKey}}}
	srv := httptest.NewServer(k)
	t.Cleanup(srv.Close)
	n, page := senders(t, plan{Abuse: fmt.Sprintf("connectors: {webhooks: [{name: panel, url: %q, secret_files: [DIR/old.whsec, DIR/new.whsec], required: true}]}", srv.URL)})
	k.r.Now = func() time.Time { return n.Clock.Now().Add(late) }
	n.WriteFile("old.whsec", oldText+"\n")
	n.WriteFile("new.whsec", newText+"\n")
	n.serve()
	suspend := func(who string) measure.Measure {
		return told[measure.Measure](n, "measure.apply", calls.MeasureAsk{Account: who + "@example.com", Level: "M3", Reason: "spam was proved"})
	}
	if m := suspend("whole"); m.State != measure.Active || !slices.Contains(k.taken, "abuse.measure.requested") {
		t.Fatalf("on a good line: %+v", m)
	}
	for name, c := range map[string]struct {
		line func()
		want error
	}{
		"one octet of the body": {func() {
			k.tamper = func(_ http.Header, body []byte) []byte { body[len(body)/2] ^= 1; return body }
		}, webhook.ErrSignature},
		"the last octet of the body": {func() { k.tamper = func(_ http.Header, body []byte) []byte { return body[:len(body)-1] } }, webhook.ErrSignature},
		"six minutes old":            {func() { late = 6 * time.Minute }, webhook.ErrTime},
		"six minutes ahead":          {func() { late = -6 * time.Minute }, webhook.ErrTime},
		"another time than was signed": {func() {
			k.tamper = func(h http.Header, body []byte) []byte {
				h.Set("Webhook-Timestamp", fmt.Sprint(n.Clock.Now().Unix()-1))
				return body
			}
		}, webhook.ErrSignature},
	} {
		k.on(c.line)
		m := suspend(strings.ReplaceAll(name, " ", "-"))
		if m.State != measure.PendingActivation || len(k.taken) != 0 || len(k.refused) == 0 || slices.ContainsFunc(k.refused, func(err error) bool { return !errors.Is(err, c.want) }) {
			t.Errorf("%s: %s, taken %v, refused for %v", name, m.State, k.taken, k.refused)
		}
		n.await("somebody is paged about "+name, func() bool { return len(page.pages("measure-connector:"+m.ID)) > 0 })
		late = 0
	}
	k.on(func() { k.twice = true })
	if m := suspend("twice"); m.State != measure.Active || len(k.refused) == 0 || slices.ContainsFunc(k.refused, func(err error) bool { return !errors.Is(err, webhook.ErrSeen) }) {
		t.Errorf("an event that comes twice: %s, refused for %v", m.State, k.refused)
	}
	k.on(func() {})
	for _, e := range k.seen {
		if e.header.Get("Webhook-Id") == "" || e.header.Get("Webhook-Timestamp") == "" || len(strings.Fields(e.header.Get("Webhook-Signature"))) != 2 {
			t.Errorf("an event without its signatures: %v", e.header)
		}
	}
	for name, c := range map[string]struct {
		key  webhook.Secret
		want measure.State
	}{"the old key alone": {oldKey, measure.Active}, "the new key alone": {newKey, measure.Active}, "neither": {strange, measure.PendingActivation}} {
		k.on(func() { k.r = &webhook.Receiver{Secrets: []webhook.Secret{c.key}, Now: k.r.Now} })
		if m := suspend(strings.ReplaceAll(name, " ", ".")); m.State != c.want {
			t.Errorf("who knows %s: %s %+v", name, m.State, k.refused)
		}
	}
}
