package said_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"postern/internal/said"
)

var errKind = said.New("x.kind", "this cannot be")

type named struct{ name string }

func (n named) Error() string { return "named " + n.name }

func TestErrorf(t *testing.T) {
	err := said.Errorf("x.more", "%w: %q has %d octets, at most %d: %v", "kind", errKind, "name", "a b", "n", 7, "most", int64(5), "why", named{"n"})
	if err.Error() != `this cannot be: "a b" has 7 octets, at most 5: named n` {
		t.Error(err)
	}
	if !errors.Is(err, errKind) || errors.Is(err, errors.New("this cannot be")) {
		t.Error("the kind is not found in it, or one too many is")
	}
	var n named
	if !errors.As(err, &n) || n.name != "n" {
		t.Error("a cause is not found by its type")
	}
	var other *json.SyntaxError
	if errors.As(err, &other) {
		t.Error("a cause was found that there is not")
	}
	got := said.Of(fmt.Errorf("saving: %w", err))
	want := said.Values{"kind": said.Words{Code: "x.kind", English: "this cannot be"}, "name": `"a b"`, "n": int64(7), "most": int64(5), "why": "named n"}
	if got.Code != said.Around {
		t.Fatalf("%+v", got)
	}
	if in, _ := got.Values["said"].(said.Words); in.Code != "x.more" || !reflect.DeepEqual(in.Values, want) || got.Values["before"] != "saving: " || got.Values["after"] != "" {
		t.Errorf("%+v", got)
	}
}

func TestOf(t *testing.T) {
	for text, c := range map[string]struct {
		err  error
		code string
	}{
		"plain":                          {errors.New("plain"), ""},
		"this cannot be":                 {errKind, "x.kind"},
		"a.yaml:3:4: this cannot be":     {fmt.Errorf("a.yaml:3:4: %w", errKind), said.Around},
		"while it saved: this cannot be": {fmt.Errorf("while it saved: %w", errKind), "x.kind"},
	} {
		if got := said.Of(c.err); got.Code != c.code || got.English != text {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestSay(t *testing.T) {
	if w := said.Say("x.whole", "100 % of it"); w.English != "100 % of it" || w.Values != nil {
		t.Errorf("%+v", w)
	}
	w := said.Say("x.part", "%d %% of %s, %s and %05d", "n", 3, "what", said.Words{English: "bare"}, "in", said.Say("x.in", "inner"), "k", 42)
	if w.English != "3 % of bare, inner and 00042" || w.String() != w.English || w.Bare().English != "" {
		t.Errorf("%+v", w)
	}
	if !reflect.DeepEqual(w.Values, said.Values{"n": int64(3), "what": "bare", "in": said.Words{Code: "x.in", English: "inner"}, "k": "00042"}) {
		t.Errorf("%+v", w.Values)
	}
	if got := said.Template("%d %% of %.20q, %s and %v", "n", "what", "in"); got != "{n} % of {what}, {in} and %v" {
		t.Errorf("%q", got)
	}
}

func TestJSON(t *testing.T) {
	w := said.Say("x.part", "%d of %s: %s", "n", 3, "what", "it", "in", said.Say("x.in", "%d", "k", 4))
	raw, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	var got said.Words
	if err := json.Unmarshal(raw, &got); err != nil || !reflect.DeepEqual(got, w) {
		t.Errorf("%+v %v", got, err)
	}
	for _, bad := range []string{`{"values":{"a":true}}`, `{"values":{"a":[1]}}`, `{"values":7}`, `{"values":{"a":{"code":7}}}`, `{"values":{"a":1.5}}`} {
		if err := json.Unmarshal([]byte(bad), &got); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
	if err := json.Unmarshal([]byte(`{"values":null}`), &got); err != nil {
		t.Error(err)
	}
}

func TestJoin(t *testing.T) {
	if w := said.Join(); w.English != "" || w.Code != "" {
		t.Errorf("%+v", w)
	}
	one := said.Say("x.in", "in %s", "k", "K")
	if w := said.Join(one); !reflect.DeepEqual(w, one) {
		t.Errorf("%+v", w)
	}
	w := said.Join(one, said.Typed("by hand"), one)
	last, _ := w.Values["what"].(said.Words)
	first, _ := w.Values["before"].(said.Words)
	if w.English != "in K; by hand; in K" || w.Code != said.And || last.Code != "x.in" || first.Code != said.And || first.Values["what"] != "by hand" {
		t.Errorf("%+v", w)
	}
}

func TestRecords(t *testing.T) {
	var r struct {
		Text string     `json:"text"`
		Said said.Words `json:"said,omitzero"`
	}
	w := said.Say("x.part", "%d of %s: %s", "n", 3, "what", "it", "in", said.Say("x.in", "in %s", "k", "K"))
	w.Put(&r.Text, &r.Said)
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	r.Text, r.Said = "", said.Words{}
	if err := json.Unmarshal(raw, &r); err != nil || r.Text != "3 of it: in K" || r.Said.English != "" || !reflect.DeepEqual(said.Kept(r.Text, r.Said).Bare(), w.Bare()) {
		t.Errorf("%s: %+v %v", raw, r, err)
	}
	if in, _ := r.Said.Values["in"].(said.Words); in.Code != "x.in" || in.English != "" || in.Values["k"] != "K" {
		t.Errorf("the sentence in it is kept as %+v", in)
	}
	if said.Typed("by hand").Put(&r.Text, &r.Said); r.Text != "by hand" || r.Said.Code != "" {
		t.Errorf("%+v", r)
	}
	if raw, err := json.Marshal(r); err != nil || string(raw) != `{"text":"by hand"}` {
		t.Errorf("%s %v", raw, err)
	}
	up := w.Map(strings.ToUpper)
	if in, _ := up.Values["in"].(said.Words); up.English != "3 OF IT: IN K" || up.Values["what"] != "IT" || in.English != "IN K" || in.Code != "x.in" || up.Values["n"] != int64(3) || w.Values["what"] != "it" {
		t.Errorf("%+v from %+v", up, w)
	}
}
