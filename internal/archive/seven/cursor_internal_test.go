package seven

import (
	"errors"
	"slices"
	"testing"
)

func TestNumber(t *testing.T) {
	for in, want := range map[string]uint64{
		"\x00":                                 0,
		"\x7f":                                 127,
		"\x80\x80":                             128,
		"\x81\x00":                             256,
		"\xbf\xff":                             1<<14 - 1,
		"\xc0\x00\x40":                         1 << 14,
		"\xe0\x00\x00\x20":                     1 << 21,
		"\xf0\x00\x00\x00\x10":                 1 << 28,
		"\xff\x01\x00\x00\x00\x00\x00\x00\x80": 1<<63 | 1,
		"\xfe\x01\x02\x00\x00\x00\x00\x00":     0x201,
	} {
		c := &cursor{b: []byte(in)}
		if got := c.number(); got != want || c.bad || len(c.b) != 0 {
			t.Errorf("%x: %d, want %d; %+v", in, got, want, c)
		}
	}
	for _, in := range []string{"", "\x80", "\xff\x00\x00"} {
		c := &cursor{b: []byte(in)}
		if c.number(); !c.bad {
			t.Errorf("%x is taken for a number", in)
		}
	}
}

func TestCursorBounds(t *testing.T) {
	c := &cursor{b: []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff")}
	if n := c.size(); n != 0 || !c.bad {
		t.Errorf("%d, %+v", n, c)
	}
	if _, err := (&cursor{b: []byte{9}}).count(8); !errors.Is(err, ErrTooMany) {
		t.Errorf("err = %v", err)
	}
	if _, err := (&cursor{}).count(8); !errors.Is(err, ErrDamaged) {
		t.Errorf("err = %v", err)
	}
	if n, err := (&cursor{b: []byte{8}}).count(8); n != 8 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	c = &cursor{b: []byte{1, 2}}
	if c.take(3) != nil || !c.bad || c.byte() != 0 || c.take(0) != nil {
		t.Errorf("%+v", c)
	}
}

func TestFlags(t *testing.T) {
	c := &cursor{b: []byte{0b1010_0000, 0b1000_0000, 7}}
	if got := c.bits(9); !slices.Equal(got, []bool{true, false, true, false, false, false, false, false, true}) || c.byte() != 7 {
		t.Errorf("%v", got)
	}
	c = &cursor{b: []byte{1}}
	if got := c.optional(3); !slices.Equal(got, []bool{true, true, true}) || c.bad {
		t.Errorf("%v %+v", got, c)
	}
	c = &cursor{b: []byte{0, 0b0100_0000, 1, 2, 3, 4, 9}}
	if got := c.sums(3); !slices.Equal(got, []bool{false, true, false}) || c.byte() != 9 {
		t.Errorf("%v %+v", got, c)
	}
	c = &cursor{}
	if got := c.bits(4); len(got) != 4 || slices.Contains(got, true) || !c.bad {
		t.Errorf("%v %+v", got, c)
	}
}

func TestNames(t *testing.T) {
	b := []byte("a\x00\x00\x00\x2e\x20b\x00\x00\x00c\x00")
	if got := splitNames(b, 5); !slices.Equal(got, []string{"a", "\u202eb"}) {
		t.Errorf("%q", got)
	}
	if got := splitNames(make([]byte, 100), 2); len(got) != 3 {
		t.Errorf("%d names of two", len(got))
	}
	if method([]byte{3, 1, 1}) != mLZMA || method(make([]byte, 15)) != 0 || method(nil) != mCopy {
		t.Error("methods are misread")
	}
}

// Members without content are told from directories, and those with content find their folder.
func TestPlaces(t *testing.T) {
	a := &Archive{Folders: []*Folder{{count: 1, parts: []int64{3}}, {count: 0}, {count: 2, parts: []int64{4, 5}}}}
	err := a.place([]string{"one", "dir", "two", "empty", "three"}, []bool{false, true, false, true, false}, []bool{false, true})
	if err != nil || !slices.Equal(a.Empty, []File{{Name: "dir", Dir: true}, {Name: "empty"}}) {
		t.Errorf("%v, %+v", err, a.Empty)
	}
	if !slices.Equal(a.Folders[0].Files, []File{{Name: "one", Size: 3}}) || !slices.Equal(a.Folders[2].Files, []File{{Name: "two", Size: 4}, {Name: "three", Size: 5}}) {
		t.Errorf("%+v %+v", a.Folders[0].Files, a.Folders[2].Files)
	}
	if err := a.place([]string{"four"}, []bool{false}, nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("one too many: %v", err)
	}
}

// A folder whose parts are longer than it is, or are not told, is damaged.
func TestDivide(t *testing.T) {
	for name, x := range map[string]struct {
		told  bool
		sizes []byte
		parts []int64
		want  error
	}{
		"as told":  {true, []byte{3, 4}, []int64{3, 4, 3}, nil},
		"too long": {true, []byte{3, 9}, nil, ErrDamaged},
		"untold":   {false, nil, nil, ErrDamaged},
	} {
		f := &Folder{Size: 10, count: 3}
		if err := f.divide(&cursor{b: x.sizes}, x.told); !errors.Is(err, x.want) || err == nil && !slices.Equal(f.parts, x.parts) {
			t.Errorf("%s: %v %v", name, f.parts, err)
		}
	}
}

// A way from coder to coder that turns in a circle ends.
func TestCircle(t *testing.T) {
	f := &Folder{coders: []coder{{in: 1}, {in: 1}}, binds: []bind{{in: 0, out: 1}, {in: 1, out: 0}}, sizes: []int64{1, 1}}
	if _, ok := f.last(); ok {
		t.Error("a circle has an end")
	}
	if _, err := f.Open(); !errors.Is(err, ErrDamaged) {
		t.Errorf("err = %v", err)
	}
	if _, err := f.output(0, 2); !errors.Is(err, ErrDamaged) {
		t.Errorf("err = %v", err)
	}
}
