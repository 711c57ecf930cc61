// Package inert makes the copy of a report that people may open in a mailbox.
package inert

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"postern/abuse/complaint"
	"postern/abuse/intake/shelf"
)

// copyText is how much of a report's words stands in the safe copy, in octets.
const copyText = 32 << 10

// Copy is one text part: what is known of the report and what a person wrote, with links that
// lead nowhere. Attachments and the reported message stay in the store; their hash is in it.
func Copy(hostname string, now time.Time, r shelf.Report, w shelf.Work, rep complaint.Report) []byte {
	var t strings.Builder
	line := func(name, v string) {
		if v != "" {
			fmt.Fprintf(&t, "%-10s %s\n", name, oneLine(v))
		}
	}
	line("report", r.ID)
	line("case", strings.Join(w.Cases, ", "))
	line("received", r.At.Format(time.RFC3339))
	line("from", r.From)
	line("client", fmt.Sprintf("%s port %d, %s", r.Client, r.Port, r.Helo))
	line("to", strings.Join(r.To, ", "))
	line("reporter", fmt.Sprintf("%s, %s", w.Reporter, w.Trust))
	line("format", string(w.Format))
	line("feedback", w.Feedback)
	line("proof", w.Proof.Grade.String()+" "+string(w.Proof.Class))
	line("", w.Proof.Sentence)
	line("sha256", r.SHA256)
	line("size", fmt.Sprint(r.Size))
	text := rep.Text
	if len(text) > copyText {
		text = strings.ToValidUTF8(text[:copyText], "") + "\n[cut here]"
	}
	t.WriteString("\nWhat was written, with links that lead nowhere:\n\n" + defang(text) + "\n")

	var m bytes.Buffer
	fmt.Fprintf(&m, "Date: %s\r\nMessage-ID: <%s.copy@%s>\r\nSubject: Report %s\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n", now.UTC().Format(time.RFC1123Z), r.ID, hostname, r.ID)
	for enc := base64.StdEncoding.EncodeToString([]byte(t.String())); enc != ""; {
		n := min(76, len(enc))
		m.WriteString(enc[:n] + "\r\n")
		enc = enc[n:]
	}
	return m.Bytes()
}

func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return '?'
		}
		return c
	}, defang(s))
}

// defang makes links and addresses of sites dead text.
func defang(s string) string {
	return strings.NewReplacer("://", "[:]//", "www.", "www[.]", "javascript:", "javascript[:]", "data:", "data[:]").Replace(s)
}
