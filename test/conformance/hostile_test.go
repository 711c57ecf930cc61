package conformance

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"postern/filter"
	"postern/filter/attach"
	"postern/internal/archive"
	"postern/internal/mime"
)

// eicar is the test virus, in two pieces so that this file is none.
const eicar = `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-` + `STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`

var eicar64 = base64.StdEncoding.EncodeToString([]byte(eicar))

// seen says how a message is caught: "found" where a scanner is given the virus in some reading,
// "unscannable" where it is said that it cannot be read for certain, "" where it passes as clean.
func seen(t *testing.T, raw string) string {
	t.Helper()
	data := []byte(raw)
	if bytes.Contains(data, []byte(eicar)) {
		return "found" // scanners get the whole message too
	}
	tree := mime.Bytes(data, mime.Limits{})
	for _, p := range tree.Parts {
		for _, r := range p.Readings() {
			if bytes.Contains(r, []byte(eicar)) {
				return "found"
			}
		}
	}
	found, err := (&attach.Check{}).Check(t.Context(), &filter.Message{Parts: func() (*mime.Tree, error) { return tree, nil }})
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(found, func(f filter.Finding) bool { return f.Symbol == attach.Unscannable }) {
		return "unscannable"
	}
	return ""
}

// virus is an attachment that holds the virus, behind the fields given.
func virus(fields string) string {
	return fields + "\r\n\r\n" + eicar64 + "\r\n"
}

const file64 = "Content-Type: application/octet-stream; name=a.exe\r\nContent-Transfer-Encoding: base64"

// TestAmbiguousMIME is group H-F of the hostile inputs: each carries the virus where some mail
// program finds it and others do not. None passes as clean.
func TestAmbiguousMIME(t *testing.T) {
	multi := func(contentType, boundary string) string {
		return "From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: " + contentType + "\r\n\r\npreamble\r\n--" + boundary + "\r\n\r\nhello\r\n--" + boundary + "\r\n" + virus(file64) + "--" + boundary + "--\r\n"
	}
	single := func(fields, body string) string {
		return "From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n" + fields + "\r\n\r\n" + body + "\r\n"
	}
	folded := eicar64[:20] + "\r\n" + eicar64[20:]
	for name, raw := range map[string]string{
		"F01 two boundaries, the first real":  multi(`multipart/mixed; boundary=A; boundary=B`, "A"),
		"F01 two boundaries, the second real": multi(`multipart/mixed; boundary=A; boundary=B`, "B"),
		"F02 the same twice":                  multi(`multipart/mixed; boundary=A; boundary=A`, "A"),
		"F02 in pieces":                       multi(`multipart/mixed; boundary*0=A; boundary*1=B`, "AB"),
		"F02 in pieces and whole, pieces":     multi(`multipart/mixed; boundary=X; boundary*0=A; boundary*1=B`, "AB"),
		"F02 in pieces and whole, whole":      multi(`multipart/mixed; boundary=X; boundary*0=A; boundary*1=B`, "X"),
		"F02 escaped":                         multi(`multipart/mixed; boundary*=us-ascii''A%42`, "AB"),
		"F03 open quote":                      multi(`multipart/mixed; boundary="A`, "A"),
		"F03 no semicolon":                    multi(`multipart/mixed boundary=A`, "A"),
		"F03 comment":                         multi(`multipart/mixed; boundary=(x)A`, "A"),
		"F03 comment behind":                  multi(`multipart/mixed; boundary=A(x)`, "A"),
		"F03 trailing blank":                  multi(`multipart/mixed; boundary="A "`, "A"),
		"F04 none":                            multi(`multipart/mixed`, "A"),
		"F04 empty":                           multi(`multipart/mixed; boundary=""`, ""),
		"F04 long":                            multi(`multipart/mixed; boundary=`+strings.Repeat("A", 200), strings.Repeat("A", 200)),
		"F04 that of the outer": "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=A\r\n\r\n--A\r\nContent-Type: multipart/mixed; boundary=A\r\n\r\n--A\r\n" +
			virus(file64) + "--A--\r\n--A--\r\n",
		"F04 beginning like the outer": "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=A\r\n\r\n--A\r\nContent-Type: multipart/mixed; boundary=AB\r\n\r\n--AB\r\n" +
			virus(file64) + "--AB--\r\n--A--\r\n",
		"F05 two types, multipart second": "From: a@b.example\r\nContent-Type: text/plain\r\n" + strings.TrimPrefix(multi(`multipart/mixed; boundary=A`, "A"), "From: a@b.example\r\n"),
		"F05 two types, multipart first":  "From: a@b.example\r\n" + strings.Replace(multi(`multipart/mixed; boundary=A`, "A"), "\r\n\r\n", "\r\nContent-Type: text/plain\r\n\r\n", 1),
		"F06 two encodings, base64 last":  single("Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64", eicar64),
		"F06 two encodings, base64 first": single("Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit", eicar64),
		"F06 with a parameter":            single("Content-Transfer-Encoding: base64;x", eicar64),
		"F06 with a comment":              single("Content-Transfer-Encoding: (x) base64", eicar64),
		"F06 of a multipart": "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=A\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
			base64.StdEncoding.EncodeToString([]byte("--A\r\n"+virus(file64)+"--A--\r\n")) + "\r\n",
		"F07 junk":          single("Content-Transfer-Encoding: base64", eicar64[:9]+"!*?"+eicar64[9:]),
		"F07 blanks":        single("Content-Transfer-Encoding: base64", " "+eicar64[:9]+" \t"+eicar64[9:]),
		"F07 NUL":           single("Content-Transfer-Encoding: base64", eicar64[:9]+"\x00"+eicar64[9:]),
		"F07 no padding":    single("Content-Transfer-Encoding: base64", strings.TrimRight(eicar64, "=")),
		"F07 early padding": single("Content-Transfer-Encoding: base64", "QQ==\r\n"+eicar64),
		"F07 second stream": single("Content-Transfer-Encoding: base64", "QUI=\r\n"+folded),
		"F08 broken escape": single("Content-Transfer-Encoding: quoted-printable", "=ZZ"+strings.ReplaceAll(eicar, "E", "=45")),
		"F08 split escape":  single("Content-Transfer-Encoding: quoted-printable", strings.ReplaceAll(strings.ReplaceAll(eicar, "A", "=41"), "S", "=\r\nS")),
		"F08 uuencode":      "From: a@b.example\r\n\r\nsee\r\nbegin 644 a.com\r\n" + uu(eicar) + "`\r\nend\r\n",
		"F08 yEnc":          "From: a@b.example\r\n\r\nsee\r\n=ybegin line=128 size=68 name=a.com\r\n" + yenc(eicar) + "\r\n=yend size=68\r\n",
		"F09 preamble":      "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=A\r\n\r\n" + virus(file64) + "--A\r\n\r\nhello\r\n--A--\r\n",
		"F09 epilogue":      "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=A\r\n\r\n--A\r\n\r\nhello\r\n--A--\r\n--A\r\n" + virus(file64) + "--A--\r\n",
		"F09 no end":        "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=A\r\n\r\n--A\r\n\r\nhello\r\n--A\r\n" + virus(file64),
		"F10 bare LF":       strings.ReplaceAll(multi(`multipart/mixed; boundary=A`, "A"), "\r\n", "\n"),
		"F10 bare CR":       strings.Replace(multi(`multipart/mixed; boundary=A`, "A"), "\r\nhello\r\n--A\r\n"+file64, "\r\nhello\r--A\r"+strings.ReplaceAll(file64, "\r\n", "\r"), 1),
		"F13 partial":       "From: a@b.example\r\nContent-Type: message/partial; id=x; number=1; total=2\r\n\r\nContent-Transfer-Encoding: base64\r\n\r\n" + eicar64[:40],
		"F13 elsewhere":     "From: a@b.example\r\nContent-Type: message/external-body; access-type=URL; URL=\"http://a.example\"\r\n\r\nContent-Type: text/plain\r\n\r\n",
		"E03 no separator":  "From: a@b.example\r\nno colon\r\n" + file64 + "\r\n\r\n" + eicar64,
		"E03 leading blank": " From: a@b.example\r\n" + file64 + "\r\n\r\n" + eicar64,
		"E04 blank name":    "From: a@b.example\r\nContent-Transfer-Encoding : base64\r\nContent-Type: application/octet-stream\r\n\r\n" + eicar64,
	} {
		how := seen(t, raw)
		if how == "" {
			t.Errorf("%s: passes as clean", name)
		}
		t.Logf("H-%s: %s", name, how)
	}
}

func uu(s string) string {
	var out strings.Builder
	for ; s != ""; s = s[min(45, len(s)):] {
		line := s[:min(45, len(s))]
		fmt.Fprintf(&out, "%c", ' '+len(line))
		for ; line != ""; line = line[min(3, len(line)):] {
			three := (line + "\x00\x00")[:3]
			for _, v := range []byte{three[0] >> 2, three[0]<<4 | three[1]>>4, three[1]<<2 | three[2]>>6, three[2]} {
				if v &= 63; v == 0 {
					out.WriteByte('`')
				} else {
					out.WriteByte(' ' + v)
				}
			}
		}
		out.WriteString("\r\n")
	}
	return out.String()
}

func yenc(s string) string {
	var out strings.Builder
	for i := range len(s) {
		c := s[i] + 42
		if c == 0 || c == '\n' || c == '\r' || c == '=' {
			out.WriteByte('=')
			c += 64
		}
		out.WriteByte(c)
	}
	return out.String()
}

// TestDisagreeingNames is H-F14 and H-F15: a file is what any reading of its name says.
func TestDisagreeingNames(t *testing.T) {
	for name, fields := range map[string]string{
		"F14 name alone":        "Content-Type: application/octet-stream; name=a.exe\r\nContent-Disposition: attachment; filename=a.txt",
		"F14 filename alone":    "Content-Type: application/octet-stream; name=a.txt\r\nContent-Disposition: attachment; filename=a.exe",
		"F14 RFC 2231":          "Content-Disposition: attachment; filename=a.txt; filename*=utf-8''a%2Eexe",
		"F14 RFC 2231 in parts": "Content-Disposition: attachment; filename=a.txt; filename*0=a.; filename*1=exe",
		"F14 RFC 2047":          "Content-Disposition: attachment; filename=\"=?utf-8?B?YS5leGU=?=\"",
		"F14 twice":             "Content-Disposition: attachment; filename=a.txt; filename=a.exe",
		"F15 NUL":               "Content-Disposition: attachment; filename*=utf-8''a.exe%00.txt",
		"F15 turned round":      "Content-Disposition: attachment; filename*=utf-8''a%E2%80%AEtxt.exe",
		"F15 trailing dot":      "Content-Disposition: attachment; filename=\"a.exe. .\"",
		"F15 long":              "Content-Disposition: attachment; filename=\"" + strings.Repeat("a", 64<<10) + ".exe\"",
		"F15 path":              "Content-Disposition: attachment; filename=\"../../a.exe\"",
	} {
		raw := []byte("From: a@b.example\r\n" + fields + "\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n")
		found, err := (&attach.Check{}).Check(t.Context(), message(raw))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(found, func(f filter.Finding) bool { return f.Symbol == attach.Program }) {
			t.Errorf("H-%s: %+v", name, found)
		}
	}
}

// TestHostileShapes is H-E01, H-E02, H-F11, H-F12: too much of anything ends at a limit that is
// said, and does not grow what is held.
func TestHostileShapes(t *testing.T) {
	deep := strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 1000)
	nested := strings.Builder{}
	for i := range 2000 {
		fmt.Fprintf(&nested, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	for name, raw := range map[string]string{
		"E01 fields":     strings.Repeat("X: y\r\n", 100_000) + "\r\nhello",
		"E02 one field":  "X: " + strings.Repeat("y", 3<<20) + "\r\n\r\nhello",
		"E02 folds":      "X: y\r\n" + strings.Repeat(" y\r\n", 200_000) + "\r\nhello",
		"F11 messages":   deep + "\r\nhello",
		"F11 multiparts": nested.String(),
		"F12 parts":      "Content-Type: multipart/mixed; boundary=A\r\n\r\n" + strings.Repeat("--A\r\n\r\n", 100_000),
	} {
		tree := mime.Bytes([]byte(raw), mime.Limits{})
		lim := mime.DefaultLimits()
		if len(tree.Unscannable) == 0 || len(tree.Parts) > lim.Parts || len(tree.Anomalies) > lim.Anomalies+len(mime.Kinds()) {
			t.Errorf("H-%s: %d parts, %d oddities, %q", name, len(tree.Parts), len(tree.Anomalies), tree.Unscannable)
		}
	}
}

// TestArchivesInMail is what group H-G wants beyond the walk's own tests: whatever the archive is,
// the mail is caught or said to be unreadable, and the walk keeps its budget.
func TestArchivesInMail(t *testing.T) {
	for name, x := range archivesOfH() {
		found, err := (&attach.Check{Limits: archive.Limits{}}).Check(t.Context(), message(mailWith(x.file, x.data)))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range found {
			if f.Symbol != attach.Type && !slices.Contains(got, f.Symbol) {
				got = append(got, f.Symbol)
			}
		}
		for _, want := range strings.Fields(x.want) {
			if !slices.Contains(got, want) {
				t.Errorf("H-%s: %v, wanted %s", name, found, want)
			}
		}
		if x.want == "" && len(got) > 0 {
			t.Errorf("H-%s: %v, wanted nothing", name, found)
		}
	}
}
