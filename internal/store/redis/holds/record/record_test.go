package record_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"postern/internal/store/redis/holds/record"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/redis/sealed"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

func scribe(t testing.TB, schema int) *record.Scribe {
	t.Helper()
	return record.NewScribe(redistest.Ring(t), func() int { return schema })
}

// halves writes both halves of a hold.
func halves(t testing.TB, s *record.Scribe, h quarantine.Hold) (fixed, state []byte) {
	t.Helper()
	fixed, err := s.Fixed(h)
	if err != nil {
		t.Fatal(err)
	}
	state, err = s.State(h, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fixed, state
}

func sample(n int) quarantine.Hold {
	h := storetest.Hold(n, "body")
	h.State, h.Version = quarantine.Releasing, 7
	h.Release = &quarantine.Release{By: "me", At: storetest.Start, Attempts: 2, Next: storetest.Start.Add(time.Minute)}
	return h
}

// Every schema is read whichever is written.
func TestSchemas(t *testing.T) {
	sizes := map[int]int{}
	for _, write := range []int{record.JSON, record.Packed} {
		for n := range 20 {
			want := sample(n)
			fixed, state := halves(t, scribe(t, write), want)
			sizes[write] = len(fixed) + len(state)
			for _, reader := range []int{record.JSON, record.Packed} {
				got, err := scribe(t, reader).Read(want.ID, fixed, state)
				if d := cmp.Diff(want, got); d != "" || err != nil {
					t.Fatalf("written as %d: %v\n%s", write, err, d)
				}
			}
		}
	}
	t.Logf("bytes of a record: %d as JSON, %d packed", sizes[record.JSON], sizes[record.Packed])
	if sizes[record.Packed] >= sizes[record.JSON] {
		t.Errorf("packing gains nothing: %v", sizes)
	}
}

// What is written is what the first byte says, and what changes is not in the fixed half.
func TestFirstByte(t *testing.T) {
	h := sample(1)
	fixed, state := halves(t, scribe(t, record.JSON), h)
	for _, half := range [][]byte{fixed, state} {
		text, err := redistest.Ring(t).Open("hold", h.ID, half)
		if err != nil {
			text, err = redistest.Ring(t).Open("hold-state", h.ID, half)
		}
		if err != nil || text[0] != '{' || !json.Valid(text) {
			t.Errorf("%q, %v", text, err)
		}
	}
	for _, field := range []string{`"state"`, `"version"`, `"release"`, `"ended"`, `"expires"`} {
		if bytes.Contains(fixed, []byte(field)) {
			t.Errorf("%s stands in what never changes", field)
		}
	}
}

// What a newer version wrote beside what we know survives our change.
func TestUnknownFields(t *testing.T) {
	h := sample(1)
	newer := redistest.Ring(t).Seal("hold-state", h.ID, []byte(`{"state":"held","version":3,"expires":"2026-12-22T12:00:00Z","why":{"deep":[1,2]},"ended":{"by":"x"},"z":null}`))
	for _, write := range []int{record.JSON, record.Packed} {
		h.State, h.Release = quarantine.Held, nil
		state, err := scribe(t, write).State(h, newer)
		if err != nil {
			t.Fatal(err)
		}
		fixed, err := scribe(t, write).Fixed(h)
		if err != nil {
			t.Fatal(err)
		}
		got, err := scribe(t, write).Read(h.ID, fixed, state)
		if d := cmp.Diff(h, got); d != "" || err != nil {
			t.Errorf("%v\n%s", err, d)
		}
		again, err := scribe(t, record.JSON).State(got, state)
		if err != nil || !bytes.Contains(again, []byte(`"why":{"deep":[1,2]}`)) || !bytes.Contains(again, []byte(`"z":null`)) || bytes.Contains(again, []byte(`"ended"`)) {
			t.Errorf("%q, %v", again, err)
		}
	}
	for _, junk := range []string{`[]`, `{}`, `"x"`, ``} {
		state, err := scribe(t, record.JSON).State(h, redistest.Ring(t).Seal("hold-state", h.ID, []byte(junk)))
		if err != nil || !bytes.Contains(state, []byte(`"held"`)) {
			t.Errorf("over %s: %q, %v", junk, state, err)
		}
	}
}

// Nothing that was not sealed by us under this very name is a hold.
func TestForged(t *testing.T) {
	s := scribe(t, record.Packed)
	a, b := sample(1), sample(2)
	fixedA, stateA := halves(t, s, a)
	fixedB, stateB := halves(t, s, b)
	ring := redistest.Ring(t)
	for name, c := range map[string]struct{ fixed, state []byte }{
		"nothing":               {nil, nil},
		"no state":              {fixedA, nil},
		"another's state":       {fixedA, stateB},
		"another's record":      {fixedB, stateA},
		"halves exchanged":      {stateA, fixedA},
		"cut":                   {fixedA[:len(fixedA)-1], stateA},
		"another schema":        {ring.Seal("hold", a.ID, []byte{9, 1}), stateA},
		"empty":                 {ring.Seal("hold", a.ID, nil), stateA},
		"broken frame":          {ring.Seal("hold", a.ID, []byte("\x02frame")), stateA},
		"no JSON":               {ring.Seal("hold", a.ID, []byte("{")), stateA},
		"state no JSON":         {fixedA, ring.Seal("hold-state", a.ID, []byte("{"))},
		"record of another ID":  {ring.Seal("hold", a.ID, []byte(`{"id":"other-00"}`)), stateA},
		"state that is no word": {fixedA, ring.Seal("hold-state", a.ID, []byte(`{"state":"flying"}`))},
	} {
		if h, err := s.Read(a.ID, c.fixed, c.state); !errors.Is(err, sealed.ErrForged) && !errors.Is(err, record.ErrRecord) {
			t.Errorf("%s: %s, %v", name, h.ID, err)
		}
	}
	for i := range fixedA {
		bad := bytes.Clone(fixedA)
		bad[i] ^= 1
		if _, err := s.Read(a.ID, bad, stateA); err == nil {
			t.Errorf("byte %d changed and nobody saw it", i)
		}
	}
}

// A record made of zeros unpacks to no more than a record may have.
func TestBomb(t *testing.T) {
	h := sample(1)
	h.Subject = strings.Repeat("a", 8<<20)
	fixed, state := halves(t, scribe(t, record.Packed), h)
	if _, err := scribe(t, record.Packed).Read(h.ID, fixed, state); !errors.Is(err, record.ErrRecord) {
		t.Errorf("%d bytes unpacked to a record: %v", len(fixed), err)
	}
}

func TestClock(t *testing.T) {
	s := scribe(t, record.Packed)
	sealedTime := s.Clock("a", storetest.Start)
	if got, err := s.ReadClock("a", sealedTime); !got.Equal(storetest.Start) || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := s.ReadClock("b", sealedTime); !errors.Is(err, sealed.ErrForged) {
		t.Errorf("the clock of another name: %v", err)
	}
}

func TestParseID(t *testing.T) {
	for id, want := range map[string]record.ID{
		"other-00": {Message: "other", Number: "00"}, "01jd9x00000000000000000001-100": {Message: "01jd9x00000000000000000001", Number: "100"}, "a-b-07": {Message: "a-b", Number: "07"},
	} {
		got, ok := record.ParseID(id)
		if got != want || !ok || got.String() != id {
			t.Errorf("%s: %+v, %v", id, got, ok)
		}
	}
	for _, id := range []string{"", "-", "a", "a-", "-00", "a}-00", "a{-00", "a:b-00", "a b-00", "ä-00", "a-0x", "a\x00-00", strings.Repeat("a", 100) + "-00"} {
		if got, ok := record.ParseID(id); ok {
			t.Errorf("%q: %+v", id, got)
		}
	}
}

func TestPack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		digits := rapid.SliceOfN(rapid.IntRange(0, 31), 26, 26)
		id := func(label string) string {
			d := digits.Draw(rt, label)
			d[0] &= 3 // "7z" is the year 10889, and stands as text
			var b strings.Builder
			for _, n := range d {
				b.WriteByte("0123456789abcdefghjkmnpqrstvwxyz"[n])
			}
			return fmt.Sprintf("%s-%02d", b.String(), rapid.IntRange(0, 999).Draw(rt, "number"))
		}
		a, b := id("a"), id("b")
		pa, pb := record.Pack(a), record.Pack(b)
		if record.Unpack(pa) != a || len(pa) > 18 {
			rt.Fatalf("%s became %x became %s", a, pa, record.Unpack(pa))
		}
		if a[:26] != b[:26] && (a < b) != (pa < pb) {
			rt.Fatalf("%s and %s change places", a, b)
		}
	})
	for _, id := range []string{"other-00", "none-00", "", "x", "zzzzzzzzzzzzzzzzzzzzzzzzzz-00", "01jd9x00000000000000000001-007", "01JD9X00000000000000000001-00", "01jd9x00000000000000000001-1000"} {
		if got := record.Unpack(record.Pack(id)); got != id {
			t.Errorf("%q became %q", id, got)
		}
	}
	for _, junk := range []string{"", "short", strings.Repeat("\x01", 16), strings.Repeat("\x01", 40)} {
		if got := record.Unpack(junk); got != "" {
			t.Errorf("%x became %q", junk, got)
		}
	}
	numbers := []string{}
	for n := range 1000 {
		numbers = append(numbers, record.Pack(fmt.Sprintf("01jd9x00000000000000000001-%02d", n)))
	}
	if !slices.IsSorted(numbers) {
		t.Error("the numbers of one message are not in order")
	}
}
