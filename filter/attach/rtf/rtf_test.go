package rtf_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/filter/attach/rtf"
	"postern/internal/mailtest"
	"postern/internal/mailtest/samples"
)

// The bytes of an object come out as Word decodes them, whatever stands between the digits.
func TestObjects(t *testing.T) {
	for name, x := range map[string]struct{ letter, data, loose string }{
		"plain":                 {`{\rtf1{\object{\*\objdata 01050a}}}`, "01050a", ""},
		"letters of both sizes": {`{\rtf1{\object{\*\objdata aBcDEf}}}`, "abcdef", ""},
		"no mark":               {`{\rtf1{\object{\objdata 0105}}}`, "0105", ""},
		"no group of its own":   {`{\rtf1\objdata 0105}`, "0105", ""},
		"a number":              {`{\rtf1{\*\objdata9 0105}}`, "0105", ""},
		"white space":           {"{\\rtf1{\\*\r\n\\objdata\r\n 0 1\t0\n5}}", "0105", ""},
		"more white space":      {"{\\rtf1{\\* \t\\objdata 0\v1\f05}}", "0105", ""},
		"junk":                  {`{\rtf1{\*\objdata 0xyz1-0 5!}}`, "0105", ""},
		"words":                 {`{\rtf1{\*\objdata 01\foo\bar77 05}}`, "0105", ""},
		"a word eats digits":    {`{\rtf1{\*\objdata 01\foo7705 02}}`, "0102", ""},
		"a negative number":     {`{\rtf1{\*\objdata 01\foo-77 05}}`, "0105", ""},
		"symbols":               {`{\rtf1{\*\objdata 01\~\-\_05}}`, "0105", ""},
		"a long word":           {`{\rtf1{\*\objdata 01\` + strings.Repeat("objdata", 100) + ` 05}}`, "0105", ""},
		"groups":                {`{\rtf1{\*\objdata 0{1}{{0}\b{5}}}}`, "0105", ""},
		"hidden groups":         {`{\rtf1{\*\objdata 01{\*\hidden ff{\b ff}}05}}`, "0105", "01ffff05"},
		"hidden without a mark": {`{\rtf1{\*\objdata 01{\author ff}05}}`, "0105", "01ff05"},
		"a mark too late":       {`{\rtf1{\*\objdata 01{\b\*\late 05}}}`, "0105", ""},
		"escape, even":          {`{\rtf1{\*\objdata 01\'ff05}}`, "0105", ""},
		"escape, odd":           {`{\rtf1{\*\objdata 010\'ff5`, "01", "0105"},
		"escape of no digits":   {`{\rtf1{\*\objdata 01\'}}05}}`, "0105", ""},
		"bytes":                 {"{\\rtf1{\\*\\objdata 01\\bin2 \x05}02}}", "01057d02", ""},
		"no bytes":              {`{\rtf1{\*\objdata 01\bin 05}}`, "0105", ""},
		"fewer than none":       {`{\rtf1{\*\objdata 01\bin-2 05}}`, "0105", ""},
		"more than there are":   {`{\rtf1{\*\objdata 01\bin99999999999999999999 05}}`, "0105", ""},
		"an open end":           {`{\rtf1{\*\objdata 0105`, "0105", ""},
		"half a byte":           {`{\rtf1{\*\objdata 01050}}`, "0105", ""},
		"ends before":           {`}}}{\rtf1}{\*\objdata 0105}`, "0105", ""},
		"in a group to skip":    {`{\rtf1{\*\abc{\object{\*\objdata 0105}}}}`, "0105", ""},
		"a link of Unicode":     {`{\rtf1{\*\objdata 01\u65 05}}`, "0105", ""},
	} {
		if x.loose == "" {
			x.loose = x.data
		}
		got := rtf.Read([]byte(x.letter))
		if len(got.Objects) != 1 || got.Cut {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		o := got.Objects[0]
		if data, loose := hex.EncodeToString(o.Data), hex.EncodeToString(o.Loose); data != x.data || loose != x.loose {
			t.Errorf("%s: %s and %s, want %s and %s", name, data, loose, x.data, x.loose)
		}
	}
}

// What only looks like an object is none.
func TestNoObjects(t *testing.T) {
	for _, letter := range []string{
		"", `\`, `{`, `}`, `{\rtf1 hello}`, `{\rtf1 objdata 0105}`, `{\rtf1\\objdata 0105}`, `{\rtf1\objdatas 0105}`, `{\rtf1\OBJDATA 0105}`,
		`{\rtf1\bin15 {\*\objdata 01}}`, `{\rtf1\'`, `{\rtf1\'4`, `{\rtf1\*`,
	} {
		if got := rtf.Read([]byte(letter)); len(got.Objects) != 0 || got.Updates || got.Links || got.Cut || got.Template != "" {
			t.Errorf("%q: %+v", letter, got)
		}
	}
}

func TestClasses(t *testing.T) {
	for letter, want := range map[string]string{
		`{\rtf1{\object{\*\objclass Equation.3}{\*\objdata 01}}}`:                                  "Equation.3",
		`{\rtf1{\object{\*\objclass  Equ\'61tion{\b .3}}{\*\objdata 01}}}`:                         "Equation.3",
		`{\rtf1{\object{\*\objclass Equation{\*\x y}.3}{\*\objdata 01}}}`:                          "Equation.3",
		`{\rtf1{\object{\*\objdata 01}{\*\objclass Equation.3}}}`:                                  "Equation.3",
		`{\rtf1{\object{\*\objdata 01}}}`:                                                          "",
		`{\rtf1{\object{\*\objclass A}}{\object{\*\objdata 01}}}`:                                  "",
		`{\rtf1{\object{\*\objclass A}{\*\objdata 01}}{\object{\*\objdata 02}}}`:                   "A,",
		`{\rtf1{\object{\*\objclass A}{\*\objdata 01}}{\object{\*\objclass B}{\*\objdata 02}}}`:    "A,B",
		`{\rtf1{\object{\*\objclass ` + strings.Repeat("A", 5000) + `}{\*\objdata 01}}}`:           strings.Repeat("A", 4096),
		`{\rtf1{\object\objemb{\*\objclass \u69 ?quation.3}{\*\objdata 01}}}`:                      "Equation.3",
		`{\rtf1{\object\objemb{\uc0{\*\objclass \u69 quation.3}}{\*\objdata 01}}}`:                 "Equation.3",
		`{\rtf1{\object\objemb{\uc3{\*\objclass \u69 \'45abquation.3}}{\*\objdata 01}{\*\x 1}}}`:   "Equation.3",
		`{\rtf1{\object{\*\objclass A}{\*\objname n}{\*\objdata 01{\*\objclass B}02}{\result r}}}`: "A",
	} {
		var got []string
		for _, o := range rtf.Read([]byte(letter)).Objects {
			got = append(got, o.Class)
		}
		if strings.Join(got, ",") != want {
			t.Errorf("%.80s: %q, want %q", letter, got, want)
		}
	}
}

func TestTemplatesAndFields(t *testing.T) {
	for letter, want := range map[string]string{
		`{\rtf1{\*\template http://a.example/x}}`:                    "http://a.example/x",
		`{\rtf1{\*\template ` + "\r\n" + `http:` + "\n" + `//a/x }}`: "http://a/x",
		`{\rtf1{\*\template \'68ttp://a/x}}`:                         "http://a/x",
		`{\rtf1{\*\template \u-65432?ttp://a/x}}`:                    "http://a/x",
		`{\rtf1{\*\template {\b ht}tp{\*\x no}://a/x}}`:              "http://a/x",
		`{\rtf1{\*\template C:\\x.dot}}`:                             `C:\x.dot`,
		`{\rtf1{\template http://a/x} and more}`:                     "http://a/x",
		`{\rtf1{\template\'zz1}}`:                                    "zz1",
		`{\rtf1 template http://a/x}`:                                "",
	} {
		if got := rtf.Read([]byte(letter)).Template; got != want {
			t.Errorf("%s: %q, want %q", letter, got, want)
		}
	}
	for letter, want := range map[string]string{
		`{\rtf1{\field{\*\fldinst DDEAUTO cmd}{\fldrslt x}}}`:                     " DDEAUTO cmd",
		`{\rtf1{\field{\*\fldinst {\b DDE}{\i AUTO} c:\\x}}{\field{\fldinst P}}}`: ` DDEAUTO c:\x P`,
		`{\rtf1{\field{\fldrslt DDEAUTO}}}`:                                       "",
	} {
		if got := string(rtf.Read([]byte(letter)).Fields); got != want {
			t.Errorf("%s: %q, want %q", letter, got, want)
		}
	}
}

func TestWhatActs(t *testing.T) {
	for letter, want := range map[string]string{
		`{\rtf1{\object\objupdate{\*\objdata 01}}}`:         "true false",
		`{\rtf1{\object\objautlink{\*\objdata 01}}}`:        "false true",
		`{\rtf1{\object{\*\objdata 01\objupdate 02}}}`:      "true false",
		`{\rtf1{\object\objlink{\*\objdata 01}}}`:           "false false",
		`{\rtf1{\object\objemb\objupdates{\*\objdata 01}}}`: "false false",
	} {
		got := rtf.Read([]byte(letter))
		if s := fmt.Sprint(got.Updates, got.Links); s != want {
			t.Errorf("%s: %s, want %s", letter, s, want)
		}
	}
}

// Each bound holds, and is said.
func TestBounds(t *testing.T) {
	object := `{\object{\*\objdata 0105}}`
	for name, x := range map[string]struct {
		letter string
		want   int
	}{
		"many objects":  {`{\rtf1` + strings.Repeat(object, rtf.MaxObjects+5), rtf.MaxObjects},
		"deep":          {`{\rtf1` + strings.Repeat("{", rtf.MaxDepth+5) + object + strings.Repeat("}", rtf.MaxDepth+5) + object, 2},
		"large":         {`{\rtf1` + strings.Repeat(" ", rtf.MaxBytes) + object, 0},
		"large objects": {`{\rtf1{\*\objdata ` + strings.Repeat("01", 5<<20) + "}" + "{\\*\\objdata \\bin5000000 " + strings.Repeat("a", 5_000_000) + "}", 2},
	} {
		got := rtf.Read([]byte(x.letter))
		total := 0
		for _, o := range got.Objects {
			total += len(o.Loose)
		}
		if len(got.Objects) != x.want || !got.Cut || total > 8<<20 {
			t.Errorf("%s: %d objects of %d bytes, cut: %v", name, len(got.Objects), total, got.Cut)
		}
	}
	fields := rtf.Read([]byte(`{\rtf1{\fldinst ` + strings.Repeat("x", 1<<20) + `}`)).Fields
	if len(fields) > 1<<16 {
		t.Errorf("%d bytes of fields", len(fields))
	}
	if got := rtf.Read([]byte(`{\rtf1` + strings.Repeat("{", rtf.MaxDepth-3) + object)); got.Cut || len(got.Objects) != 1 {
		t.Errorf("below the bound: %d objects, cut: %v", len(got.Objects), got.Cut)
	}
}

// A large object comes out whole.
func TestWhole(t *testing.T) {
	want := bytes.Repeat(samples.PE(), 1000)
	got := rtf.Read(samples.RTF(`\objemb\objw100`, want))
	if len(got.Objects) != 1 || !bytes.Equal(got.Objects[0].Data, want) || !bytes.Equal(got.Objects[0].Loose, want) || got.Cut {
		t.Errorf("%d objects", len(got.Objects))
	}
}

// TestRealFiles reads the rich texts of the public suites: what people wrote holds nothing that acts.
func TestRealFiles(t *testing.T) {
	dir := mailtest.Suites(t, "tnef")
	seen := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(d.Name(), ".rtf") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		seen++
		if got := rtf.Read(b); len(got.Objects) != 0 || got.Updates || got.Template != "" || got.Cut {
			t.Errorf("%s: %+v", path, got)
		}
		return nil
	})
	if err != nil || seen == 0 {
		t.Errorf("%d rich texts, %v", seen, err)
	}
}

// BenchmarkRead reads a letter of a megabyte of words, and one of an object.
func BenchmarkRead(b *testing.B) {
	words := []byte(`{\rtf1\ansi ` + strings.Repeat(`{\b The minutes} of the meeting, which went on for long.\par `, 17000) + "}")
	for name, letter := range map[string][]byte{"words": words, "object": samples.RTF("", make([]byte, 500_000))} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(letter)))
			b.ReportAllocs()
			for b.Loop() {
				rtf.Read(letter)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{\rtf1{\object\objupdate{\*\objclass Equation.3}{\*\objdata 01{\*\x 02}\'ff0\bin1 a05}}}`))
	f.Add([]byte(`{\rtf1{\*\template \u-65432?\uc0\'74tp://a}{\fldinst DDEAUTO}}`))
	f.Add(samples.RTF(`\objocx`, samples.Package("a.exe", samples.PE())))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := rtf.Read(b)
		if len(got.Objects) > rtf.MaxObjects {
			t.Errorf("%d objects", len(got.Objects))
		}
		for _, o := range got.Objects {
			if len(o.Data) > len(b) || len(o.Loose) > len(b) {
				t.Errorf("%d and %d bytes of a letter of %d", len(o.Data), len(o.Loose), len(b))
			}
		}
		if len(got.Template) > 2*len(b) || len(got.Fields) > 2*len(b) {
			t.Error("more text than there is")
		}
	})
}
