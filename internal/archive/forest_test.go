package archive_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/internal/archive"
	"postern/internal/mailtest/samples"
)

// forms are the ways to pack members, all of which are read.
func forms(t testing.TB) map[string]func([]samples.Member) []byte {
	streams := func(list []samples.Member) (all []byte, each [][]byte) {
		for _, m := range list {
			all = append(all, m.Data...)
			each = append(each, samples.Literals(m.Data))
		}
		return all, each
	}
	contents := func(list []samples.Member) []content {
		var out []content
		for _, m := range list {
			out = append(out, content{m.Name, m.Data})
		}
		return out
	}
	// A zip that is stored at the end of another archive is found twice: as what it is, and as an end.
	padded := func(l []samples.Member) []samples.Member {
		return append(slices.Clone(l), samples.Text("pad", strings.Repeat("-", 70_000)))
	}
	return map[string]func([]samples.Member) []byte{
		"zip":     func(l []samples.Member) []byte { return zipped(t, contents(l)...) },
		"tar":     func(l []samples.Member) []byte { return tarred(t, contents(padded(l))...) },
		"tar.gz":  func(l []samples.Member) []byte { return gzipped(t, tarred(t, contents(l)...)) },
		"rar":     func(l []samples.Member) []byte { return samples.RAR(samples.Packing{}, padded(l)...) },
		"old rar": func(l []samples.Member) []byte { return samples.OldRAR(0, 0, padded(l)...) },
		"packed rar": func(l []samples.Member) []byte {
			_, each := streams(l)
			return samples.RAR(samples.Packing{Method: 3, Streams: each}, l...)
		},
		"7z": func(l []samples.Member) []byte { return samples.Seven(samples.Packing{}, padded(l)...) },
		"packed 7z": func(l []samples.Member) []byte {
			all, _ := streams(l)
			coder, packed := samples.LZMA(all)
			return samples.Seven(samples.Packing{Coder: coder, Streams: [][]byte{packed}}, l...)
		},
		"disk": func(l []samples.Member) []byte {
			return samples.Disk(append(l, samples.Text("pad", strings.Repeat("-", 70_000)))...)
		},
	}
}

// TestForests packs texts into archives of any form, and those into others: each text is shown
// under its whole name, once, and nothing is said of any of them.
func TestForests(t *testing.T) {
	forms := forms(t)
	kinds := make([]string, 0, len(forms))
	for k := range forms {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	rapid.Check(t, func(t *rapid.T) {
		want := map[string]string{}
		serial := 0
		var grow func(name string, depth int) []byte
		grow = func(name string, depth int) []byte {
			form := rapid.SampledFrom(kinds).Draw(t, "form")
			var members []samples.Member
			for i := range rapid.IntRange(1, 3).Draw(t, "members") {
				m := samples.Member{Name: fmt.Sprintf("m%d.txt", i)}
				if depth < 3 && rapid.Bool().Draw(t, "an archive") {
					m.Name = fmt.Sprintf("m%d.bin", i)
					m.Data = grow(name+"!"+m.Name, depth+1)
				} else {
					serial++
					m.Data = []byte(fmt.Sprintf("text %d ", serial) + rapid.StringMatching("[a-z ]{0,40}").Draw(t, "text"))
					want[name+"!"+m.Name] = string(m.Data)
				}
				members = append(members, m)
			}
			return forms[form](members)
		}
		b := grow("a", 1)
		got := map[string]string{}
		f, err := archive.Walk(t.Context(), "a", bytes.NewReader(b), int64(len(b)), archive.Limits{}, func(e archive.Entry, head []byte) {
			if !strings.HasSuffix(e.Name, "!pad") {
				got[e.Name] = string(head)
			}
		})
		if err != nil || bad(f) != "" {
			t.Fatalf("%v %+v", err, f)
		}
		for name, text := range want {
			if got[name] != text {
				t.Errorf("%s: %q, want %q (of %v)", name, got[name], text, f.Entries)
			}
		}
	})
}

// TestLocksInForests puts a locked archive of each form below one of each other: it is seen, and its
// names are as far as the form shows them.
func TestLocksInForests(t *testing.T) {
	m := samples.Member{Name: "order.exe", Data: []byte("MZ")}
	for name, lock := range map[string]struct {
		b     []byte
		shows bool
	}{
		"zip":              {samples.Locked(zipped(t, content{m.Name, m.Data})), true},
		"rar":              {samples.RAR(samples.Packing{Locked: true}, m), true},
		"old rar":          {samples.OldRAR(0, samples.RARFilePass, m), true},
		"old rar, headers": {samples.OldRAR(samples.RARLocked, 0, m), false},
		"7z":               {samples.Seven(samples.Packing{Locked: true}, m), true},
	} {
		for form, pack := range forms(t) {
			f := walk(t, pack([]samples.Member{{Name: "in.bin", Data: lock.b}}), archive.Limits{})
			if len(f.Encrypted) != 1 || f.Bomb != "" || len(f.Unreadable) > 0 {
				t.Errorf("%s in %s: %+v", name, form, f)
			}
			if shows := strings.Contains(names(f), "a!in.bin!order.exe"); shows != lock.shows {
				t.Errorf("%s in %s: %q", name, form, names(f))
			}
		}
	}
}

// TestBombsInForests: a member that expands beyond the ratio is one in every form that can pack it.
func TestBombsInForests(t *testing.T) {
	zeros := samples.Member{Name: "zeros", Data: make([]byte, 6<<20)}
	coder, packed := samples.LZMA(zeros.Data)
	for name, bomb := range map[string][]byte{
		"zip":  zipped(t, content{zeros.Name, zeros.Data}),
		"gzip": gzipped(t, zeros.Data),
		"7z":   samples.Seven(samples.Packing{Coder: coder, Streams: [][]byte{packed}}, zeros),
	} {
		for form, pack := range forms(t) {
			f := walk(t, pack([]samples.Member{{Name: "in.bin", Data: bomb}}), archive.Limits{})
			if !strings.Contains(f.Bomb, "more than 100 times") || f.Expanded > 10<<20 {
				t.Errorf("%s in %s: %+v", name, form, f)
			}
		}
	}
}
