package complaint_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"

	"postern/abuse/complaint"
)

func parse(s string) complaint.Report { return complaint.Parse([]byte(s), complaint.Options{}) }

const reported = "Received: from a.example ([192.0.2.1]) by mx.example; Mon, 4 May 2026 05:02:01 +0000\r\nDKIM-Signature: v=1; d=a.example; b=abc\r\nFrom: =?utf-8?B?0JDQvdC90LA=?= <anna@a.example>\r\nTo: bob@y.example\r\n" +
	"Subject: =?utf-8?B?5Z6D5Zy+?=\r\nMessage-ID: <1@a.example>\r\nCFBL-Address: fbl@a.example; report=arf\r\nCFBL-Feedback-ID: f-77\r\n\r\nBuy \xc4\xe3\xba\xc3\r\n"

// mail is a multipart of the parts given, each with its header.
func mail(header, kind string, parts ...string) string {
	var b strings.Builder
	b.WriteString("From: Bob <bob@y.example>\r\nTo: abuse@a.example\r\n" + header + "MIME-Version: 1.0\r\nContent-Type: " + kind + "; boundary=\"bb\"\r\n\r\n")
	for _, p := range parts {
		b.WriteString("--bb\r\n" + p + "\r\n")
	}
	return b.String() + "--bb--\r\n"
}

const (
	words  = "Content-Type: text/plain; charset=utf-8\r\n\r\nPlease stop this, it is not the first time.\r\n"
	fields = "Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: x\r\nVersion: 1\r\nSource-IP: 192.0.2.1\r\nOriginal-Rcpt-To: <bob@y.example>\r\n"
	embed  = "Content-Type: message/rfc822\r\n\r\n" + reported
	report = "multipart/report; report-type=feedback-report"
)

// Every format is known, and the message comes out byte for byte.
func TestFormats(t *testing.T) {
	head := reported[:strings.Index(reported, "\r\n\r\n")]
	coded := base64.StdEncoding.EncodeToString([]byte(reported))
	for name, c := range map[string]struct {
		mail     string
		format   complaint.Format
		feedback string
		original string
		whole    bool
		problem  string
	}{
		"ARF":                     {mail("", report, words, fields, embed), complaint.ARF, "abuse", reported, true, ""},
		"ARF with a header":       {mail("", report, words, fields, "Content-Type: text/rfc822-headers\r\n\r\n"+head+"\r\n"), complaint.ARF, "abuse", head + "\r\n", false, ""},
		"ARF of a new kind":       {mail("", report, words, strings.Replace(fields, "abuse", "X-Quishing", 1), embed), complaint.ARF, "x-quishing", reported, true, ""},
		"ARF in a multipart":      {mail("", "multipart/mixed", words, "Content-Type: "+report+"; boundary=cc\r\n\r\n--cc\r\n"+words+"\r\n--cc\r\n"+fields+"\r\n--cc\r\n"+embed+"\r\n--cc--\r\n"), complaint.ARF, "abuse", reported, true, ""},
		"ARF without an end":      {strings.TrimSuffix(mail("", report, words, fields, embed), "\r\n--bb--\r\n"), complaint.ARF, "abuse", reported, true, ""},
		"ARF without types":       {mail("", report, words, strings.TrimPrefix(fields, "Content-Type: message/feedback-report"), embed), complaint.ARF, "abuse", reported, true, "the fields of the report stand in a part of type text/plain"},
		"ARF without a message":   {mail("", report, words, fields), complaint.ARF, "abuse", "", false, "the report has no part with the message"},
		"ARF with nothing in it":  {mail("", report, words, "Content-Type: message/feedback-report\r\nContent-Transfer-Encoding: base64\r\n\r\n@@@"), complaint.Unparsed, "", "", false, "the report has no part with the message"},
		"ARF in base64":           {mail("", report, words, fields, "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"+coded+"\r\n"), complaint.ARF, "abuse", reported, true, "the message was under base64; its bytes are what that decodes to"},
		"ARF behind a mbox line":  {mail("", report, words, fields, "Content-Type: message/rfc822\r\n\r\n>From a@b Mon May 4\r\n"+reported), complaint.ARF, "abuse", reported, true, "lines in front of the first field of the message were left out"},
		"CFBL":                    {strings.Replace(mail("", report, words, fields, embed), "To: abuse@a.example", "To: <fbl@a.example>", 1), complaint.CFBL, "abuse", reported, true, ""},
		"like JMRP":               {mail("", "multipart/mixed", "Content-Type: message/rfc822\r\n\r\nX-HmXmrOriginalRecipient: bob@y.example\r\n"+reported), complaint.CFBL, "", "X-HmXmrOriginalRecipient: bob@y.example\r\n" + reported, true, ""},
		"forward":                 {mail("", "multipart/mixed", words, embed), complaint.Forward, "", reported, true, ""},
		"forward of an eml":       {mail("", "multipart/mixed", words, "Content-Type: application/octet-stream; name=\"spam.EML\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"+coded+"\r\n"), complaint.Forward, "", reported, true, "the message was under base64; its bytes are what that decodes to"},
		"nothing but a message":   {"From: bob@y.example\r\nContent-Type: message/rfc822\r\n\r\n" + reported, complaint.Forward, "", reported, true, ""},
		"pasted":                  {"From: bob@y.example\r\n\r\nStop it!\r\n\r\n" + reported, complaint.Pasted, "", reported, true, "where the pasted message ends is not certain"},
		"pasted under base64":     {"From: bob@y.example\r\nContent-Transfer-Encoding: base64\r\n\r\n" + coded + "\r\n", complaint.Pasted, "", reported, true, "the text was under base64; the bytes of the message are what that decodes to"},
		"shown":                   {"From: bob@y.example\r\n\r\nStop it!\r\n\r\nFrom: Anna <anna@a.example>\r\nSent: Monday\r\nTo: b\r\nSubject: c\r\n\r\nbuy\r\n", complaint.Pasted, "", "From: Anna <anna@a.example>\r\nSent: Monday\r\nTo: b\r\nSubject: c\r\n\r\nbuy\r\n", true, "the header is the one a mail program shows, not that of the message"},
		"pasted into HTML":        {"From: bob@y.example\r\nContent-Type: text/html\r\n\r\n<p>Stop<br>From: Anna &lt;anna@a.example&gt;<br>Sent: Monday<br>To: b<br>Subject: c<br><br>buy", complaint.Pasted, "", "From: Anna <anna@a.example>\nSent: Monday\nTo: b\nSubject: c\nbuy", true, "the message was taken out of HTML; its bytes are not those of the message"},
		"bounce":                  {mail("", "multipart/report; report-type=delivery-status", words, "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\nFinal-Recipient: rfc822; x@y.example\r\nAction: failed\r\nStatus: 5.1.1\r\n", embed), complaint.DSN, "", reported, true, ""},
		"bounce in words":         {"From: MAILER-DAEMON@y.example\r\nSubject: failure notice\r\n\r\n<x@y.example>:\r\n550 5.1.1 unknown\r\n\r\n--- Below this line is a copy of the message.\r\n\r\n" + reported, complaint.DSN, "", reported, true, "the bounce has no part for programs; it is read out of its words"},
		"words":                   {"From: postmaster@y.example\r\nSubject: complaint\r\n\r\nWe received spam from anna@a.example, it was rejected with 550 5.7.1.\r\n", complaint.Plain, "", "", false, ""},
		"nothing":                 {"", complaint.Unparsed, "", "", false, "there is neither a report, nor a message, nor text in it"},
		"X-ARF of old":            {"From: a@b.example\r\nX-XARF: PLAIN\r\n\r\nSee the attachment.\r\n", complaint.Plain, "", "", false, "the report calls itself X-ARF of a version before 3, which is not read"},
		"a picture":               {"From: a@b.example\r\nContent-Type: image/png\r\n\r\nx", complaint.Unparsed, "", "", false, "nothing was read from an attachment of type image/png"},
		"XARF":                    {mail("", report, words, "Content-Type: message/feedback-report\r\n\r\nFeedback-Type: xarf\r\nUser-Agent: x\r\nVersion: 1\r\n", "Content-Type: application/json; name=xarf.json\r\n\r\n"+document(coded)), complaint.XARF4, "abuse", reported, true, ""},
		"XARF as the mail itself": {"From: a@b.example\r\nContent-Type: application/json\r\n\r\n" + document(coded), complaint.XARF4, "abuse", reported, true, ""},
		"XARF without a mail":     {document(coded), complaint.XARF4, "abuse", reported, true, ""},
		"XARF that is none":       {mail("", report, words, "Content-Type: message/feedback-report\r\n\r\nFeedback-Type: xarf\r\nUser-Agent: x\r\nVersion: 1\r\n", "Content-Type: application/json\r\n\r\n{\"xarf_version\":"), complaint.ARF, "xarf", "", false, "the report calls itself XARF and has no document that can be read"},
	} {
		raw := []byte(c.mail)
		before := bytes.Clone(raw)
		r := complaint.Parse(raw, complaint.Options{})
		if r.Format != c.format || r.Feedback != c.feedback || r.Whole != c.whole || c.original != "" && string(r.Original) != c.original || c.problem == "" && len(r.Problems) > 0 || !bytes.Equal(raw, before) {
			t.Errorf("%s: %+v\n%q", name, r, r.Original)
		}
		if !strings.Contains(strings.Join(r.Problems, "\n"), c.problem) {
			t.Errorf("%s: problems %q", name, r.Problems)
		}
	}
}

func document(payload string) string {
	return `{"xarf_version":"4.2.0","report_id":"r1","timestamp":"2026-05-04T05:02:01Z","reporter":{"org":"Y","contact":"a@y.example","domain":"y.example"},"source_identifier":"192.0.2.1","source_port":51514,` +
		`"category":"messaging","type":"spam","protocol":"smtp","smtp_from":"anna@a.example","_internal":{"secret":1},"evidence":[{"content_type":"text/plain","payload":"eA=="},{"content_type":"message/rfc822","payload":"` + payload + "\"}]}\n"
}

// What the message says of itself fills what the report does not say.
func TestClaims(t *testing.T) {
	c := parse(mail("", "multipart/mixed", words, embed)).Claims
	if c.Reporter != "bob@y.example" || c.MessageID != "<1@a.example>" || c.From != "anna@a.example" || c.Subject != "垃圾" || c.FeedbackID != "f-77" {
		t.Errorf("%+v", c)
	}
	c = parse(document("")).Claims
	if c.Reporter != "a@y.example" || c.SourcePort != 51514 || c.MailFrom != "anna@a.example" || c.ReportID != "r1" || c.Category != "messaging" || c.Type != "spam" || c.Arrival.IsZero() {
		t.Errorf("%+v", c)
	}
}

// Several messages in one report are all kept; one inside another is part of it: whoever
// sends spam in the clothes of a report does not get away with the report inside.
func TestOthers(t *testing.T) {
	second := "From: x@a.example\r\nSubject: two\r\n\r\nx\r\n"
	r := parse(mail("", "multipart/mixed", words, embed, "Content-Type: message/rfc822\r\n\r\n"+second))
	if string(r.Original) != reported || len(r.Others) != 1 || string(r.Others[0]) != second {
		t.Errorf("%q and %d others", r.Original, len(r.Others))
	}
	inner := strings.ReplaceAll(mail("", report, words, fields, "Content-Type: message/rfc822\r\n\r\n"+second), "bb", "inner")
	r = parse(mail("", "multipart/mixed", words, "Content-Type: message/rfc822\r\n\r\n"+inner))
	if r.Format != complaint.Forward || string(r.Original) != strings.TrimSuffix(inner, "") || len(r.Others) != 0 || r.Feedback != "" {
		t.Errorf("%+v", r)
	}
	if r = parse(mail("", "multipart/mixed", append([]string{words}, strings.Split(strings.Repeat(embed+"|", 60), "|")[:60]...)...)); len(r.Others) != complaint.OthersMost {
		t.Errorf("%d others", len(r.Others))
	}
}

func TestRedacted(t *testing.T) {
	for to, want := range map[string]bool{"bob@y.example": false, "rZ8cqXWGiKHzhz1MsFRGTysHia4=@y.example": true, "redacted@y.example": true, "xxxxx@y.example": true, "[redacted]": true, "averylongnamewithtwentyeight@y.example": false} {
		if r := parse(mail("", report, words, strings.Replace(fields, "bob@y.example", to, 1), embed)); r.Redacted != want {
			t.Errorf("%s: redacted %v", to, r.Redacted)
		}
	}
	if r := parse(mail("", report, words, fields, strings.Replace(embed, "To: bob@y.example", "To: [redacted]", 1))); !r.Redacted {
		t.Error("a recipient that was taken out of the message is not seen")
	}
}

// Text is readable and the bytes stay: the charsets of the desk, named or not.
func TestCharsets(t *testing.T) {
	for _, c := range []struct {
		name, text, lang string
		enc              encoding.Encoding
	}{
		{"gbk", "您好,我们收到了从贵公司服务器发出的垃圾邮件,请尽快处理。", "zh", simplifiedchinese.GBK},
		{"gb18030", "您好,我们收到了从贵公司服务器发出的垃圾邮件,请尽快处理。", "zh", simplifiedchinese.GB18030},
		{"big5", "您好,我們收到了從貴公司伺服器發出的垃圾郵件,請儘快處理。", "zh", traditionalchinese.Big5},
		{"koi8-r", "Здравствуйте, ваш клиент рассылает спам. Примите меры.", "ru", charmap.KOI8R},
		{"windows-1251", "Здравствуйте, ваш клиент рассылает спам. Примите меры.", "ru", charmap.Windows1251},
		{"iso-8859-7", "Καλημέρα, ο πελάτης σας στέλνει ανεπιθύμητα μηνύματα.", "el", charmap.ISO8859_7},
	} {
		body, err := c.enc.NewEncoder().Bytes([]byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range []string{"; charset=" + c.name, "", "; charset=us-ascii"} {
			raw := append([]byte("From: a@b.example\r\nContent-Type: text/plain"+declared+"\r\n\r\n"), body...)
			before := bytes.Clone(raw)
			r := complaint.Parse(raw, complaint.Options{})
			if r.Text != c.text || r.Language != c.lang || r.Format != complaint.Plain || !bytes.Equal(raw, before) {
				t.Errorf("%s%s: %q %s %v", c.name, declared, r.Text, r.Language, r.Problems)
			}
			if v := complaint.Safe(raw); strings.TrimSpace(v.Text) != c.text || !bytes.Equal(raw, before) {
				t.Errorf("%s%s: shown as %q", c.name, declared, v.Text)
			}
		}
		// The message inside keeps its charset, whatever that of the report is.
		inside := "From: x@a.example\r\n\r\n" + string(body) + "\r\n"
		if r := parse(mail("", report, words, fields, "Content-Type: message/rfc822\r\n\r\n"+inside)); string(r.Original) != inside {
			t.Errorf("%s: the message was changed: %q", c.name, r.Original)
		}
	}
}

func TestLanguage(t *testing.T) {
	for header, want := range map[string]string{"": "en", "Content-Language: el-GR\r\n": "el", "Content-Language: <script>\r\n": "en"} {
		if r := parse("From: a@b.example\r\n" + header + "\r\nPlease stop this, we have had enough of it.\r\n"); r.Language != want {
			t.Errorf("%q: %q", header, r.Language)
		}
	}
	if r := parse("From: a@b.example\r\nContent-Language: en\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nВаш клиент рассылает спам.\r\n"); r.Language != "ru" {
		t.Errorf("a program's setting counts more than the text: %q", r.Language)
	}
}

// Text of strangers moves no terminal and has its bounds.
func TestText(t *testing.T) {
	r := complaint.Parse([]byte("From: a@b.example\r\n\r\n\x1b[2Jhello\x00\x07 \u202eworld\r\n"+strings.Repeat("more \r\n", 1000)), complaint.Options{Text: 500})
	if strings.ContainsAny(r.Text, "\x1b\x00\x07\u202e") || len(r.Text) > 600 || !strings.Contains(r.Text, "hello") || len(r.Problems) == 0 {
		t.Errorf("%q %v", r.Text, r.Problems)
	}
	if r := parse("From: a@b.example\r\nContent-Type: text/html; charset=utf-7\r\n\r\n+ADw-b+AD4-hi+ADw-/b+AD4-"); r.Text != "hi" || !strings.Contains(fmt.Sprint(r.Problems), "UTF-7") {
		t.Errorf("UTF-7: %q %v", r.Text, r.Problems)
	}
}
