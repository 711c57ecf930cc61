package strict_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/internal/strict"
)

type wait time.Duration

func (w *wait) UnmarshalText(b []byte) error {
	d, err := time.ParseDuration(string(b))
	if err != nil {
		return errors.New("not a duration")
	}
	*w = wait(d)
	return nil
}

type inner struct {
	Cert string `yaml:"cert"`
	Wait wait   `yaml:"wait"`
}

type sample struct {
	Name  string           `yaml:"name"`
	Count int              `yaml:"count"`
	On    bool             `yaml:"on"`
	Many  []inner          `yaml:"many"`
	By    map[string]inner `yaml:"by"`
	Kept  string           `yaml:"kept"`
	Ptr   *inner           `yaml:"ptr"`
	priv  int
}

type words []string

func (*words) OneOrMore() {}

func TestOneOrMore(t *testing.T) {
	var s struct {
		A words  `yaml:"a"`
		B *words `yaml:"b"`
		C *words `yaml:"c"`
		D *words `yaml:"d"`
	}
	d := strict.Decode("f.yaml", []byte("a: one\nb: [one, two]\nc: []\n"), &s)
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(words{"one"}, s.A); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&words{"one", "two"}, s.B); diff != "" {
		t.Error(diff)
	}
	if s.C == nil || len(*s.C) != 0 || s.D != nil {
		t.Error("an empty list is written, one that is not there is not")
	}
	if p := d.At("a[0]"); p.Line != 1 || p.Column != 4 {
		t.Error(p)
	}
	if err := strict.Decode("f.yaml", []byte("a: {x: 1}\n"), &s).Err(); err == nil || err.Error() != "f.yaml:1:4: expected text, found keys and values" {
		t.Error(err)
	}
}

func TestDecode(t *testing.T) {
	s := sample{Kept: "before", priv: 1}
	d := strict.Decode("f.yaml", []byte(`# comment
name: mx1.example.com
count: 12
on: true
many:
  - {cert: a.pem, wait: 5s}
  - cert: |
      b
by: {x.example: {cert: c}}
ptr: {wait: 1m}
`), &s)
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	want := sample{Name: "mx1.example.com", Count: 12, On: true, Kept: "before",
		Many: []inner{{Cert: "a.pem", Wait: wait(5 * time.Second)}, {Cert: "b\n"}},
		By:   map[string]inner{"x.example": {Cert: "c"}}, Ptr: &inner{Wait: wait(time.Minute)}}
	s.priv = 0
	if diff := cmp.Diff(fmt.Sprintf("%+v %+v", want, *want.Ptr), fmt.Sprintf("%+v %+v", s, *s.Ptr)); diff != "" && s.Ptr == nil {
		t.Error(diff)
	}
	if diff := cmp.Diff(want.Many, s.Many); diff != "" {
		t.Error(diff)
	}
	for path, at := range map[string]string{
		"name": "f.yaml:2:7", "many[0].wait": "f.yaml:6:25", "many[0].missing": "f.yaml:6:5", "by[x.example].cert": "f.yaml:9:24", "nowhere": "f.yaml",
	} {
		if got := d.At(path).String(); got != at {
			t.Errorf("At(%s) = %s, want %s", path, got, at)
		}
	}
	if !d.Has("count") || d.Has("kept") {
		t.Error("Has")
	}
}

func TestAllErrorsAtOnce(t *testing.T) {
	var s sample
	d := strict.Decode("bad.yaml", []byte(`nane: x
count: many
on: yes
name: a
name: b
many: {cert: x}
by:
  a: {wait: soon, crt: 1}
  b: [1]
`), &s)
	d.Fail("by[a].wait", "said later")
	got := strings.Split(d.Err().Error(), "\n")
	want := []string{
		`bad.yaml:1:1: unknown key "nane"; did you mean "name"?`,
		`bad.yaml:2:8: expected a whole number, found "many"`,
		`bad.yaml:3:5: expected true or false, found "yes"`,
		`bad.yaml:5:1: "name" is written twice, first at line 4`,
		`bad.yaml:6:7: expected a list, found keys and values`,
		`bad.yaml:8:13: not a duration`,
		`bad.yaml:8:13: said later`,
		`bad.yaml:8:19: unknown key "crt"; did you mean "cert"?`,
		`bad.yaml:9:6: expected keys and values, found a list`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"tab":       {"name:\n\tx: 1\n", "f:2:1: "},
		"second":    {"name: a\n---\nname: b\n", "f:3:5: a second document"},
		"alias":     {"by:\n  a: &x {cert: y}\n  b: *x\n", "anchors, aliases"},
		"unclosed":  {"many: [1, 2\n", "f:1:"},
		"scalar":    {"just text\n", "f:1:1: expected keys and values"},
		"deep":      {"many: " + strings.Repeat("[", 500) + "\n", "nested deeper"},
		"deep list": {strings.Repeat("- ", 500) + "x\n", "nested deeper"},
		"huge":      {strings.Repeat("# filler\n", 600_000), "at most 4194304 are read"},
		"half":      {"name: \"abc", "f:1:"},
		"big int":   {"count: 18446744073709551615\n", "f:1:8: expected a whole number"},
	} {
		t.Run(name, func(t *testing.T) {
			var s sample
			err := strict.Decode("f", []byte(c.src), &s).Err()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestManyErrorsAreCapped(t *testing.T) {
	var b strings.Builder
	for i := range 80 {
		fmt.Fprintf(&b, "zzz%d: 1\n", i)
	}
	var s sample
	text := strict.Decode("f", []byte(b.String()), &s).Err().Error()
	if n := strings.Count(text, "\n"); n != strict.MaxErrors || !strings.HasSuffix(text, "and 30 more") {
		t.Errorf("%d lines, ends %q", n, text[len(text)-20:])
	}
}

func TestEmptyAndBOM(t *testing.T) {
	var s sample
	if err := strict.Decode("f", nil, &s).Err(); err != nil {
		t.Error(err)
	}
	if err := strict.Decode("f", []byte("\ufeffname: x\n"), &s).Err(); err != nil || s.Name != "x" {
		t.Errorf("%v %q", err, s.Name)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"name: x", "many: [{cert: a}]", "by: {a: {b: c}}", "- - -", "? a\n: b", "!!str x", "a: &b c\nd: *b", "\"\\x", "<<: *a"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var s sample
		d := strict.Decode("f", src, &s)
		if err := d.Err(); err != nil && !strings.HasPrefix(err.Error(), "f") {
			t.Errorf("no place: %v", err)
		}
	})
}
