package office_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"postern/filter/attach/office"
	. "postern/internal/mailtest/samples" // the tables below are made of them
)

// editor is the class of the equation editor, at the place of a root's.
var editor = []byte("\x02\xce\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00F")

func TestRichObjects(t *testing.T) {
	link := func(to string) []byte { return Compound(nil, Member{Name: "\x01Ole", Data: Moniker(to)}) }
	changed := func(b []byte, at int, to byte) []byte {
		b = bytes.Clone(b)
		b[at] = to
		return b
	}
	sheet := Compound(nil, Text("Workbook", "x"))
	for name, x := range map[string]struct {
		letter []byte
		want   string
	}{
		"table":                    {RTF(`\objemb`, Embedded("Excel.Sheet.8", sheet)), "object"},
		"table that is renewed":    {RTF(`\objemb\objupdate`, Embedded("Excel.Sheet.8", sheet)), "object updates"},
		"another version":          {RTF(`\objemb`, changed(Embedded("Excel.Sheet.8", sheet), 1, 0xee)), "object"},
		"table with macros":        {RTF(`\objemb`, Embedded("Excel.Sheet.8", Macros("Sub Workbook_Open()\r\n"))), "macro auto object"},
		"program":                  {RTF(`\objemb`, Package("a.exe", PE())), `object packed:a.exe,C:\a.exe,C:\a.exe`},
		"program, class in small":  {RTF(`\objemb`, Embedded("package", Object("a.exe", `C:\a.exe`, PE())[4:])), `object packed:a.exe,C:\a.exe,C:\a.exe`},
		"program in a compound":    {RTF(`\objemb`, Embedded("Package", Compound(nil, Member{Name: "\x01Ole10Native", Data: Object("a.exe", "b", PE())}))), "object packed"},
		"equation":                 {RTF(`\objemb`, Embedded("Equation.3", []byte("a=b"))), "object equation"},
		"equation, class in small": {RTF(`\objemb`, Embedded("eQuation.2", nil)), "object equation"},
		"equation by the letter":   {RTF(`\objemb{\*\objclass Equation.3}`, Embedded("Word.Document.8", sheet)), "object equation"},
		"equation by its class":    {RTF(`\objemb`, Embedded("Word.Document.8", Compound(editor, Text("x", "y")))), "object equation"},
		"equation by its stream":   {RTF(`\objemb`, Embedded("x", Compound(nil, Text("Equation Native", "y")))), "object equation"},
		"equation, no head":        {RTF(`\objemb`, append([]byte("\x01\x05\x00\x00\xee\x00\x00\x00junk"), Compound(editor, Text("x", "y"))...)), "object equation"},
		"no equation":              {RTF(`\objemb`, Embedded("Word.Document.8", Compound(nil, Text("x", "Equation.3")))), "object"},
		"link to the web":          {RTF(`\objautlink`, Linked("Word.Document.8", "http://a.example/x.doc")), "remote object"},
		"link to a host":           {RTF(`\objlink`, Linked("Word.Document.8", `\\a.example\x.doc`)), "remote object"},
		"link to a drive":          {RTF(`\objautlink`, Linked("Word.Document.8", `C:\x.doc`)), "object"},
		"link to a drive, renewed": {RTF(`\objautlink\objupdate`, Linked("Word.Document.8", `C:\x.doc`)), "object updates"},
		"link to who knows":        {RTF(`\objautlink`, Linked("Word.Document.8", "")), "object updates"},
		"link in a compound":       {RTF(`\objautlink\objupdate`, Embedded("OLE2Link", link("http://a.example/x.hta"))), "remote object updates"},
		"link to an office":        {RTF(`\objemb`, Embedded("OLE2Link", link(`\\fileserver\x.doc`))), "object"},
		"two objects":              {append(RTF("", Embedded("A", nil)), RTF("", Package("b.txt", nil))...), `object packed:b.txt,C:\b.txt,C:\b.txt`},
		"nothing":                  {RTF(`\objemb`, nil), "object"},
		"no class":                 {RTF(`\objemb`, Embedded("", sheet)), "object"},
		"head alone":               {RTF(`\objemb`, Embedded("Package", nil)[:20]), "object"},
		"a class without end":      {RTF(`\objemb`, []byte("\x01\x05\x00\x00\x02\x00\x00\x00\xff\xff\xff\xffEquation.3")), "object"},
		"a topic without end":      {RTF(`\objemb`, []byte("\x01\x05\x00\x00\x02\x00\x00\x00\x0b\x00\x00\x00Equation.3\x00\xff\xff\xff\xff")), "object equation"},
		"more than there is":       {RTF(`\objemb`, changed(Embedded("Package", Object("a.js", "b", []byte("x"))[4:]), 31, 0xff)), "object packed:a.js,b,b"},
		"damaged":                  {RTF(`\objemb`, Embedded("x", sheet[:2000])), "object"},
	} {
		var f office.Facts
		f.Rich(x.letter)
		got := seen(f)
		if x.want == "object packed" {
			got, _, _ = strings.Cut(got, ":")
		}
		if got != x.want {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
}

// What stands in groups that a word processor skips is read where the rest makes no sense.
func TestRichLoose(t *testing.T) {
	letter := RTF(`\objemb`, Package("a.exe", PE()))
	letter = bytes.Replace(letter, []byte("objdata 0105000002000000"), []byte(`objdata 01050000{\*\x 02000000}`), 1)
	var f office.Facts
	f.Rich(letter)
	if got := seen(f); got != `object packed:a.exe,C:\a.exe,C:\a.exe` || f.Object != "Package" {
		t.Errorf("%q, %q", got, f.Object)
	}
}

// What is told names the class or the place.
func TestRichTold(t *testing.T) {
	var f office.Facts
	f.Rich(RTF(`\objemb\objupdate{\*\objclass Equation.3}`, Embedded("Word.Document.8", nil)))
	if f.Object != "Word.Document.8" || f.Updates != "Word.Document.8" || f.Equation != "Word.Document.8" {
		t.Errorf("%+v", f)
	}
	f = office.Facts{}
	f.Rich(RTF(`\objemb{\*\objclass Excel.Sheet.8}`, nil))
	if f.Object != "Excel.Sheet.8" {
		t.Errorf("%+v", f)
	}
	f = office.Facts{}
	f.Rich(RTF(`\objlink`, Linked("Word.Document.8", "https://a.example/x.doc")))
	if f.Remote != "a link to https://a.example/x.doc" {
		t.Errorf("%+v", f)
	}
}

// The address of a link is found in any compound file, and read no further than it goes.
func TestMoniker(t *testing.T) {
	whole := Moniker("https://a.example/x.hta")
	const length = 20 + 16
	for name, x := range map[string]struct {
		stream []byte
		want   string
	}{
		"web":       {whole, "a link to https://a.example/x.hta"},
		"page":      {Moniker("mhtml:https://a.example/x"), "a link to mhtml:https://a.example/x"},
		"host":      {Moniker(`\\a.example@80\x`), `a link to \\a.example@80\x`},
		"drive":     {Moniker(`C:\x.doc`), ""},
		"cut off":   {whole[:length+4+18], "a link to https://a"},
		"no length": {whole[:length], ""},
		"no mark":   {whole[length:], ""},
		"long":      {append(binary.LittleEndian.AppendUint32(bytes.Clone(whole[:length]), 1<<31), whole[length+4:]...), "a link to https://a.example/x.hta"},
	} {
		if length+4 > len(whole) {
			t.Fatal("the sample is too short")
		}
		var f office.Facts
		f.Compound(Compound(nil, Member{Name: "\x01Ole", Data: append(bytes.Clone(x.stream), make([]byte, 64)...)}))
		if f.Remote != x.want {
			t.Errorf("%s: %q, want %q", name, f.Remote, x.want)
		}
	}
}

// Objects beyond the bounds are counted, not kept.
func TestRichBounds(t *testing.T) {
	var letter []byte
	for range office.MaxPacked + 10 {
		letter = append(letter, RTF("", Package("a.txt", []byte("x")))...)
	}
	var f office.Facts
	f.Rich(letter)
	if len(f.Packed) != office.MaxPacked || !f.Incomplete || f.Spent == 0 {
		t.Errorf("%d files, incomplete: %v, spent %d", len(f.Packed), f.Incomplete, f.Spent)
	}
}

func FuzzRich(f *testing.F) {
	f.Add(Package("a.exe", PE()), false)
	f.Add(Linked("Word.Document.8", "http://a.example/"), true)
	f.Add(Embedded("OLE2Link", Compound(nil, Member{Name: "\x01Ole", Data: Moniker("http://a.example/")})), true)
	f.Add(Embedded("Equation.3", Compound(editor, Text("Equation Native", "x"))), false)
	f.Fuzz(func(t *testing.T, object []byte, update bool) {
		words := `\objemb`
		if update {
			words += `\objupdate`
		}
		var x office.Facts
		x.Rich(RTF(words, object))
		if x.Object == "" || update != (x.Updates != "") || len(x.Packed) > office.MaxPacked {
			t.Errorf("%q: %+v", object, x)
		}
	})
}
