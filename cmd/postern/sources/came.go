package sources

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"

	"postern/abuse/complaint/inner"
	"postern/abuse/intake"
	"postern/filter"
	"postern/internal/record"
)

// Came finds how a message that a user of ours hands in had come in. What it says of that is
// not believed: our own record is, and only where the bytes are those that came, or a signature
// shows that they are. It implements intake.Desk's.
func (d *Desk) Came(ctx context.Context, original []byte) (intake.Source, bool, error) {
	came, id := d.asItCame(original)
	if id == "" {
		return intake.Source{}, false, nil
	}
	page, err := d.p.Traffic.Find(ctx, record.Trace{ID: id, Limit: 1})
	if err != nil || len(page.Rows) == 0 {
		return intake.Source{}, false, err
	}
	row := page.Rows[0]
	ip, err := netip.ParseAddr(row.Client.IP)
	if err != nil || row.Direction != filter.Inbound.String() {
		return intake.Source{}, false, nil //nolint:nilerr // it came from nowhere elsewhere
	}
	domain, _, _ := d.signatures(ctx, came, row.Time)
	h, _ := inner.Header(came)
	signed := domain != "" && strings.Trim(strings.TrimSpace(h.Get("Message-ID")), "<>") == row.MessageID // the row is of this one, whatever the field says
	if !signed && !same(came, row.SHA256) {
		return intake.Source{}, false, nil
	}
	return intake.Source{Client: filter.Client{IP: ip.Unmap(), Port: row.Client.Port, Name: row.Client.Name, Helo: row.Client.Helo}, At: row.Time, Domain: domain}, true, nil
}

// same reports whether bytes are those with a hash, but for what mail programs do to a message
// that they attach: other line ends, and an end that is missing.
func same(raw []byte, want string) bool {
	lines := bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	short := bytes.TrimRight(lines, "\r\n")
	for _, b := range [][]byte{raw, lines, append(bytes.Clone(lines), "\r\n"...), append(bytes.Clone(short), "\r\n"...), short} {
		sum := sha256.Sum256(b)
		if strings.EqualFold(hex.EncodeToString(sum[:]), want) {
			return true
		}
	}
	return false
}
