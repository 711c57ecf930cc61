package daily

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"postern/internal/report/aggregate"
)

// message is the mail that carries a report (RFC 9990 section 3.5.2). The same report gives
// the same names each time.
func (s *Sender) message(f *aggregate.Feedback, to string) ([]byte, error) {
	xml, err := f.Write()
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(xml); err != nil {
		return nil, fmt.Errorf("packing the report: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("packing the report: %w", err)
	}
	r := f.Meta.Range
	file := fmt.Sprintf("%s!%s!%d!%d.xml.gz", s.domain(), f.Policy.Domain, r.Begin, r.End)
	boundary := fmt.Sprintf("=_report_%d_%x", r.Begin, len(xml))
	all, unproven := f.Messages()
	day := time.Unix(r.Begin, 0).UTC().Format(time.DateOnly)
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("Date: %s", s.Now().UTC().Format(time.RFC1123Z))
	line("From: %s", s.From)
	line("To: %s", to)
	line("Subject: Report Domain: %s", f.Policy.Domain)
	line(" Submitter: %s", s.domain())
	line(" Report-ID: <%s>", f.Meta.ID)
	line("Message-ID: <%s>", f.Meta.ID)
	line("Auto-Submitted: auto-generated")
	line("MIME-Version: 1.0")
	line("Content-Type: multipart/mixed; boundary=\"%s\"", boundary)
	line("")
	line("--%s", boundary)
	line("Content-Type: text/plain; charset=us-ascii")
	line("")
	line("DMARC aggregate report about %s for %s (UTC):", f.Policy.Domain, day)
	line("%d messages, %d of them proven neither by SPF nor by DKIM.", all, unproven)
	line("")
	line("--%s", boundary)
	line("Content-Type: application/gzip")
	line("Content-Transfer-Encoding: base64")
	line("Content-Disposition: attachment;")
	line(" filename=\"%s\"", file)
	line("")
	writeBase64(&b, packed.Bytes())
	line("--%s--", boundary)
	return b.Bytes(), nil
}

func writeBase64(b *bytes.Buffer, data []byte) {
	const width = 76
	text := base64.StdEncoding.EncodeToString(data)
	for len(text) > width {
		b.WriteString(text[:width] + "\r\n")
		text = text[width:]
	}
	b.WriteString(strings.TrimRight(text, "\r\n") + "\r\n")
}
