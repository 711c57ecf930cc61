package complaint_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"postern/abuse/complaint"
)

func field(v complaint.View, name string) (complaint.ViewField, bool) {
	for _, f := range v.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return complaint.ViewField{}, false
}

// A view shows what there is, and leads nowhere.
func TestSafe(t *testing.T) {
	raw := []byte("Received: from a.example ([192.0.2.1]) by mx.example; x\r\nX-Postern-Trace: v1.abc\r\nX-Color: http://blue.example\r\nSubject: =?utf-8?B?0KHQv9Cw0Lw=?= \u202eevil\r\nDKIM-Signature: v=1; d=a.example\r\n" +
		"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<script>alert(1)</script><img src=\"http://track.example/p.gif\"><p>Dear Bob, <a href=\"https://Bad.example/login?u=1\">www.bank.example</a></p>\r\n" +
		"--x\r\nContent-Type: text/plain\r\n\r\nhxxp stays; HTTP://evil.example/x javascript:alert(1) mailto:a@b.example www.c.example\x1b[2J\r\n--x\r\nContent-Type: application/zip; name=\"a\u202egpj.zip\"\r\nContent-Transfer-Encoding: base64\r\n\r\nUEsDBA==\r\n--x--\r\n")
	before := bytes.Clone(raw)
	v := complaint.Safe(raw)
	if !bytes.Equal(raw, before) {
		t.Error("the bytes were changed")
	}
	for name, want := range map[string]complaint.ViewField{
		"Subject":         {Name: "Subject", Value: "Спам  evil", Lit: true},
		"X-Postern-Trace": {Name: "X-Postern-Trace", Value: "v1.abc", Lit: true},
		"X-Color":         {Name: "X-Color", Value: "hxxp://blue[.]example"},
		"MIME-Version":    {Name: "MIME-Version", Value: "1.0"},
		"DKIM-Signature":  {Name: "DKIM-Signature", Value: "v=1; d=a.example", Lit: true},
	} {
		if got, ok := field(v, name); !ok || got != want {
			t.Errorf("%s is %+v", name, got)
		}
	}
	all := fmt.Sprint(v)
	for _, bad := range []string{"http://", "https://", "HTTP://", "javascript:a", "mailto:a", "www.bank", "www.c.", "\x1b", "\u202e", "alert(1)</script>"} {
		if strings.Contains(all, bad) {
			t.Errorf("%q is in the view: %s", bad, all)
		}
	}
	for _, good := range []string{"Dear Bob", "hxxps://Bad[.]example/login", "www[.]bank[.]example", "Hxxp", "javascript[:]alert"} {
		if !strings.Contains(strings.ReplaceAll(all, "HxxP", "Hxxp"), good) {
			t.Errorf("%q is not in the view: %s", good, all)
		}
	}
	sum := sha256.Sum256([]byte("PK\x03\x04"))
	if last := v.Parts[len(v.Parts)-1]; len(v.Parts) != 3 || last.Type != "application/zip" || last.Size != 4 || last.SHA256 != hex.EncodeToString(sum[:]) || last.Name != "a gpj.zip" {
		t.Errorf("parts %+v", v.Parts)
	}
}

// Fields in a charset nobody names are read like the text beside them.
func TestSafeHeader(t *testing.T) {
	text, err := simplifiedchinese.GBK.NewEncoder().Bytes([]byte("您好,我们收到了从贵公司服务器发出的垃圾邮件。"))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := simplifiedchinese.GBK.NewEncoder().Bytes([]byte("促销 "))
	if err != nil {
		t.Fatal(err)
	}
	raw := append(append(append([]byte("Subject: "), subject...), "\r\nX-Long: "+strings.Repeat("word ", 5000)+"\r\n\r\n"...), text...)
	v := complaint.Safe(raw)
	if f, _ := field(v, "Subject"); f.Value != "促销" {
		t.Errorf("subject %q, read as %v", f.Value, v.Charsets)
	}
	if f, _ := field(v, "X-Long"); len(f.Value) > 4000 || strings.Contains(f.Value, "  ") || strings.Contains(f.Value, "wordword") {
		t.Errorf("a long field of %d bytes: %.80q", len(f.Value), f.Value)
	}
	v = complaint.Safe([]byte(strings.Repeat("A: b\r\n", 900) + "\r\nx"))
	if len(v.Fields) != 300 || len(v.Problems) == 0 {
		t.Errorf("%d fields, %v", len(v.Fields), v.Problems)
	}
}

func TestDefang(t *testing.T) {
	for in, want := range map[string]string{
		"see http://a.example/b.html, ok":   "see hxxp://a[.]example/b.html, ok",
		"HTTPS://user@A.example:8443?q=1.2": "HxxPS://user@A[.]example:8443?q=1.2",
		"http://a.example http://b.example": "hxxp://a[.]example hxxp://b[.]example",
		"ftp://a.example data:text/html,x":  "ftp[:]//a.example data[:]text/html,x",
		"Data: 5 and file: x":               "Data: 5 and file: x",
		"www.A.example.":                    "www[.]A[.]example[.]",
		"hxxp://a[.]example":                "hxxp://a[.]example",
		"a.b.c":                             "a.b.c",
		"http:// broken":                    "hxxp:// broken",
		"seehttp://a.example":               "seehxxp://a[.]example",
	} {
		if got := complaint.Defang(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

// Whatever the bytes are: there is a report and a view, inside their bounds, and the bytes
// stay.
func FuzzParse(f *testing.F) {
	f.Add([]byte(mail("", report, words, fields, embed)))
	f.Add([]byte(mail("", "multipart/mixed", words, embed, embed)))
	f.Add([]byte(document("RnJvbTogYQ0KDQpi")))
	f.Add([]byte("From: a@b.example\r\nContent-Type: text/plain; charset=gbk\r\n\r\n\xc4\xe3\xba\xc3\r\n\r\n" + reported))
	f.Add([]byte("From: a@b.example\r\nContent-Type: text/html\r\n\r\n<p>Stop<br>From: Anna<br>Sent: Monday<br>To: b<br>Subject: c<br><br>http://x"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		r := complaint.Parse(raw, complaint.Options{})
		v := complaint.Safe(raw)
		if !bytes.Equal(before, raw) {
			t.Fatal("reading changed the bytes")
		}
		if r.Format == "" || r.Format == complaint.Unparsed && len(r.Problems) == 0 || len(r.Problems) > 20 || r.Original != nil && len(r.Original) == 0 || len(r.Text) > 70<<10 {
			t.Fatalf("%+v", r)
		}
		if strings.ContainsAny(r.Text, "\x1b\x00\r") || strings.Contains(v.Text, "http://") || strings.ContainsAny(v.Text, "\x1b\x00") {
			t.Fatalf("%q\n%q", r.Text, v.Text)
		}
	})
}
