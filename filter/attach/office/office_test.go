package office_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/filter/attach/office"
	"postern/internal/mailtest"
	"postern/internal/mailtest/samples"
)

// seen lists what fired.
func seen(f office.Facts) string {
	var out []string
	for _, x := range []struct{ word, what string }{
		{"macro", f.Macro}, {"auto", f.Auto}, {"sheet", f.Sheet}, {"remote", f.Remote}, {"dde", f.DDE}, {"encrypted", f.Encrypted},
		{"object", f.Object}, {"updates", f.Updates}, {"equation", f.Equation},
	} {
		if x.what != "" {
			out = append(out, x.word)
		}
	}
	for _, p := range f.Packed {
		out = append(out, "packed:"+strings.Join(p.Names, ","))
	}
	if f.Incomplete {
		out = append(out, "incomplete")
	}
	return strings.Join(out, " ")
}

func TestMember(t *testing.T) {
	rel := func(kind, target string) string { return string(samples.Relation(kind, target).Data) }
	for _, x := range []struct{ name, data, want string }{
		{"word/document.xml", "<w:document/>", ""},
		{"word/vbaProject.bin", "", "macro"},
		{"xl/vbaProject.bin", string(samples.Macros("Private Sub Workbook_Open()\r\nEnd Sub")), "macro auto"},
		{"ppt/vbaProject.bin", string(samples.Macros("Sub Workbook_Opening()\r\nEnd Sub")), "macro"},
		{"xl/macrosheets/sheet1.xml", "", "sheet"}, {"xl/worksheets/sheet1.xml", "", ""},
		{"word/_rels/settings.xml.rels", rel("attachedTemplate", "http://a.example/x"), "remote"},
		{"word/_rels/document.xml.rels", rel("oleObject", "mhtml:http://a.example/x"), "remote"},
		{"word/_rels/document.xml.rels", rel("frame", `\\files.a.example\x`), "remote"},
		{"word/_rels/document.xml.rels", rel("frame", `\\a@8080\x`), "remote"},
		{"word/_rels/document.xml.rels", rel("hyperlink", "https://a.example/"), ""},
		{"word/_rels/document.xml.rels", rel("image", "https://a.example/x.png"), ""},
		{"word/_rels/settings.xml.rels", rel("attachedTemplate", `\\fileserver\x.dot`), ""},
		{"word/_rels/settings.xml.rels", rel("attachedTemplate", "Normal.dotm"), ""},
		{"word/_rels/settings.xml.rels", strings.ReplaceAll(rel("attachedTemplate", "http://a.example/x"), "External", "Internal"), ""},
		{"word/_rels/settings.xml.rels", `<?xml version="1.0"?><Relationships><Relationship Type="a/oleObject" Target='&#104;ttp://a.example' TargetMode='external' >`, "remote"},
		{"_rels/.rels", "<a <b", "incomplete"},
		{"word/document.xml", `<w:instrText>D</w:instrText><w:r/><w:instrText>DEAUTO c:\\x "y"</w:instrText>`, "dde"},
		{"word/header1.xml", `<w:fldSimple w:instr="DDE cmd x">`, "dde"},
		{"word/document.xml", `<w:instrText>REF ADDED here</w:instrText>`, ""},
		{"word/document.xml", `<w:t>DDEAUTO</w:t>`, ""},
		{"xl/externalLinks/externalLink1.xml", `<ddeLink ddeService="cmd" ddeTopic="/c x">`, "dde"},
		{"xl/externalLinks/externalLink1.xml", `<externalBook/>`, ""},
		{"word/embeddings/oleObject1.bin", string(samples.Compound(nil, samples.Member{Name: "\x01Ole10Native", Data: samples.Object("a.exe", `C:\a.exe`, samples.PE())})), `packed:a.exe,C:\a.exe,C:\a.exe`},
		{"EncryptedPackage", "", "encrypted"},
	} {
		var f office.Facts
		f.Member(x.name, []byte(x.data))
		if got := seen(f); got != x.want {
			t.Errorf("%s %.60q: %q, want %q", x.name, x.data, got, x.want)
		}
	}
}

func TestCompound(t *testing.T) {
	book := func(records ...samples.Member) []byte {
		return samples.Compound(nil, samples.Member{Name: "Workbook", Data: samples.Workbook(records...)})
	}
	sheet := func(kind byte) samples.Member {
		return samples.Member{Name: "\x85\x00", Data: []byte{0, 0, 0, 0, 1, kind, 1, 0, 'A'}}
	}
	letter := func(text string) []byte {
		return samples.Compound(nil, samples.Text("WordDocument", "\xec\xa5\xc1\x00"+text))
	}
	for name, x := range map[string]struct {
		data []byte
		want string
	}{
		"letter":               {letter("hello"), ""},
		"with a password":      {letter("\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00"), "encrypted"},
		"field":                {letter("\x00\x00\x00\x00\x00\x00\x00\x00 see \x13 DDEAUTO c:\\x\x15"), "dde"},
		"wide field":           {letter("\x00\x00\x00\x00\x00\x00\x00\x00 see \x13\x00D\x00D\x00E\x00A\x00U\x00T\x00O\x00"), "dde"},
		"other field":          {letter("\x00\x00\x00\x00\x00\x00\x00\x00 see \x13 PAGE \x15"), ""},
		"sheets":               {book(sheet(0), sheet(2)), ""},
		"macro sheet":          {book(sheet(0), sheet(1)), "sheet"},
		"locked":               {book(samples.Text("\x2f\x00", "xxxx"), sheet(1)), "encrypted"},
		"record too long":      {book(samples.Member{Name: "\x85\x00\xff\xff", Data: nil}), ""},
		"macros":               {samples.Macros("Sub Tidy()\r\nEnd Sub"), "macro"},
		"opening":              {samples.Macros("Sub Document_Open()\r\nEnd Sub"), "macro auto"},
		"closing":              {samples.Macros("sub AUTOCLOSE\r\nEnd Sub"), "macro auto"},
		"only a word":          {samples.Macros("' Sub Document_Opens is no name"), "macro"},
		"encrypted package":    {samples.Compound(nil, samples.Text("EncryptedPackage", "x"), samples.Text("EncryptionInfo", "y")), "encrypted"},
		"short object":         {samples.Compound(nil, samples.Text("\x01Ole10Native", "")), "packed:,,"},
		"damaged":              {append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), make([]byte, 4000)...), "incomplete"},
		"too small to be one":  {[]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), ""},
		"no compound file":     {make([]byte, 4000), "incomplete"},
		"object without bytes": {samples.Compound(nil, samples.Member{Name: "\x01Ole10Native", Data: samples.Object("a.txt", "a.txt", nil)}), "packed:a.txt,a.txt,a.txt"},
	} {
		var f office.Facts
		f.Compound(x.data)
		if got := seen(f); got != x.want {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
}

func TestRichAndTables(t *testing.T) {
	for _, x := range []struct{ data, want string }{
		{`{\rtf1 hello}`, ""}, {`{\rtf1{\*\template http://a.example/x.dot}}`, "remote"}, {`{\rtf1{\*\template C:\\x.dot}}`, ""},
		{`{\rtf1{\object\objupdate{\*\objdata 0105}}}`, "object updates"}, {`{\rtf1{\object{\*\objdata 0105}}}`, "object"}, {`{\rtf1{\field{\*\fldinst DDEAUTO cmd}}}`, "dde"},
	} {
		var f office.Facts
		f.Rich([]byte(x.data))
		if got := seen(f); got != x.want {
			t.Errorf("%s: %q, want %q", x.data, got, x.want)
		}
	}
	for _, x := range []struct{ data, want string }{{"a,b\n1,2", ""}, {"a,=cmd|'/C calc'!A0", "dde"}, {"=SUM(A1:A2)", ""}} {
		var f office.Facts
		f.Table([]byte(x.data))
		if got := seen(f); got != x.want {
			t.Errorf("%s: %q, want %q", x.data, got, x.want)
		}
	}
}

func TestNotebook(t *testing.T) {
	var f office.Facts
	f.Notebook(samples.OneNote(samples.PNG(), samples.PE()))
	if len(f.Packed) != 2 || string(f.Packed[1].Head[:2]) != "MZ" {
		t.Errorf("%+v", f.Packed)
	}
	var many office.Facts
	many.Notebook(samples.OneNote(make([][]byte, office.MaxPacked+1)...))
	if len(many.Packed) != office.MaxPacked || !many.Incomplete {
		t.Errorf("%d files", len(many.Packed))
	}
}

// TestRealFiles looks into office files that people wrote: what is ordinary fires nothing.
func TestRealFiles(t *testing.T) {
	dir := mailtest.Suites(t, "av")
	for name, want := range map[string]string{"clamav-testfiles/clam.ole.doc": "", "clamav-testfiles/clam.ppt": ""} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		var f office.Facts
		f.Compound(b)
		packed := len(f.Packed)
		f.Packed = nil
		if got := seen(f); got != want {
			t.Errorf("%s: %q", name, got)
		}
		t.Logf("%s: %d objects", name, packed)
	}
}

func FuzzFacts(f *testing.F) {
	f.Add("word/_rels/a.rels", samples.Relation("frame", "http://a.example").Data)
	f.Add("word/document.xml", []byte(`<w:instrText>DDE </w:instrText>instr="DDE x"`))
	f.Add("xl/vbaProject.bin", samples.Macros("Sub AutoOpen()\r\nEnd Sub"))
	f.Add("x", samples.Compound(nil, samples.Member{Name: "\x01Ole10Native", Data: samples.Object("a", "b", []byte("c"))}))
	f.Add("x", samples.OneNote([]byte("a")))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		var x office.Facts
		x.Member(name, data)
		x.Compound(data)
		x.Rich(data)
		x.Table(data)
		x.Notebook(data)
		if len(x.Packed) > office.MaxPacked {
			t.Errorf("%d objects", len(x.Packed))
		}
	})
}
