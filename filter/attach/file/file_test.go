package file_test

import (
	"slices"
	"strings"
	"testing"

	"postern/filter/attach/file"
	"postern/internal/mailtest/samples"
)

func describe(f file.Facts) string {
	out := []string{string(f.Class)}
	for word, is := range map[string]bool{"differs": f.Differs && !f.Disguised(), "disguised": f.Disguised(), "double": f.Double, "hidden": f.Hidden != "", "odd": f.Odd} {
		if is {
			out = append(out, word)
		}
	}
	slices.Sort(out[1:])
	return strings.Join(out, " ")
}

func TestOf(t *testing.T) {
	pe, lnk, zip, png, ole := samples.PE(), samples.LNK(), samples.Zip(samples.Text("a", "b")), samples.PNG(), samples.Compound(nil, samples.Text("a", "b"))
	page, text, pdf := []byte("<html>"), []byte("hello"), samples.PDF()
	for _, x := range []struct {
		name, typ string
		data      []byte
		want      string
	}{
		{"setup.exe", "", pe, "program"}, {"setup.exe", "", nil, "program"}, {"", "", pe, "program"},
		{"photo.jpg", "", pe, "program disguised"}, {"notes.txt", "", pe, "program disguised"}, {"a.docx", "", pe, "program disguised"},
		{"a.bin", "image/jpeg", pe, "program disguised"}, {"a.exe", "image/jpeg", pe, "program disguised"}, {"a.exe", "audio/x-wav", text, "program disguised"},
		{"a.dat", "application/octet-stream", pe, "program"}, {"a.zip", "", pe, "program"},
		{"a.pdf", "", lnk, "shortcut disguised"}, {"a.lnk", "", lnk, "shortcut"}, {"a.url", "", []byte("[InternetShortcut]"), "shortcut"},
		{"a.iso", "", samples.ISO(), "disk-image"}, {"a.pdf", "", samples.ISO(), "disk-image disguised"}, {"a.img", "", zip, "archive"},

		{"a.html", "", page, "page"}, {"a.pdf", "", page, "page disguised"}, {"a.jpg", "", page, "page disguised"}, {"a.xls", "", page, "page"},
		{"a.txt", "", page, "text"}, {"a.php", "", page, "code"}, {"a.hta", "", page, "script"}, {"a.bin", "text/html", page, "page"},
		{"a.jpg", "", png, "picture"}, {"a.pdf", "", png, "picture differs"}, {"a.bin", "application/pdf", png, "picture differs"},
		{"a.jpg", "", zip, "archive differs"}, {"a.docx", "", zip, "office"}, {"a.jar", "", zip, "program"}, {"a.zip", "", zip, "archive"},
		{"a.doc", "", ole, "office"}, {"a.docm", "", ole, "macro"}, {"a.jpg", "", ole, "picture"}, {"a.msi", "", ole, "program"}, {"a.pdf", "", ole, "office differs"},
		{"a.zip", "", []byte("Rar!\x1a\x07\x00"), "archive"}, {"a.pdf", "", pdf, "pdf"}, {"a.doc", "", pdf, "pdf differs"}, {"a.txt", "", pdf, "pdf"},
		{"a.py", "", []byte("#!/usr/bin/python"), "code"}, {"a.js", "", text, "script"}, {"a.svg", "image/svg+xml", []byte("<svg>"), "page"},
		{"notes.txt", "text/plain", text, "text"}, {"notes", "", text, ""}, {"Re: a.example.org", "", text, ""},

		{"a.pdf.exe", "", pe, "program double"}, {"a.jpg   .scr", "", pe, "program double"}, {"a.v2.exe", "", pe, "program"}, {"a.exe.txt", "", text, "text"},
		{"a.pdf                    .exe", "", pe, "program double hidden"}, {"a                    b.pdf", "", pdf, "pdf"},
		{"a\u202efdp.exe", "", pe, "program hidden"}, {"\u202dреферат", "", text, ""}, {"a.exe. ", "", pe, "program"}, {"dir/a.exe", "", pe, "program"}, {`b!c\a.exe`, "", pe, "program"},
		{"a.ace", "", text, "archive odd"}, {"a.r07", "", text, " odd"}, {"a.bin", "", []byte("\x60\xea\x30\x00\x22\x00\x00\x00\x00\x00"), "archive odd"}, {"a.tar.gz", "", text, "archive"},
	} {
		var names []string
		if x.name != "" {
			names = []string{x.name}
		}
		if got := describe(file.Of(names, x.typ, x.data)); got != x.want {
			t.Errorf("%q (%s): %q, want %q", x.name, x.typ, got, x.want)
		}
	}
	if f := file.Of([]string{"a.txt", "a.exe"}, "", []byte("x")); f.Class != file.Program || f.Ending != "exe" {
		t.Errorf("of two names the harmless one counts: %+v", f)
	}
}

func TestTypes(t *testing.T) {
	if got := strings.Join(file.Of([]string{"A.JPG"}, "", samples.PE()).Types(), " "); got != "program picture jpg" {
		t.Errorf("%q", got)
	}
	if got := file.Of(nil, "", nil).Types(); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if len(file.Classes()) < 10 {
		t.Error(file.Classes())
	}
}

func TestShown(t *testing.T) {
	if got := file.Shown(strings.Repeat("a", 500) + ".exe"); len(got) > 90 || !strings.HasSuffix(got, ".exe") {
		t.Errorf("%q", got)
	}
	if got := file.Shown("a\u202efdp.exe\n\x00\xff"); got != "a?fdp.exe???" {
		t.Errorf("%q", got)
	}
}

func TestSmuggles(t *testing.T) {
	big := strings.Repeat("QUJDREVGR0hJSktM", 100)
	save := `var l=document.createElement('a');l.href=URL.createObjectURL(new Blob([b]));l.download='x.iso';l.click()</script>`
	for name, x := range map[string]struct {
		page string
		want bool
	}{
		"blob":              {`<script>var b=atob("` + big + `");` + save, true},
		"bytes":             {`<body onload=go()><script>new Uint8Array(1);` + save, true},
		"old browser":       {`<script>navigator.msSaveOrOpenBlob(atob("` + big + `"))</script>`, true},
		"link":              {`<script></script><a download="x.zip" href="data:application/zip;base64,` + big + `">x</a>`, true},
		"drawing":           {`<svg onload="x"><script>var b=atob("` + big + `");` + save, true},
		"no script":         {`<p>new Blob atob createObjectURL download ` + big, false},
		"pictures":          {`<script>draw(atob(x))</script><img src="data:image/png;base64,` + big + `">`, false},
		"a script that ...": {`<script>var x=new Blob(["a"]);</script>`, false},
		"download link":     {`<script></script><a download href="https://a.example/x.zip">x</a>`, false},
		"ordinary":          {`<html><script src="jquery.js"></script><p>Hello`, false},
	} {
		if got := file.Smuggles([]byte(x.page)); (got != "") != x.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func FuzzOf(f *testing.F) {
	f.Add("a.pdf .exe", "image/png", []byte("MZ"))
	f.Add("\u202e!/\\", "", []byte("<script>"))
	f.Fuzz(func(t *testing.T, name, typ string, data []byte) {
		x := file.Of([]string{name}, typ, data)
		x.Types()
		file.Smuggles(data)
		if len(file.Shown(name)) > 90 {
			t.Error("a long name")
		}
	})
}
