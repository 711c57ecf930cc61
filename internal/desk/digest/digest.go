// Package digest writes the letters to recipients: what was held for them, and the link that
// lets them in. What strangers wrote stands in them as text that no program makes a link of.
package digest

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"postern/internal/desk/words"
)

//go:embed letter.html
var files embed.FS

// MaxLines is how many messages one letter lists.
const MaxLines = 50

// maxText bounds what is shown of a sender or a subject, in characters.
const maxText = 120

// Link is something that can be done.
type Link struct{ Text, URL string }

// Line is one message.
type Line struct {
	From, Subject string
	At            time.Time
	Reason        string // in words of the letter's language
	Links         []Link
}

// Letter is what a letter is made of.
type Letter struct {
	From, To, Host string
	ID             string // Message-ID without its brackets
	Date           time.Time
	Language       *words.Language
	Zone           *time.Location
	Lines          []Line
	More           int    // messages that are not listed
	All, Settings  string // addresses of pages
	OneTime        string // link of Enter
}

// invisible stands around the signs without which nothing is an address or a link.
const invisible = "\u200c"

var linkish = regexp.MustCompile(`[.:@/]`)

// Inert is text of strangers that can neither hide, reorder nor be clicked.
func Inert(s string) string {
	s = strings.Map(func(c rune) rune {
		switch {
		case c == '\t' || c == '\n' || c == '\r':
			return ' '
		case c < 0x20 || c == 0x7f || c >= 0x80 && c < 0xa0, c == utf8.RuneError:
			return '\uFFFD'
		case c >= 0x200b && c <= 0x200f || c >= 0x202a && c <= 0x202e || c >= 0x2060 && c <= 0x206f || c == 0xfeff || c == 0x2028 || c == 0x2029:
			return -1
		}
		return c
	}, s)
	if r := []rune(s); len(r) > maxText {
		s = string(r[:maxText]) + "…"
	}
	return linkish.ReplaceAllString(s, invisible+"$0"+invisible)
}

// view is what the HTML of a letter needs.
type view struct {
	Letter
	Title, Intro, How, MoreText, AllText, SettingsText, Machine string
	Labels                                                      [4]string
	Rows                                                        []row
}

type row struct {
	From, Subject, At, Reason string
	Links                     []Link
}

func (d Letter) view() view {
	l := d.Language
	v := view{
		Letter: d, Title: l.Say("digest.subject", "n", int64(len(d.Lines)+d.More)), Intro: l.Say("digest.intro", "address", d.To, "host", d.Host),
		How: l.Say("digest.how"), AllText: l.Say("digest.all"), SettingsText: l.Say("digest.settings"), Machine: l.Say("digest.machine"),
		Labels: [4]string{l.Say("own.from"), l.Say("own.subject"), l.Say("own.at"), l.Say("own.reason")},
	}
	if d.More > 0 {
		v.MoreText = l.Say("digest.more", "n", int64(d.More))
	}
	for _, x := range d.Lines {
		r := row{From: Inert(x.From), Subject: Inert(x.Subject), At: l.Time(x.At.In(d.Zone)), Reason: x.Reason, Links: x.Links}
		if r.From == "" {
			r.From = l.Say("own.null-sender")
		}
		if r.Subject == "" {
			r.Subject = l.Say("own.no-subject")
		}
		v.Rows = append(v.Rows, r)
	}
	return v
}

// Digest writes the letter about held mail.
func (d Letter) Digest() ([]byte, error) {
	v := d.view()
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n\n", v.Intro)
	for _, r := range v.Rows {
		fmt.Fprintf(&text, "* %s | %s | %s | %s\n", r.From, r.Subject, r.At, r.Reason)
		for _, link := range r.Links {
			fmt.Fprintf(&text, "    %s:\n    %s\n", link.Text, link.URL)
		}
		text.WriteByte('\n')
	}
	if v.MoreText != "" {
		fmt.Fprintf(&text, "%s\n\n", v.MoreText)
	}
	fmt.Fprintf(&text, "%s\n\n%s:\n%s\n\n%s:\n%s\n\n%s\n", v.How, v.AllText, d.All, v.SettingsText, d.Settings, v.Machine)
	return d.write(v, text.String())
}

// Enter writes the letter with the link that lets its reader in.
func (d Letter) Enter(link string) ([]byte, error) {
	l := d.Language
	v := d.view()
	v.Rows, v.Title, v.Intro, v.OneTime = nil, l.Say("digest.enter-subject"), l.Say("digest.enter-text", "address", d.To), link
	v.How = l.Say("digest.enter-else")
	return d.write(v, fmt.Sprintf("%s\n\n%s\n\n%s\n\n%s\n", v.Intro, link, v.How, v.Machine))
}

// write is the message: text, and the same as HTML.
func (d Letter) write(v view, text string) ([]byte, error) {
	t, err := template.ParseFS(files, "letter.html")
	if err != nil {
		return nil, err
	}
	var page, out bytes.Buffer
	if err := t.Execute(&page, v); err != nil {
		return nil, err
	}
	parts := multipart.NewWriter(&out)
	for _, f := range [][2]string{
		{"From", "<" + d.From + ">"}, {"To", "<" + d.To + ">"}, {"Subject", mime.QEncoding.Encode("utf-8", v.Title)}, {"Date", d.Date.Format(time.RFC1123Z)},
		{"Message-ID", "<" + d.ID + ">"}, {"Auto-Submitted", "auto-generated"}, {"X-Auto-Response-Suppress", "All"}, {"Precedence", "bulk"}, {"Content-Language", d.Language.Name},
		{"MIME-Version", "1.0"}, {"Content-Type", `multipart/alternative; boundary="` + parts.Boundary() + `"`},
	} {
		fmt.Fprintf(&out, "%s: %s\r\n", f[0], fold(f[1]))
	}
	out.WriteString("\r\n")
	for _, p := range [][2]string{{"text/plain", text}, {"text/html", page.String()}} {
		h := textproto.MIMEHeader{"Content-Type": {p[0] + "; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"}}
		w, err := parts.CreatePart(h)
		if err != nil {
			return nil, err
		}
		q := quotedprintable.NewWriter(w)
		if _, err := q.Write([]byte(strings.ReplaceAll(p[1], "\n", "\r\n"))); err != nil {
			return nil, err
		}
		if err := q.Close(); err != nil {
			return nil, err
		}
	}
	err = parts.Close()
	return out.Bytes(), err
}

// fold breaks the line of a header field between encoded words.
func fold(s string) string { return strings.ReplaceAll(s, "?= =?", "?=\r\n =?") }
