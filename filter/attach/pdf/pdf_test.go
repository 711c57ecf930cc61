package pdf_test

import (
	"fmt"
	"strings"
	"testing"

	"postern/filter/attach/pdf"
	"postern/internal/mailtest/samples"
)

func seen(f pdf.Facts) string {
	var out []string
	for _, x := range []struct {
		word string
		is   bool
	}{{"launch", f.Launch}, {"script", f.Script}, {"opens", f.Opens}, {"files", f.Embedded}, {"encrypted", f.Encrypted}, {"link", f.LinkOnly}, {"cut", f.Cut}} {
		if x.is {
			out = append(out, x.word)
		}
	}
	return strings.Join(out, " ")
}

const all = 1 << 30

func TestLook(t *testing.T) {
	page, link := "<</Type /Page>>", "<</S /URI /URI (https://a.example/x)>>"
	words := strings.Repeat("Some words of a letter. ", 30)
	for name, x := range map[string]struct {
		objects []string
		want    string
	}{
		"letter":               {[]string{page, "stream \n(" + words + ") Tj"}, ""},
		"launch":               {[]string{"<</S/Launch/F(cmd.exe)>>"}, "launch"},
		"launch, escaped":      {[]string{"<</#53 /L#61un#63h>>"}, "launch"},
		"a name like it":       {[]string{"<</T /Launcher /Launch 5>>"}, ""},
		"launch at opening":    {[]string{"<</OpenAction <</S /Launch>>>>"}, "launch opens"},
		"goes to its page":     {[]string{"<</OpenAction [1 0 R /Fit]>>"}, ""},
		"sends a form":         {[]string{"<</OpenAction 3 0 R>>", "<</S /SubmitForm>>"}, "opens"},
		"sends when asked":     {[]string{"<</S /SubmitForm>>"}, ""},
		"script":               {[]string{"<</JS 4 0 R>>"}, "script"},
		"script in a stream":   {[]string{"stream /Type /ObjStm\n<</S /JavaScript>>"}, "script"},
		"script, escaped":      {[]string{"stream /Type /Obj#53tm\n<</S /#4aavaScript>>"}, "script"},
		"script in a picture":  {[]string{"stream /Subtype /Image\n<</S /JavaScript>>"}, ""},
		"files":                {[]string{"<</Names <</EmbeddedFiles 3 0 R>>>>"}, "files"},
		"encrypted":            {[]string{page, link, "<</Encrypt 4 0 R>>"}, "encrypted"},
		"a link":               {[]string{page, link, "stream \n(Open) Tj"}, "link"},
		"a link, hexadecimal":  {[]string{page, link, "stream \n[<004f00700065006e>] TJ"}, "link"},
		"a link, not packed":   {[]string{page, link, "<<>>\nstream\n(Open) Tj\nendstream"}, "link"},
		"a link in a letter":   {[]string{page, link, "stream \n(" + words + ") Tj"}, ""},
		"a link in hex letter": {[]string{page, link, "stream \n<" + strings.Repeat("0041", 300) + "> Tj"}, ""},
		"a link in a book":     {[]string{page, page, page, link}, ""},
		"mail to":              {[]string{page, "<</URI (mailto:a@b.example)>>"}, ""},
		"other filters":        {[]string{"<</Type /ObjStm /Filter [/ASCII85Decode /FlateDecode]>>\nstream\nx\nendstream"}, "cut"},
		"open stream":          {[]string{"<</Type /ObjStm /Filter /FlateDecode>>\nstream\nabc"}, ""},
		"comment":              {[]string{"\n%/S /Launch\n"}, ""},
	} {
		if got := seen(pdf.Look(samples.PDF(x.objects...), all)); got != x.want {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
}

// Streams that expand without end, and very many of them, cost no more than the bounds.
func TestBounds(t *testing.T) {
	bomb := "stream /Type /ObjStm\n" + strings.Repeat(" ", 8<<20)
	var list []string
	for range 30 {
		list = append(list, bomb)
	}
	f := pdf.Look(samples.PDF(list...), all)
	if !f.Cut || f.Spent > 17<<20 {
		t.Errorf("%+v", f)
	}
	if f := pdf.Look(samples.PDF(list...), 1000); !f.Cut || f.Spent > 1100 {
		t.Errorf("%+v", f)
	}
	var many strings.Builder
	for range 3000 {
		many.WriteString("1 0 obj <<>>\nstream\nx\nendstream\n")
	}
	if f := pdf.Look([]byte(many.String()), all); !f.Cut {
		t.Errorf("%+v", f)
	}
}

func BenchmarkLook(b *testing.B) {
	var list []string
	for i := range 60 {
		var text strings.Builder
		for j := range 2000 {
			fmt.Fprintf(&text, "(line %d of %d) Tj ", j*j*7919, i)
		}
		list = append(list, "<</Type /Page>>", "stream \n"+text.String())
	}
	data := samples.PDF(list...)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		pdf.Look(data, all)
	}
}

func FuzzLook(f *testing.F) {
	f.Add(samples.PDF("<</OpenAction <</S /L#61unch>>>>", "<</Type /Page>>", "<</URI (http://a.example)>>", "stream \n(x) Tj <0041> Tj"))
	f.Add(samples.PDF("stream /Type /ObjStm\n<</S /JavaScript>>"))
	f.Add([]byte("obj /FlateDecode stream\r\nendstream stream"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if x := pdf.Look(b, 1<<16); x.Spent > 1<<16+1 {
			t.Errorf("%+v", x)
		}
	})
}
