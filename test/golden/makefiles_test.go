package golden_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "postern/internal/mailtest/samples" // the tables below are made of them
)

// carried is a golden mail with attached files.
type carried struct {
	name, about   string
	fires, misses string // symbols, blanks between them
	files         []attachedFile
}

// attachedFile is one attachment; typ "" is application/octet-stream.
type attachedFile struct {
	name, typ string
	data      []byte
}

func att(name string, data []byte) []attachedFile { return []attachedFile{{name, "", data}} }

// big is as much base64 as a smuggled file has.
var big = strings.Repeat("QUJDREVGR0hJSktM", 100)

// smuggler is a page that builds a file.
var smuggler = `<html><script>var a="` + big + `";var b=atob(a);var l=document.createElement("a");l.href=URL.createObjectURL(new Blob([b]));l.download="x.zip";l.click()</script></html>`

// twice is a zip in a zip.
func twice(inner []byte) []byte { return Zip(Member{Name: "inner.zip", Data: inner}) }

// junk hides the bytes of an object as hostile letters do.
func junk(letter []byte) []byte {
	return bytes.Replace(letter, []byte(`{\*\objdata 0105`), []byte(`{\*\objdata{\*\hidden 41}0{\b 1}`+"\n\t"+`0\xyz7 5`), 1)
}

// carriers are the golden mails of files.
func carriers() []carried {
	auto := "Sub AutoOpen()\r\nMsgBox 1\r\nEnd Sub\r\n"
	plain := "Sub Tidy()\r\nMsgBox 1\r\nEnd Sub\r\n"
	macro := func(source string) []byte { return Document(Member{Name: "word/vbaProject.bin", Data: Macros(source)}) }
	sheet := func(kind byte) []byte {
		return Compound(nil, Member{Name: "Workbook", Data: Workbook(Member{Name: "\x85\x00", Data: []byte{0, 0, 0, 0, 0, kind, 1, 0, 'A'}})})
	}
	object := func(label string, data []byte) []byte {
		return Document(Member{Name: "word/embeddings/oleObject1.bin", Data: Compound(nil, Member{Name: "\x01Ole10Native", Data: Object(label, `C:\`+label, data)})})
	}
	field := func(text string) []byte {
		return Zip(Text("[Content_Types].xml", "<Types/>"), Text("word/document.xml", `<w:document><w:instrText xml:space="preserve">`+text[:2]+`</w:instrText><w:instrText>`+text[2:]+`</w:instrText></w:document>`))
	}
	catalog, words := `<</Type /Catalog /Pages 2 0 R>>`, "stream \nBT ("+strings.Repeat("Dear Bob, these are the minutes. ", 20)+") Tj ET"
	page, link := `<</Type /Page /Contents 4 0 R>>`, `<</Type /Annot /A <</S /URI /URI (https://example.org/x)>>>>`
	many := func(n int) (out []attachedFile) {
		for i := range n {
			out = append(out, attachedFile{fmt.Sprintf("page%d.txt", i), "", []byte("The minutes\n")})
		}
		return out
	}
	script := []byte("var x = 1;\r\n")
	return []carried{
		{"file-program", "a program for Windows without an ending", "FILE_PROGRAM", "FILE_DISGUISED FILE_SCRIPT", att("setup", PE())},
		{"file-program-not", "a text that begins with the same two letters", "", "FILE_PROGRAM", att("notes.txt", []byte("MZ is how the notes of Mark Z. begin, and they go on for long enough to be no program.\n"))},
		{"file-program-zipped", "a program in a zip in a zip", "FILE_PROGRAM ARCHIVE_NESTED", "ARCHIVE_INNER_LOCKED", att("order.zip", twice(Zip(Member{Name: "order.exe", Data: PE()})))},
		{"file-script", "a script of Windows", "FILE_SCRIPT", "FILE_PROGRAM FILE_CODE", att("order.js", script)},
		{"file-script-not", "the same text by another name", "", "FILE_SCRIPT", att("order.js.txt", script)},
		{"file-script-zipped", "a script alone in a zip", "FILE_SCRIPT", "ARCHIVE_NESTED", att("order.zip", Zip(Member{Name: "order.vbs", Data: script}))},
		{"file-code", "a program in Python", "FILE_CODE", "FILE_SCRIPT FILE_PROGRAM", att("tidy.py", []byte("#!/usr/bin/env python3\nprint(1)\n"))},
		{"file-code-not", "a table", "", "FILE_CODE FILE_DDE", att("table.csv", []byte("a,b\n1,2\n"))},
		{"file-shortcut", "a shortcut of Windows under another name", "FILE_SHORTCUT FILE_DISGUISED", "FILE_PROGRAM", att("minutes.pdf", LNK())},
		{"file-shortcut-not", "a text about one", "", "FILE_SHORTCUT", att("lnk.txt", []byte("A shortcut ends in .lnk\n"))},
		{"file-disk", "an image of a disk", "FILE_DISK_IMAGE", "FILE_MISMATCH", att("order.iso", ISO()[:])},
		{"file-disk-not", "a picture", "", "FILE_DISK_IMAGE FILE_MISMATCH", []attachedFile{{"photo.png", "image/png", PNG()}}},
		{"file-html", "an attached page", "FILE_HTML", "FILE_SMUGGLING", att("minutes.html", []byte("<html><body><p>The minutes</p><script>print()</script></body></html>"))},
		{"file-html-not", "a text about pages", "", "FILE_HTML", att("about.txt", []byte("<html> begins a page\n"))},
		{"file-smuggling", "a page that builds a file", "FILE_SMUGGLING FILE_HTML", "FILE_PROGRAM", att("minutes.html", []byte(smuggler))},
		{"file-disguised", "a program under the type of a picture", "FILE_DISGUISED FILE_PROGRAM", "FILE_MISMATCH", []attachedFile{{"photo.jpg", "image/jpeg", PE()}}},
		{"file-disguised-not", "a picture of another kind", "", "FILE_DISGUISED FILE_MISMATCH", []attachedFile{{"photo.jpg", "image/jpeg", PNG()}}},
		{"file-mismatch", "an archive under the name of a picture", "FILE_MISMATCH", "FILE_DISGUISED", att("photo.jpg", Zip(Text("a.txt", "The minutes")))},
		{"file-double-not", "a version in the name", "", "FILE_DOUBLE_ENDING", att("minutes.v2.pdf", PDF(catalog))},
		{"file-hidden", "blanks before the ending", "FILE_HIDDEN_ENDING FILE_DOUBLE_ENDING FILE_PROGRAM", "FILE_DISGUISED", att("minutes.pdf                              .exe", PE())},
		{"file-hidden-not", "blanks in a name", "", "FILE_HIDDEN_ENDING", att("minutes of   Monday.pdf", PDF(catalog))},
		{"file-odd-archive", "an archive of the nineties", "FILE_ODD_ARCHIVE", "FILE_PROGRAM", att("order.ace", []byte("\x00\x00\x31\x00\x00\x00\x90**ACE**\x14\x14"))},
		{"file-odd-archive-not", "a zip", "", "FILE_ODD_ARCHIVE ARCHIVE_NESTED", att("order.zip", Zip(Text("a.txt", "The minutes")))},
		{"file-onenote", "a notebook with a page in it", "FILE_ONENOTE FILE_PACKED_PROGRAM", "FILE_PROGRAM", att("minutes.one", OneNote([]byte(smuggler)))},
		{"file-onenote-not", "a notebook with a picture", "", "FILE_ONENOTE FILE_PACKED_PROGRAM", att("minutes.one", OneNote(PNG()))},
		{"file-macro", "a macro that somebody calls", "FILE_MACRO", "FILE_MACRO_AUTO FILE_MACRO_SHEET", att("minutes.docx", macro(plain))},
		{"file-macro-not", "a letter", "", "FILE_MACRO FILE_REMOTE FILE_DDE FILE_LOOK_CUT", att("minutes.docx", Document())},
		{"file-macro-auto", "a macro that runs when the letter is opened", "FILE_MACRO FILE_MACRO_AUTO", "FILE_PROGRAM", att("minutes.docm", macro(auto))},
		{"file-macro-sheet", "a sheet of Excel 4 macros", "FILE_MACRO_SHEET", "FILE_MACRO", att("table.xls", sheet(1))},
		{"file-macro-sheet-not", "a sheet", "", "FILE_MACRO_SHEET", att("table.xls", sheet(0))},
		{"file-remote", "a letter whose template is on the web", "FILE_REMOTE", "FILE_MACRO", att("minutes.docx", Document(Relation("attachedTemplate", "https://example.org/x.dotm")))},
		{"file-remote-not", "a letter whose template is on a drive", "", "FILE_REMOTE", att("minutes.docx", Document(Relation("attachedTemplate", `file:///C:\Templates\office.dotm`)))},
		{"file-dde", "a field that starts a program", "FILE_DDE", "FILE_REMOTE", att("minutes.docx", field(`DDEAUTO c:\\windows\\system32\\cmd.exe`))},
		{"file-dde-not", "a field with the number of the page", "", "FILE_DDE", att("minutes.docx", field("PAGE \\* MERGEFORMAT"))},
		{"file-packed", "a letter with a program as an object", "FILE_PACKED_PROGRAM", "FILE_MACRO", att("minutes.docx", object("order.exe", PE()))},
		{"file-packed-not", "a letter with a text as an object", "", "FILE_PACKED_PROGRAM", att("minutes.docx", object("order.txt", []byte("The minutes")))},
		{"rtf-object", "a letter in rich text with a table as an object", "FILE_RTF_OBJECT", "FILE_RTF_UPDATE FILE_RTF_EQUATION FILE_PACKED_PROGRAM", att("minutes.rtf", RTF(`\objemb`, Embedded("Excel.Sheet.8", Compound(nil, Text("Workbook", "The minutes")))))},
		{"rtf-object-not", "a letter in rich text that tells how objects are written", "", "FILE_RTF_OBJECT FILE_RTF_UPDATE", att("minutes.rtf", []byte(`{\rtf1 The word \\objdata, and \\objupdate before it, make an \{object\}.}`))},
		{"rtf-update", "an object that is loaded when the letter is opened, its bytes behind junk", "FILE_RTF_UPDATE FILE_RTF_OBJECT FILE_PACKED_PROGRAM", "FILE_REMOTE", att("minutes.doc", junk(RTF(`\objocx\objupdate`, Package("order.exe", PE()))))},
		{"rtf-update-not", "a link to a table on a drive", "FILE_RTF_OBJECT", "FILE_RTF_UPDATE FILE_REMOTE", att("minutes.rtf", RTF(`\objautlink`, Linked("Excel.Sheet.8", `C:\table.xls`)))},
		{"rtf-equation", "an object of the equation editor", "FILE_RTF_EQUATION FILE_RTF_OBJECT", "FILE_RTF_UPDATE", att("minutes.doc", RTF(`\objemb`, Embedded("Equation.3", Compound(nil, Text("Equation Native", "a=b")))))},
		{"rtf-equation-not", "a letter in rich text about equations", "", "FILE_RTF_EQUATION FILE_RTF_OBJECT", att("minutes.rtf", []byte(`{\rtf1 Equation.3 of the minutes: {\i a}=b}`))},
		{"rtf-remote", "a letter in rich text whose template is on the web, in escapes", "FILE_REMOTE", "FILE_RTF_OBJECT FILE_RTF_UPDATE", att("minutes.rtf", []byte(`{\rtf1{\*\template \u-65432?\'74\u116 ?ps://example.org/x.dotm}The minutes}`))},
		{"rtf-remote-not", "a letter in rich text whose template is on a drive", "", "FILE_REMOTE", att("minutes.rtf", []byte(`{\rtf1{\*\template C:\\Templates\\office.dotm}The minutes are at https://example.org/x.dotm}`))},
		{"pdf-launch", "a PDF that starts a program when it is opened", "FILE_PDF_LAUNCH FILE_PDF_OPENS", "FILE_PDF_SCRIPT", att("minutes.pdf", PDF(`<</Type /Catalog /OpenAction <</S /L#61unch /F (cmd.exe)>>>>`, page, words))},
		{"pdf-script", "a PDF with a script in a packed object", "FILE_PDF_SCRIPT", "FILE_PDF_OPENS FILE_PDF_LAUNCH", att("minutes.pdf", PDF(catalog, page, words, "stream /Type /ObjStm\n5 0 <</S /JavaScript /JS (app.alert)>>"))},
		{"pdf-files", "a PDF that carries a file", "FILE_PDF_FILES", "FILE_PDF_LINK_ONLY", att("minutes.pdf", PDF(catalog, page, words, "stream /Type /EmbeddedFile\nhello"))},
		{"pdf-link", "a PDF that is a link", "FILE_PDF_LINK_ONLY", "FILE_PDF_FILES FILE_PDF_ENCRYPTED", att("minutes.pdf", PDF(catalog, page, link, "stream \nBT (View document) Tj ET"))},
		{"pdf-plain", "a PDF with words and a link", "", "FILE_PDF_LINK_ONLY FILE_PDF_LAUNCH FILE_PDF_SCRIPT FILE_PDF_OPENS FILE_PDF_FILES FILE_PDF_ENCRYPTED", att("minutes.pdf", PDF(`<</Type /Catalog /OpenAction [3 0 R /Fit]>>`, page, link, words))},
		{"pdf-encrypted", "an encrypted PDF", "FILE_PDF_ENCRYPTED", "FILE_PDF_LINK_ONLY", att("minutes.pdf", PDF(catalog, page, link, `<</Filter /Standard>>`, `<</Encrypt 4 0 R>>`))},
		{"file-many", "more than a hundred files", "FILE_MANY", "FILE_LOOK_CUT", many(101)},
		{"file-many-not", "a hundred files", "", "FILE_MANY", many(100)},
		{"file-cut", "an object stream under a filter nobody needs", "FILE_LOOK_CUT", "FILE_PDF_SCRIPT", att("minutes.pdf", PDF(catalog, page, words, "<</Type /ObjStm /Filter /LZWDecode>>\nstream\nabc\nendstream"))},
		{"mime-tnef", "a program in Outlook's wrapping", "MIME_TNEF FILE_PROGRAM URL_IP_HOST", "MIME_TNEF_BROKEN", []attachedFile{{"winmail.dat", "application/ms-tnef", TNEF(`<p><a href="http://192.0.2.1/x">The minutes</a>`, Member{Name: "order.exe", Data: PE()})}}},
		{"mime-tnef-broken", "a wrapping that is cut off", "MIME_TNEF_BROKEN MIME_TNEF", "FILE_PROGRAM", []attachedFile{{"winmail.dat", "application/ms-tnef", TNEF("<p>The minutes", Text("minutes.txt", "The minutes"))[:100]}}},
		{"mime-tnef-not", "another file of that name", "", "MIME_TNEF", att("winmail.dat", []byte("The minutes"))},
		{"msg-program", "a message of Outlook that carries a program", "FILE_PROGRAM FILE_DISGUISED", "ARCHIVE_NESTED ARCHIVE_BROKEN", att("minutes.msg", Attachments(Text("read.txt", "The minutes"), Member{Name: "photo.jpg", Data: PE()}))},
		{"msg-program-not", "a message of Outlook that carries a text", "", "FILE_PROGRAM FILE_MISMATCH FILE_LOOK_CUT ARCHIVE_NESTED", att("minutes.msg", Attachments(Text("read.txt", "The minutes")))},
		{"archive-nested-not", "a letter in a zip", "", "ARCHIVE_NESTED", att("minutes.zip", Zip(Member{Name: "minutes.docx", Data: Document()}))},
		{"archive-inner-locked", "a zip with a password in a zip", "ARCHIVE_INNER_LOCKED ARCHIVE_NESTED ENCRYPTED", "FILE_PROGRAM", att("order.zip", twice(Locked(Zip(Text("a.txt", "The minutes")))))},
	}
}

// mail is the golden mail as it stands in its folder.
func (c carried) mail() string {
	var b strings.Builder
	b.WriteString("From: Ann Example <ann@example.org>\nTo: bob@example.com\nSubject: The minutes of Monday\nDate: Sun, 22 Nov 2026 11:00:00 +0000\n" +
		"Message-ID: <1@example.org>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=sep\n\n--sep\nContent-Type: text/plain\n\nDear Bob,\n\nthese are the minutes of the meeting.\n\nAnn\n\n")
	for _, f := range c.files {
		typ := f.typ
		if typ == "" {
			typ = "application/octet-stream"
		}
		fmt.Fprintf(&b, "--sep\nContent-Type: %s\nContent-Disposition: attachment; filename=%q\nContent-Transfer-Encoding: base64\n\n", typ, f.name)
		for text := base64.StdEncoding.EncodeToString(f.data); text != ""; text = text[min(len(text), 76):] {
			b.WriteString(text[:min(len(text), 76)] + "\n")
		}
	}
	b.WriteString("--sep--\n")
	return b.String()
}

// TestMakeFiles writes the mails that carry files anew, with -make; else it wants them there.
func TestMakeFiles(t *testing.T) {
	for _, c := range carriers() {
		dir := filepath.Join(folders[0], c.name)
		if !*makeMails {
			if _, err := os.Stat(filepath.Join(dir, "mail.eml")); err != nil {
				t.Errorf("%v: run with -make", err)
			}
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		around := fmt.Sprintf("about: %q\n", c.about)
		for _, list := range [][2]string{{"fires", c.fires}, {"misses", c.misses}} {
			if list[1] != "" {
				around += list[0] + ": [" + strings.Join(strings.Fields(list[1]), ", ") + "]\n"
			}
		}
		for name, text := range map[string]string{"mail.eml": c.mail(), "circumstances.yaml": around} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
