package attach_test

import (
	"bytes"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"postern/filter"
	"postern/filter/attach"
	"postern/filter/attach/file"
	"postern/internal/archive"
	. "postern/internal/mailtest/samples" // the tables below are made of them
	"postern/internal/mime"
)

// files runs the check over attachments, each a name and its bytes, and lists the symbols.
func files(t *testing.T, list ...any) string {
	t.Helper()
	for i := 0; i < len(list); i += 2 {
		list[i] = fmt.Sprintf("application/octet-stream; name=%q", list[i])
	}
	got, _ := check(t, mail(list...), archive.Limits{})
	slices.Sort(got)
	return strings.Join(got, " ")
}

// Disk images, shortcuts and notebooks are typed by content, wherever they lie (H-G14).
func TestFilesInArchives(t *testing.T) {
	script := []byte("var x;")
	crowd := make([]Member, 0, 12)
	for i := range 11 {
		crowd = append(crowd, Text(fmt.Sprintf("lib%d.js", i), "var x;"))
	}
	for name, x := range map[string]struct {
		data []byte
		want string
	}{
		"text":                    {Zip(Text("a.txt", "hello")), ""},
		"program":                 {Zip(Member{Name: "a.exe", Data: PE()}), "FILE_PROGRAM"},
		"program without a name":  {Zip(Member{Name: "a", Data: PE()}), "FILE_PROGRAM"},
		"program as a picture":    {Zip(Member{Name: "a.jpg", Data: PE()}), "FILE_DISGUISED FILE_PROGRAM"},
		"program behind a second": {Zip(Member{Name: "x/a.pdf.exe", Data: PE()}), "FILE_DOUBLE_ENDING FILE_PROGRAM"},
		"turned round":            {Zip(Member{Name: "a\u202efdp.exe", Data: PE()}), "FILE_HIDDEN_ENDING FILE_PROGRAM"},
		"shortcut":                {Zip(Member{Name: "a.lnk", Data: LNK()}), "FILE_SHORTCUT"},
		"disk image":              {Zip(Member{Name: "a.img", Data: ISO()}), "FILE_DISK_IMAGE"},
		"script alone":            {Zip(Member{Name: "a.js", Data: script}), "FILE_SCRIPT"},
		"script in a crowd":       {Zip(crowd...), ""},
		"notebook":                {Zip(Member{Name: "a.one", Data: OneNote([]byte("<script>"))}), "FILE_ONENOTE FILE_PACKED_PROGRAM"},
		"program, locked":         {Locked(Zip(Member{Name: "a.exe", Data: PE()})), "ENCRYPTED FILE_PROGRAM"},
		"zip":                     {Zip(Member{Name: "b.zip", Data: Zip(Member{Name: "a.scr", Data: PE()})}), "ARCHIVE_NESTED FILE_PROGRAM"},
		"rar":                     {Zip(Text("b.rar", "Rar!\x1a\x07\x01\x00\x00\x00\x00\x00\x05\x04\x00\x00\x00\x00\x00\x00\x00\x00")), "ARCHIVE_INNER_LOCKED ARCHIVE_NESTED ENCRYPTED"},
		"rar with a program":      {Zip(Member{Name: "b.rar", Data: RAR(Packing{}, Member{Name: "a.exe", Data: PE()})}), "ARCHIVE_NESTED FILE_PROGRAM"},
		"7z with a picture":       {Seven(Packing{}, Member{Name: "a.png", Data: PNG()}), ""},
		"7z":                      {Zip(Member{Name: "b.7z", Data: Seven(Packing{}, Member{Name: "a.txt", Data: PE()})}), "ARCHIVE_NESTED FILE_DISGUISED FILE_PROGRAM"},
		"7z, locked":              {Zip(Member{Name: "b.7z", Data: Seven(Packing{Locked: true}, Member{Name: "a.exe", Data: PE()})}), "ARCHIVE_INNER_LOCKED ARCHIVE_NESTED ENCRYPTED FILE_PROGRAM"},
		"image of a disk":         {Disk(Member{Name: "sub/order.pdf.lnk", Data: LNK()}, Text("read.txt", "hello")), "FILE_DISK_IMAGE FILE_DOUBLE_ENDING FILE_SHORTCUT"},
		"letter":                  {Zip(Member{Name: "a.docx", Data: Document()}), ""},
		"letter with macros":      {Zip(Member{Name: "a.docx", Data: Document(Member{Name: "word/vbaProject.bin", Data: Macros("Sub Document_Open()\r\n")})}), "FILE_MACRO FILE_MACRO_AUTO"},
		"old letter with macros":  {Zip(Member{Name: "a.doc", Data: Macros("Sub Document_Open()\r\n")}), "FILE_MACRO FILE_MACRO_AUTO"},
		"rich text":               {Zip(Member{Name: "a.rtf", Data: RTF(`\objautlink`, Linked("Word.Document.8", "http://a.example/"))}), "FILE_REMOTE FILE_RTF_OBJECT"},
		"Outlook's message":       {Zip(Member{Name: "a.msg", Data: Attachments(Member{Name: "b.jpg", Data: PE()}, Text("c.txt", "hello"))}), "FILE_DISGUISED FILE_PROGRAM"},
		"PDF":                     {Zip(Member{Name: "a.pdf", Data: PDF("<</S /Launch>>")}), "FILE_PDF_LAUNCH"},
	} {
		if got := files(t, "order.zip", x.data); got != x.want {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
}

// What is stored as an archive and is none to its reader hides nothing that runs.
func TestDocumentsAreNoHidingPlace(t *testing.T) {
	for name, x := range map[string]struct {
		file string
		data []byte
		want string
	}{
		"letter":              {"a.docx", Document(Text("word/media/image1.png", string(PNG())), Text("customXml/item1.xml", "<a/>")), ""},
		"program in it":       {"a.docx", Document(Member{Name: "word/media/a.exe", Data: PE()}), "FILE_PROGRAM"},
		"called a zip":        {"a.zip", Zip(Text("[Content_Types].xml", "<a/>"), Member{Name: "word/a.exe", Data: PE()}), "FILE_PROGRAM"},
		"book":                {"a.epub", Zip(Text("mimetype", "application/epub+zip"), Text("a.xhtml", "<html>")), ""},
		"letter in a letter":  {"a.docx", Document(Member{Name: "word/embeddings/b.xlsx", Data: Zip(Text("[Content_Types].xml", ""), Text("xl/macrosheets/sheet1.xml", ""))}), "FILE_MACRO_SHEET"},
		"zip as a picture":    {"a.jpg", Zip(Member{Name: "a.exe", Data: PE()}), "FILE_MISMATCH FILE_PROGRAM"},
		"program with a zip":  {"a.exe", append(PE(), Zip(Text("a.txt", "x"))...), "FILE_PROGRAM"},
		"rich text":           {"a.doc", []byte(`{\rtf1{\*\template http://a.example/}}`), "FILE_REMOTE"},
		"object that acts":    {"a.doc", RTF(`\objupdate`, Embedded("Equation.3", nil)), "FILE_RTF_EQUATION FILE_RTF_OBJECT FILE_RTF_UPDATE"},
		"program in text":     {"a.rtf", RTF("", Package("a.exe", PE())), "FILE_PACKED_PROGRAM FILE_RTF_OBJECT"},
		"text in rich text":   {"a.rtf", RTF("", Package("a.txt", []byte("hello"))), "FILE_RTF_OBJECT"},
		"message":             {"a.msg", Attachments(Text("c.txt", "hello")), ""},
		"program in one":      {"a.msg", Attachments(Member{Name: "a.pdf.exe", Data: PE()}), "FILE_DOUBLE_ENDING FILE_PROGRAM"},
		"message in one":      {"a.msg", Attachments(Member{Name: "x"}, Member{Name: "a.lnk", Data: LNK()}), "FILE_SHORTCUT"},
		"script in one":       {"a.msg", Attachments(Text("a.js", "var x;")), "FILE_SCRIPT"},
		"zip in one":          {"a.msg", Attachments(Member{Name: "a.zip", Data: Zip(Member{Name: "a.exe", Data: PE()})}), "ARCHIVE_NESTED FILE_PROGRAM"},
		"message as a letter": {"a.doc", Attachments(Member{Name: "a.exe", Data: PE()}), "FILE_PROGRAM"},
		"cells":               {"a.csv", []byte("=cmd|'/C x'!A0"), "FILE_DDE"},
		"macro by name":       {"a.docm", []byte("who knows"), "FILE_MACRO"},
		"a picture of one":    {"a.one", OneNote(PNG()), ""},
	} {
		if got := files(t, x.file, x.data); got != x.want {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
}

// Files that the text of the message is not: a body of HTML is none, one with a name is.
func TestWhatIsAFile(t *testing.T) {
	for raw, want := range map[string]string{
		"Content-Type: text/html\r\n\r\n<html><script>x</script>":                             "",
		"Content-Type: text/html; name=a.html\r\n\r\n<html>":                                  "FILE_HTML",
		"Content-Type: text/html\r\nContent-Disposition: attachment\r\n\r\n<html>":            "FILE_HTML",
		"Content-Type: image/svg+xml\r\n\r\n<svg>":                                            "FILE_HTML",
		"Content-Type: text/plain\r\n\r\n#!/bin/sh":                                           "",
		"Content-Type: application/octet-stream\r\n\r\n#!/bin/sh":                             "FILE_CODE",
		"Content-Type: image/png\r\nContent-Disposition: inline; filename=a.exe\r\n\r\nhello": "FILE_DISGUISED FILE_PROGRAM",
	} {
		got, _ := check(t, []byte("From: a@example.com\r\nMIME-Version: 1.0\r\n"+raw), archive.Limits{})
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
}

// A symbol is told of a few files, all are looked at; the findings come in the same order always.
func TestTold(t *testing.T) {
	var members []Member
	for i := range 30 {
		members = append(members, Member{Name: fmt.Sprintf("d%d/a%d.docx", i, i), Data: Document(Relation("frame", fmt.Sprintf("http://a%d.example", i)))})
	}
	raw := mail("application/zip; name=a.zip", Zip(members...))
	_, first := check(t, raw, archive.Limits{})
	if len(first) == 0 || len(first) > 10 || first[0].Part != "1.2" {
		t.Errorf("%d findings: %+v", len(first), first)
	}
	for range 5 {
		if _, again := check(t, raw, archive.Limits{}); !slices.Equal(first, again) {
			t.Fatalf("%v, then %v", first, again)
		}
	}
}

// One message has one budget: what is beyond it is said.
func TestWorkIsBounded(t *testing.T) {
	var list []any
	page := []byte("<html><script>" + strings.Repeat("x ", 3<<19))
	for i := range 25 {
		list = append(list, fmt.Sprintf("a%d.html", i), page)
	}
	if got := files(t, list...); !strings.Contains(got, attach.Cut) {
		t.Errorf("%q", got)
	}
}

// Every file is told with the types by which a policy can name it, each set of them once.
func TestTypes(t *testing.T) {
	raw := mail("application/octet-stream; name=photo.jpg", PE(), "application/octet-stream; name=b.jpg", PE(), "application/zip; name=a.zip", Zip(Member{Name: "order.js", Data: []byte("x")}),
		"application/octet-stream; name=a.docm", Document(Member{Name: "word/vbaProject.bin", Data: Macros("Sub AutoOpen()\r\n")}), "application/zip; name=l.zip", Locked(Zip(Text("a.txt", "x"))))
	found, err := (&attach.Check{}).Check(t.Context(), message(raw))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range found {
		if f.Symbol == attach.Type {
			got = append(got, f.Types)
			for word := range strings.FieldsSeq(f.Types) {
				if len(word) > 4 && !slices.Contains(filter.FileTypes(), word) {
					t.Errorf("no policy can name %q", word)
				}
			}
		}
	}
	want := []string{"program picture jpg", "disguised", "archive zip", "script js", "macro docm", "macro", "auto-macro macro", "encrypted", "text txt"}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, c := range file.Classes() {
		if !slices.Contains(filter.FileTypes(), string(c)) {
			t.Errorf("no policy can name %q", c)
		}
	}
}

func message(raw []byte) *filter.Message {
	tree := mime.Bytes(raw, mime.Limits{})
	return &filter.Message{Parts: func() (*mime.Tree, error) { return tree, nil }}
}

// BenchmarkCheck is the cost of the check alone: a letter of 20 kB with a picture, and an office
// file of a megabyte.
func BenchmarkCheck(b *testing.B) {
	noise := func(n int) []byte {
		out := make([]byte, n)
		rand.New(rand.NewSource(1)).Read(out)
		return out
	}
	words := bytes.Repeat([]byte("<w:p><w:r><w:t>These are the minutes of the meeting.</w:t></w:r></w:p>"), 5000)
	for _, x := range []struct {
		name string
		raw  []byte
	}{
		{"letter-20k", mail("image/jpeg; name=photo.jpg", append([]byte("\xff\xd8\xff\xe0"), noise(14000)...))},
		{"docx-1M", mail("application/octet-stream; name=minutes.docx", Document(Member{Name: "word/media/image1.jpeg", Data: append([]byte("\xff\xd8\xff"), noise(950_000)...)}, Member{Name: "word/header1.xml", Data: words}))},
		{"doc-1M", mail("application/octet-stream; name=minutes.doc", Compound(nil, Member{Name: "WordDocument", Data: noise(500_000)}, Member{Name: "VBA"}, Member{Name: "ThisDocument", Data: Module("Sub Tidy()\r\n")}, Member{Name: "Data", Data: noise(500_000)}))},
		{"pdf-1M", mail("application/pdf; name=minutes.pdf", PDF("<</Type /Page>>", "<</Type /Page>>", "<</URI (http://a.example)>>", "<</Subtype /Image>>\nstream\n"+string(noise(1_000_000))+"endstream", "stream \n(Minutes) Tj"))},
	} {
		b.Run(x.name, func(b *testing.B) {
			m := message(x.raw)
			b.SetBytes(int64(len(x.raw)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := (&attach.Check{}).Check(b.Context(), m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("a.docx", Document(Relation("frame", "http://a.example")))
	f.Add("a.pdf", PDF("<</S /Launch>>"))
	f.Add("a.doc", Macros("Sub AutoOpen()\r\n"))
	f.Add("a.zip", Zip(Member{Name: "a.exe", Data: PE()}))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		raw := mail("application/octet-stream; name=\""+strings.NewReplacer("\r", "", "\n", "", `"`, "").Replace(name)+`"`, data)
		check(t, raw, archive.Limits{Depth: 3, Entries: 50, Bytes: 1 << 20})
	})
}
