package tnef_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postern/internal/mailtest"
	"postern/internal/mailtest/samples"
	"postern/internal/mime/tnef"
)

const most = 100

// TestSuite takes the public samples apart and wants the files that their lists name. Texts have
// no name here; theirs is the sample's with "-body" in it.
func TestSuite(t *testing.T) {
	dir := filepath.Join(mailtest.Suites(t, "tnef/verdammelt-tnef"), "datafiles")
	samples, err := filepath.Glob(filepath.Join(dir, "*.tnef"))
	if err != nil || len(samples) != 15 {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	for _, path := range samples {
		name := strings.TrimSuffix(filepath.Base(path), ".tnef")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		list, err := os.ReadFile(strings.TrimSuffix(path, ".tnef") + ".list")
		if err != nil {
			t.Fatal(err)
		}
		got := tnef.Read(data, most)
		var have []string
		for _, f := range got.Files {
			switch {
			case len(f.Names) > 0:
				have = append(have, f.Names...)
			case f.Type == "text/html":
				have = append(have, name+"-body.html")
			case f.Type == "application/rtf":
				have = append(have, name+"-body.rtf")
				if !bytes.HasPrefix(f.Data, []byte(`{\rtf`)) {
					t.Errorf("%s: a rich text begins with %.20q", name, f.Data)
				}
			}
		}
		want := strings.Fields(strings.ReplaceAll(string(list), "Untitled_Attachment", ""))
		for _, w := range want {
			if !slices.Contains(have, w) {
				t.Errorf("%s: no %s among %q", name, w, have)
			}
		}
		t.Logf("| %s | %s | %q broken %v |", name, strings.Join(want, ", "), have, got.Broken)
	}
}

// TestContents compares what was taken out with what the files are.
func TestContents(t *testing.T) {
	base := mailtest.Suites(t, "tnef/verdammelt-tnef")
	for sample, names := range map[string][]string{
		"two-files": {"AUTHORS", "README"}, "data-before-name": {"AUTOEXEC.BAT", "CONFIG.SYS", "boot.ini"}, "unicode-mapi-attr-name": {"image001.png", "spaconsole2.cfg"},
		"MAPI_ATTACH_DATA_OBJ": {"VIA_Nytt_1402.doc", "VIA_Nytt_1402.pdf"}, "unicode-mapi-attr": {"example.dat"},
	} {
		data, err := os.ReadFile(filepath.Join(base, "datafiles", sample+".tnef"))
		if err != nil {
			t.Fatal(err)
		}
		got := tnef.Read(data, most)
		for _, name := range names {
			want, err := os.ReadFile(filepath.Join(base, "baselines", name+".baseline"))
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(got.Files, func(f tnef.File) bool { return slices.Contains(f.Names, name) })
			if i < 0 || !bytes.Equal(got.Files[i].Data, want) {
				t.Errorf("%s: %s differs from what it is (found at %d)", sample, name, i)
			}
		}
	}
}

func TestBuilt(t *testing.T) {
	html := "<html><p>hello"
	whole := samples.TNEF(html, samples.Text("a.exe", "MZ"), samples.Text("b.txt", "text"))
	got := tnef.Read(whole, most)
	if got.Broken || got.Many || len(got.Files) != 3 {
		t.Fatalf("%+v", got)
	}
	if f := got.Files[0]; f.Type != "text/html" || string(f.Data) != html || f.Charset != "utf-8" {
		t.Errorf("%+v", f)
	}
	if f := got.Files[1]; !slices.Equal(f.Names, []string{"a.exe"}) || string(f.Data) != "MZ" {
		t.Errorf("%+v", f)
	}
	inner := tnef.Read(samples.TNEF("", samples.Member{Name: "x", Data: samples.TNEF("", samples.Text("in.exe", "MZ"))}), most)
	if len(inner.Files) != 1 {
		t.Errorf("a file that is a wrapping is a file: %+v", inner)
	}
	if got := tnef.Read(whole, 1); !got.Many || len(got.Files) != 1 {
		t.Errorf("%+v", got)
	}
	for cut := range len(whole) {
		if got := tnef.Read(whole[:cut], most); len(got.Files) > 3 {
			t.Fatalf("cut at %d: %+v", cut, got)
		}
	}
	if got := tnef.Read(whole[:len(whole)-4], most); !got.Broken {
		t.Error("what is cut off is not said")
	}
	if got := tnef.Read(append(bytes.Clone(whole), "garbage"...), most); got.Broken || len(got.Files) != 3 {
		t.Errorf("garbage at the end: %+v", got)
	}
	if !tnef.Is(whole) || tnef.Is(nil) {
		t.Error("Is")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(samples.TNEF("<html>", samples.Text("a.exe", "MZ")))
	f.Add([]byte(tnef.Magic + "\x01\x00\x02\x05\x90\x06\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := tnef.Read(b, 10)
		total := 0
		for _, x := range c.Files {
			total += len(x.Data)
		}
		if len(c.Files) > 10 || total > 50<<20 {
			t.Errorf("%d files, %d bytes", len(c.Files), total)
		}
	})
}
