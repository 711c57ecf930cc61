package decisions

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/abuse"
	"postern/blocklist"
)

// drawHeld is any record of one name; few values, so that all kinds of ties come up.
func drawHeld(rt *rapid.T, kind string, label string) *held {
	small := rapid.IntRange(1, 3)
	r := record{
		Kind: kind, Name: "a@example.com", Version: uint64(small.Draw(rt, label+" version")),
		At: time.Unix(int64(small.Draw(rt, label+" at")), 0).UTC(), By: rapid.SampledFrom([]string{"n1", "n2"}).Draw(rt, label+" by"),
	}
	var payload any
	switch kind {
	case KindAccount:
		state := rapid.SampledFrom([]abuse.State{abuse.Active, abuse.Suspended}).Draw(rt, label+" state")
		payload = abuse.Account{Name: r.Name, State: state, Version: r.Version}
	default:
		e := blocklist.Entry{Allow: kind == "allow", Value: "a@example.com", Scope: "all", Reason: rapid.SampledFrom([]string{"x", "y"}).Draw(rt, label+" reason")}
		r.Kind, r.Name, r.Deleted = KindList, e.Key(), rapid.Bool().Draw(rt, label+" deleted")
		if !r.Deleted {
			payload = e
		}
	}
	h, err := encode('1', r, payload, nil)
	if err != nil {
		rt.Fatal(err)
	}
	return h
}

func merge(a, b *held) *held {
	if better(b, a) {
		return b
	}
	return a
}

func same(a, b *held) bool { return string(a.text) == string(b.text) }

// TestMerge: the order in which nodes see records, and how often, does not matter.
func TestMerge(t *testing.T) {
	for _, kind := range []string{KindAccount, "allow", "block"} {
		t.Run(kind, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				a, b, c := drawHeld(rt, kind, "a"), drawHeld(rt, kind, "b"), drawHeld(rt, kind, "c")
				if !same(merge(a, b), merge(b, a)) {
					rt.Error("not commutative")
				}
				if !same(merge(merge(a, b), c), merge(a, merge(b, c))) {
					rt.Error("not associative")
				}
				if !same(merge(a, a), a) || better(a, a) {
					rt.Error("not idempotent")
				}
				if !same(a, b) && better(a, b) == better(b, a) {
					rt.Error("two records are neither better nor worse")
				}
			})
		})
	}
}

func TestWhatIsBetter(t *testing.T) {
	account := func(version uint64, sec int64, state abuse.State) *held {
		h, err := encode('1', record{Kind: KindAccount, Name: "a", Version: version, At: time.Unix(sec, 0).UTC()}, abuse.Account{Name: "a", State: state, Version: version}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	level := func(l abuse.Level) *held {
		h, err := encode('1', record{Kind: KindAccount, Name: "a", Version: 1, At: time.Unix(1, 0).UTC()}, abuse.Account{Name: "a", State: abuse.Active, Level: l, Version: 1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	entry := func(allow, deleted bool) *held {
		e := blocklist.Entry{Allow: allow, Value: "192.0.2.1", Scope: "all"}
		r := record{Kind: KindList, Name: e.Key(), Version: 1, At: time.Unix(1, 0).UTC(), Deleted: deleted}
		var payload any
		if !deleted {
			payload = e
		}
		h, err := encode('1', r, payload, nil)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	for name, c := range map[string][2]*held{
		"the higher version, though earlier": {account(2, 1, abuse.Active), account(1, 2, abuse.Suspended)},
		"the later time":                     {account(1, 2, abuse.Active), account(1, 1, abuse.Suspended)},
		"suspended before active":            {account(1, 1, abuse.Suspended), account(1, 1, abuse.Active)},
		"the stricter measure":               {level(abuse.M2), level(abuse.M1)},
		"suspended before held":              {account(1, 1, abuse.Suspended), level(abuse.M2)},
		"a block that stands":                {entry(false, false), entry(false, true)},
		"an allowance that was removed":      {entry(true, true), entry(true, false)},
	} {
		if !better(c[0], c[1]) || better(c[1], c[0]) {
			t.Errorf("%s is not better", name)
		}
	}
}

// TestUnknownFieldsSurvive: what a newer version wrote is kept when this one writes.
func TestUnknownFieldsSurvive(t *testing.T) {
	newer := `2{"kind":"acct","name":"a","version":1,"at":"2026-01-01T00:00:00Z","by":"n2","cause":"x","payload":{"name":"a","state":"suspended","reason":"","by":"","at":"2026-01-01T00:00:00Z","version":1,"later":"2026-02-01"}}`
	old, err := decode([]byte(newer))
	if err != nil {
		t.Fatal(err)
	}
	h, err := encode('1', record{Kind: KindAccount, Name: "a", Version: 2, By: "n1"}, abuse.Account{Name: "a", State: abuse.Active, Version: 2}, old)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Cause   string
		By      string
		Payload struct{ Later, State string }
	}
	if err := json.Unmarshal(h.text[1:], &got); err != nil {
		t.Fatal(err)
	}
	if got.Cause != "x" || got.Payload.Later != "2026-02-01" || got.Payload.State != "active" || got.By != "n1" || h.text[0] != '1' {
		t.Errorf("written: %s", h.text)
	}
}

// TestKnownFieldsGo: a field of ours that the new record leaves out is not carried over.
func TestKnownFieldsGo(t *testing.T) {
	e := blocklist.Entry{Value: "192.0.2.1", Scope: "all", Expires: time.Unix(5, 0).UTC()}
	old, err := encode('1', record{Kind: KindList, Name: e.Key(), Version: 1}, e, nil)
	if err != nil {
		t.Fatal(err)
	}
	e.Expires = time.Time{}
	h, err := encode('1', record{Kind: KindList, Name: e.Key(), Version: 2}, e, old)
	if err != nil || !h.entry.Expires.IsZero() {
		t.Errorf("expires %v, %v", h.entry.Expires, err)
	}
	gone, err := encode('1', record{Kind: KindList, Name: e.Key(), Version: 3, Deleted: true}, nil, h)
	if err != nil || !gone.Deleted || len(gone.Payload) != 0 {
		t.Errorf("removed: %s, %v", gone.text, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := `1{"kind":"acct","name":"a","version":1,"at":"2026-01-01T00:00:00Z","by":"n","payload":{"name":"a","state":"active","version":1}}`
	if _, err := decode([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"", "1", "3" + good[1:], "1{", "1" + strings.Repeat(" ", maxText) + good[1:],
		strings.Replace(good, `"version":1`, `"version":0`, 1),
		strings.Replace(good, `"version":1`, `"version":2`, 1),
		strings.Replace(good, `"version":1`, `"version":9223372036854775808`, 1),
		strings.Replace(good, `"name":"a"`, `"name":"b"`, 1),
		strings.Replace(good, `"name":"a"`, `"name":""`, 1),
		strings.Replace(good, `"acct"`, `"list"`, 1),
		strings.Replace(good, `"acct"`, `"other"`, 1),
		strings.Replace(good, `"by":"n"`, `"by":"n","deleted":true`, 1),
		strings.Replace(good, `"state":"active"`, `"state":7`, 1),
	} {
		if h, err := decode([]byte(bad)); err == nil {
			t.Errorf("%.80s was read as %+v", bad, h.record)
		}
	}
	if _, err := encode('1', record{Kind: KindAccount, Name: "\xff", Version: 1}, abuse.Account{Name: "\xff", Version: 1}, nil); err == nil {
		t.Error("a name that is no UTF-8 was taken")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`1{"kind":"acct","name":"a","version":1,"payload":{"name":"a","state":"active","version":1}}`))
	f.Add([]byte(`2{"kind":"list","name":"block x all","version":1,"deleted":true}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := decode(text)
		if err != nil {
			return
		}
		if h.field != fieldOf(h.Kind, h.Name) || better(h, h) {
			t.Errorf("%+v", h.record)
		}
	})
}
