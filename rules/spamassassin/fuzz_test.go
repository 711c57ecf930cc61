package spamassassin_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"postern/rules"
	"postern/rules/book"
	"postern/rules/spamassassin"
)

// seeds are files with what is hard about them.
func seeds() []string {
	return []string{
		"body A /x(?!y)/i\nscore A 1\ndescribe A It's: \"one\" # two\nmeta B A + !A > 1\nheader C X !~ /a/ [if-unset: b]",
		"tflags A multiple\nbody A /\\x00[\\x80-\\xff]'/\nmeta B A > 3\nuri C m{a}x\nheader D exists:Foo\nfull E /\\n/",
		"replace_tag A [a]\nreplace_rules R\nbody R /<A>b<A>/\nmimeheader M X =~ /\xff/\nrawbody W /\\Q'\\E/",
		"body __ /x/\nbody __a /y/\nbody __A /z/\nscore __A -1000\nmeta C __A - __a >= 0",
	}
}

func taken(t *testing.T, src []byte) *spamassassin.Result {
	t.Helper()
	res, err := spamassassin.Import(fstest.MapFS{"a.cf": {Data: src}}, spamassassin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// What is written loads.
func TestImportedFilesLoad(t *testing.T) {
	for _, src := range seeds() {
		dir := t.TempDir()
		res := taken(t, []byte(src))
		for name, text := range res.Files {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := rules.Load(dir); err != nil {
			t.Errorf("%v\n%s", err, res.Files)
		}
	}
}

// FuzzImport: whatever the files say, what is written can be read. Compiling it takes too long for
// every input.
func FuzzImport(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		res := taken(t, src)
		layer := fstest.MapFS{}
		for name, text := range res.Files {
			layer[name] = &fstest.MapFile{Data: text}
		}
		if _, err := book.Read(book.Layer{Name: "m", FS: layer}); err != nil {
			t.Errorf("%v\n%s", err, res.Files)
		}
	})
}

func TestReportIsByPlace(t *testing.T) {
	res, err := spamassassin.Import(fstest.MapFS{
		"b.cf": {Data: []byte("body A eval:one()\n")},
		"a.cf": {Data: []byte("body C eval:two()\nbody B eval:three()\n")},
	}, spamassassin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"C", "B", "A"}
	for i, e := range res.Report.Refused {
		if e.Rule != want[i] {
			t.Errorf("%d is %s, want %s", i, e.Rule, want[i])
		}
	}
	if len(res.Report.Refused) != len(want) || len(res.Files) != 0 {
		t.Errorf("%v %v", res.Report.Refused, res.Files)
	}
}
