package appeals

import (
	"bytes"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"

	"postern/abuse/appeal"
	"postern/internal/address"
)

// letter tells who asked what became of it. Nothing of what they wrote stands in it: the address
// may be somebody else's.
func (d *Desk) letter(a appeal.Appeal, at time.Time) ([]byte, error) {
	l := d.book.Match(a.Language, "")
	ref := a.Refusal.Reference
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n\n%s\n", l.Say("refused.letter-about", "reference", ref, "time", l.Time(a.Refusal.At)), l.Say("refused.state-"+string(a.State)))
	if a.Answer != "" {
		fmt.Fprintf(&text, "\n%s\n", a.Answer)
	}
	if page := d.Page("/r/" + ref); page != "" {
		fmt.Fprintf(&text, "\n%s\n%s?lang=%s\n", l.Say("refused.letter-page"), page, l.Name)
	}
	fmt.Fprintf(&text, "\n%s\n", l.Say("refused.letter-machine"))
	from := d.From()
	var out bytes.Buffer
	for _, f := range [][2]string{
		{"From", "<" + from + ">"}, {"To", "<" + a.Email + ">"}, {"Subject", mime.QEncoding.Encode("utf-8", l.Say("refused.letter-subject", "reference", ref))},
		{"Date", at.Format(time.RFC1123Z)}, {"Message-ID", fmt.Sprintf("<appeal-%s-%d@%s>", ref, at.Unix(), address.DomainOf(from))},
		{"Auto-Submitted", "auto-generated"}, {"X-Auto-Response-Suppress", "All"}, {"Content-Language", l.Name},
		{"MIME-Version", "1.0"}, {"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&out, "%s: %s\r\n", f[0], strings.ReplaceAll(f[1], "?= =?", "?=\r\n =?"))
	}
	out.WriteString("\r\n")
	q := quotedprintable.NewWriter(&out)
	if _, err := q.Write([]byte(strings.ReplaceAll(text.String(), "\n", "\r\n"))); err != nil {
		return nil, err
	}
	err := q.Close()
	return out.Bytes(), err
}
