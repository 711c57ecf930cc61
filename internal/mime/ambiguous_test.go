package mime_test

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"postern/internal/mime"
	"postern/internal/mime/oddity"
)

// eicar is the harmless test virus, cut in two so that no scanner finds it in this file.
const eicar = `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-` + `ANTIVIRUS-TEST-FILE!$H+H*`

// b64 is eicar in base64, in lines.
var b64 = base64.StdEncoding.EncodeToString([]byte(eicar))

// attached is the part that carries the virus.
var attached = "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n" +
	"Content-Disposition: attachment; filename=eicar.com\n\n" + b64 + "\n"

func parse(mail string) *mime.Tree {
	return mime.Bytes(crlf([]byte(mail)), mime.Limits{})
}

// hit reports whether a scanner that is given all readings finds the virus.
func hit(t *mime.Tree) bool {
	for _, p := range t.Parts {
		for _, r := range p.Readings() {
			if bytes.Contains(r, []byte(eicar)) {
				return true
			}
		}
	}
	return false
}

const top = "From: a@example.com\nSubject: s\nMIME-Version: 1.0\n"

// body is a multipart of a text and the attachment, delimited by b.
func body(b string) string {
	return "\n--" + b + "\nContent-Type: text/plain\n\nhello\n--" + b + "\n" + attached + "--" + b + "--\n"
}

// TestAmbiguousMailHidesNothing: whatever reading a mail program takes, the virus is among
// the readings, or the mail is unscannable.
func TestAmbiguousMailHidesNothing(t *testing.T) {
	multi := func(ct string) string { return top + ct + "\n" + body("B") }
	leaf := func(fields, content string) string {
		return top + "Content-Type: application/octet-stream; name=eicar.com\n" + fields + "\n" + content + "\n"
	}
	plainMulti := "Content-Type: multipart/mixed; boundary=B"
	for name, tc := range map[string]struct {
		mail  string
		kind  mime.Kind // an anomaly that must be noted; "" = none
		clean bool      // must not be unscannable
	}{
		"plain":                      {multi(plainMulti), "", true},
		"two boundaries, first real": {multi("Content-Type: multipart/mixed; boundary=B; boundary=C"), oddity.ParamOdd, true},
		"two boundaries, last real":  {multi("Content-Type: multipart/mixed; boundary=C; boundary=B"), oddity.ParamOdd, true},
		"both boundaries real": {top + "Content-Type: multipart/mixed; boundary=C; boundary=B\n\n--C\n\nharmless\n--B\n" + attached + "--B--\n--C--\n",
			oddity.TwoBoundaries, false},
		"boundary*0":             {multi("Content-Type: multipart/mixed; boundary*0=\"\"; boundary*1=B"), "", true},
		"boundary* and boundary": {multi("Content-Type: multipart/mixed; boundary=C; boundary*=us-ascii'en'B"), oddity.ParamOdd, true},
		"boundary* wrong":        {multi("Content-Type: multipart/mixed; boundary=B; boundary*0=C"), oddity.ParamOdd, true},
		"open quote":             {multi(`Content-Type: multipart/mixed; boundary="B`), oddity.ParamOdd, true},
		"missing semicolon":      {multi("Content-Type: multipart/mixed boundary=B"), oddity.ParamOdd, true},
		"missing second one":     {multi(`Content-Type: multipart/mixed; charset="x" boundary=B`), oddity.ParamOdd, true},
		"comment":                {multi("Content-Type: multipart(x)/mixed; (y) boundary(z)=B(w)"), oddity.ParamOdd, true},
		"trailing blank":         {multi("Content-Type: multipart/mixed; boundary=\"B  \""), "", true},
		"single quotes":          {multi("Content-Type: multipart/mixed; boundary='B'"), "", true},
		"folded":                 {multi("Content-Type: multipart/mixed;\n\tboundary\n =\n B"), "", true},
		"upper case":             {multi("CONTENT-TYPE: MULTIPART/MIXED; BOUNDARY=B"), "", true},
		"no boundary":            {multi("Content-Type: multipart/mixed"), oddity.BoundaryMissing, true},
		"empty boundary":         {multi(`Content-Type: multipart/mixed; boundary=""`), oddity.BoundaryMissing, true},
		"wrong boundary":         {multi("Content-Type: multipart/mixed; boundary=nope"), oddity.BoundaryMissing, true},
		"long boundary": {top + "Content-Type: multipart/mixed; boundary=" + strings.Repeat("x", 200) + "\n" + body(strings.Repeat("x", 200)),
			oddity.BoundaryLong, true},
		"inner equals outer":         {top + plainMulti + "\n\n--B\n" + plainMulti + "\n\n--B\n" + attached + "--B--\n--B--\n", "", false},
		"inner begins with outer":    {top + plainMulti + "\n\n--B\nContent-Type: multipart/mixed; boundary=BB\n\n--BB\n" + attached + "--BB--\n--B--\n", "", true},
		"prefix delimiter":           {top + plainMulti + "\n\n--B\n\nhello\n--Bxyz\n" + attached + "--B--\n", oddity.NestedBoundaryGame, false},
		"two types, multipart last":  {multi("Content-Type: text/plain\n" + plainMulti), oddity.TypeConflict, false},
		"two types, multipart first": {multi(plainMulti + "\nContent-Type: text/plain"), oddity.TypeTwice, true},
		"two types, two boundaries":  {multi("Content-Type: multipart/mixed; boundary=C\n" + plainMulti), oddity.TypeTwice, true},
		"type without subtype":       {multi("Content-Type: multipart; boundary=B"), oddity.TypeBroken, false},
		"name before colon":          {multi("Content-Type : multipart/mixed; boundary=B"), oddity.HeaderBlankName, false},
		"NUL in the name":            {multi("Content\x00-Type: multipart/mixed; boundary=B"), oddity.HeaderNUL, false},
		"bad line before":            {multi("this is no field\n" + plainMulti), oddity.HeaderNoColon, false},
		"blank fold":                 {multi("X: y\n \n" + plainMulti), oddity.HeaderBlankFold, false},

		"two encodings":          {leaf("Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n", b64), oddity.EncodingConflict, false},
		"two encodings reversed": {leaf("Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: 7bit\n", b64), oddity.EncodingConflict, false},
		"base64;x":               {leaf("Content-Transfer-Encoding: base64;x\n", b64), oddity.EncodingUnknown, true},
		"base64 comment":         {leaf("Content-Transfer-Encoding: (a)base64(b)\n", b64), oddity.EncodingUnknown, true},
		"quoted":                 {leaf("Content-Transfer-Encoding: \"base64\"\n", b64), oddity.EncodingUnknown, true},
		"unknown":                {leaf("Content-Transfer-Encoding: foo\n", b64), oddity.EncodingUnknown, true},
		"junk":                   {leaf("Content-Transfer-Encoding: base64\n", b64[:10]+"!*-"+b64[10:]), oddity.Base64Broken, true},
		"junk behind":            {leaf("Content-Transfer-Encoding: base64\n", b64+"\n-- \nlist footer"), oddity.Base64Broken, true},
		"NUL inside":             {leaf("Content-Transfer-Encoding: base64\n", b64[:10]+"\x00"+b64[10:]), oddity.Base64Broken, true},
		"leading blank":          {leaf("Content-Transfer-Encoding: base64\n", " \n "+b64), "", true},
		"no padding":             {leaf("Content-Transfer-Encoding: base64\n", strings.TrimRight(b64, "=")), "", true},
		"second stream":          {leaf("Content-Transfer-Encoding: base64\n", "aGVsbG8gdGhlcmU=\n"+b64), oddity.Base64Broken, true},
		"early padding":          {leaf("Content-Transfer-Encoding: base64\n", "=="+b64), oddity.Base64Broken, true},
		"padding inside":         {leaf("Content-Transfer-Encoding: base64\n", b64[:8]+"=="+b64[8:]), "", true},
		"quoted-printable split": {leaf("Content-Transfer-Encoding: quoted-printable\n", "=5\n8"+eicar[1:]), oddity.QuotedBroken, true},
		"quoted-printable bad":   {leaf("Content-Transfer-Encoding: quoted-printable\n", eicar+"=ZZ"), oddity.QuotedBroken, true},
		"soft break with blanks": {leaf("Content-Transfer-Encoding: quoted-printable\n", eicar[:9]+"= \t\n"+eicar[9:]), "", true},
		"base64 on multipart": {top + plainMulti + "\nContent-Transfer-Encoding: base64\n\n" +
			base64.StdEncoding.EncodeToString(crlf([]byte(body("B")))), oddity.EncodedMultipart, false},
		"message in base64": {top + "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" +
			base64.StdEncoding.EncodeToString(crlf([]byte(top+attached))), "", true},

		"preamble":         {top + plainMulti + "\n\n" + attached + "\n--B\n\nhello\n--B--\n", oddity.PartOutside, false},
		"epilogue":         {top + plainMulti + "\n\n--B\n\nhello\n--B--\n\n" + attached, oddity.PartOutside, false},
		"behind the last":  {top + plainMulti + "\n\n--B\n\nhello\n--B--\n--B\n" + attached + "--B--\n", oddity.PartOutside, false},
		"never closed":     {top + plainMulti + "\n\n--B\n\nhello\n--B\n" + attached, oddity.BoundaryOpen, true},
		"empty line first": {top + plainMulti + "\n\n--B\n\n" + attached + "--B--\n", oddity.HeaderEndConflict, false},
		"digest":           {top + "Content-Type: multipart/digest; boundary=B\n\n--B\n\n" + top + attached + "--B--\n", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			tree := parse(tc.mail)
			if !hit(tree) && len(tree.Unscannable) == 0 {
				t.Errorf("the virus is in no reading and the mail counts as read: %v", tree.Anomalies)
			}
			if tc.clean && len(tree.Unscannable) > 0 {
				t.Errorf("unscannable: %v", tree.Unscannable)
			}
			if tc.kind != "" && !tree.Has(tc.kind) {
				t.Errorf("anomalies %v lack %s", tree.Anomalies, tc.kind)
			}
			if tc.kind == "" && len(tree.Anomalies) > 0 && tc.clean {
				t.Logf("anomalies: %v", tree.Anomalies)
			}
		})
	}
}

func TestEmbeddedFilesAreParts(t *testing.T) {
	var enc strings.Builder
	enc.WriteString("=ybegin line=128 size=68 name=eicar.com\n")
	for _, c := range []byte(eicar) {
		switch c += 42; c {
		case 0, '\n', '\r', '=':
			enc.WriteByte('=')
			c += 64
		}
		enc.WriteByte(c)
	}
	enc.WriteString("\n=yend size=68\n")
	for name, text := range map[string]string{"uuencode": uuencode("eicar.com", []byte(eicar)), "yenc": enc.String()} {
		raw := []byte(strings.ReplaceAll(top+"Content-Transfer-Encoding: 8bit\n\nSee below.\n\n", "\n", "\r\n") + strings.ReplaceAll(text, "\n", "\r\n"))
		tree := mime.Bytes(raw, mime.Limits{})
		if !hit(tree) || !slices.Contains(tree.FileNames(), "eicar.com") || !tree.Has(oddity.EmbeddedFile) {
			t.Errorf("%s: hit %v, names %q", name, hit(tree), tree.FileNames())
		}
		if n := len(slices.Collect(tree.Alternatives())); n != 1 {
			t.Errorf("%s: %d alternatives, want the file", name, n)
		}
	}
}

func uuencode(name string, data []byte) string {
	var sb strings.Builder
	sb.WriteString("begin 644 " + name + "\n")
	ch := func(v byte) byte {
		if v == 0 {
			return '`'
		}
		return v + ' '
	}
	for len(data) > 0 {
		n := min(len(data), 45)
		sb.WriteByte(ch(byte(n)))
		l := append(bytes.Clone(data[:n]), 0, 0)
		for i := 0; i < n; i += 3 {
			sb.Write([]byte{ch(l[i] >> 2), ch(l[i]<<4&0x30 | l[i+1]>>4), ch(l[i+1]<<2&0x3c | l[i+2]>>6), ch(l[i+2] & 0x3f)})
		}
		sb.WriteByte('\n')
		data = data[n:]
	}
	sb.WriteString("`\nend\n")
	return sb.String()
}

func TestBareCRStructure(t *testing.T) {
	raw := []byte("From: a@example.com\r\nSubject: s\rContent-Type: multipart/mixed; boundary=B\r\n\r\n" + strings.ReplaceAll(body("B"), "\n", "\r"))
	tree := mime.Bytes(raw, mime.Limits{})
	if !hit(tree) || len(tree.Unscannable) == 0 || !tree.Has(oddity.LineEndConflict) {
		t.Errorf("hit %v, %v", hit(tree), tree.Anomalies)
	}
	from := mime.Bytes([]byte("From: good@example.com\r\nX: y\rFrom: evil@example.net\r\n\r\nhello\r\n"), mime.Limits{}).From()
	if len(from) != 2 || from[1].Domain != "example.net" {
		t.Errorf("From = %v, want the one behind the bare CR too", from)
	}
}

func TestBareLFInCRLFMail(t *testing.T) {
	raw := append(crlf([]byte(top+"Content-Type: multipart/mixed; boundary=B\n")), []byte(body("B"))...)
	tree := mime.Bytes(raw, mime.Limits{})
	if !hit(tree) || !tree.Has(oddity.MixedLineEnds) || len(tree.Unscannable) > 0 {
		t.Errorf("hit %v, %v", hit(tree), tree.Anomalies)
	}
}

func TestMessagesThatAreNotWhole(t *testing.T) {
	for ct, kind := range map[string]mime.Kind{
		"message/partial; id=x; number=1; total=2":                 oddity.Partial,
		"message/external-body; access-type=URL; URL=\"http://x\"": oddity.ExternalBody,
	} {
		tree := parse(top + "Content-Type: " + ct + "\n\n" + attached)
		if len(tree.Unscannable) != 1 || !tree.Has(kind) || !hit(tree) {
			t.Errorf("%s: %v %v, hit %v", ct, tree.Unscannable, tree.Anomalies, hit(tree))
		}
	}
}

func TestFileNameReadings(t *testing.T) {
	for field, want := range map[string][]string{
		"Content-Disposition: attachment; filename=\"a.exe\x00.txt\"":                             {"a.exe", "a.exe.txt"},
		"Content-Disposition: attachment; filename=\"invoice\u202excod.exe\"":                     {"invoicexcod.exe"},
		"Content-Disposition: attachment; filename=\"../../etc/passwd\"":                          {"passwd"},
		"Content-Disposition: attachment; filename=\"C:\\\\dir\\\\x.exe\"":                        {"x.exe"},
		"Content-Disposition: attachment; filename=\"C:\\dir\\x.exe\"":                            {"x.exe", `C:dirx.exe`},
		"Content-Disposition: attachment; filename=\"x.exe. . \"":                                 {"x.exe"},
		"Content-Disposition: attachment; filename*=UTF-8''%e2%82%ac%20rates.exe; filename=r.txt": {"€ rates.exe", "r.txt"},
		"Content-Type: application/x; name=\"=?utf-8?B?4oKsLmV4ZQ==?=\"":                          {"€.exe"},
		"Content-Type: application/x; name==?utf-8?Q?a=2Eexe?=":                                   {"a.exe"},
		"Content-Disposition: attachment; filename=my file.exe":                                   {"my file.exe"},
		"Content-Disposition: attachment; filename=\"" + strings.Repeat("a", 65536) + ".exe\"":    {strings.Repeat("a", 996) + ".exe"},
	} {
		tree := parse(top + field + "\n\nx")
		for _, w := range want {
			if !slices.Contains(tree.FileNames(), w) {
				t.Errorf("%.100q: names %.300q lack %q", field, tree.FileNames(), w)
			}
		}
		if len(tree.Unscannable) > 0 {
			t.Errorf("%.100q: %v", field, tree.Unscannable)
		}
	}
	tree := parse(top + "Content-Type: image/png; name=a.png\nContent-Disposition: attachment; filename=b.exe\n\nx")
	if !tree.Has(oddity.NameConflict) {
		t.Errorf("names that disagree are not noted: %v", tree.Anomalies)
	}
}
