package link

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"slices"
	"time"

	"postern/filter"
	"postern/filter/link/qr"
	"postern/internal/address"
	"postern/internal/mime"
)

// Pictures reads the texts of the QR codes in a picture; an error means that it was not looked at.
type Pictures interface {
	Read(ctx context.Context, picture []byte) ([]string, error)
}

// The bounds of the pictures of one message.
const (
	MaxPictures  = 5
	PicturesTime = time.Second // for all of them, waiting included
)

// codes looks for links in pictures; they count like those that are written out. The error says which
// pictures could not be looked at.
func (c *Check) codes(ctx context.Context, l *look, tree *mime.Tree) error {
	if c.Pictures == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, PicturesTime)
	defer cancel()
	seen := map[[sha256.Size]byte]bool{}
	var unread error
	for p := range tree.Leaves() {
		data := p.Decoded()
		if !qr.May(data) {
			continue
		}
		sum := sha256.Sum256(data)
		if seen[sum] {
			continue
		}
		if seen[sum] = true; len(seen) > MaxPictures {
			break
		}
		texts, err := c.Pictures.Read(ctx, data)
		if err != nil {
			unread = &filter.CouldNot{Words: "a picture could not be looked at for codes", Cause: err}
		}
		for _, text := range texts {
			l.code(text)
		}
	}
	return unread
}

// code takes the text of a code.
func (l *look) code(text string) {
	u, ok := mime.Link(text)
	if !ok || u.Host == "" {
		return // a ticket, a network, a card
	}
	u.Anchor = true
	l.add(Code, u.Host)
	if _, err := netip.ParseAddr(u.Host); err == nil || slices.Contains(shorteners(), address.Registered(u.Host)) {
		l.add(CodeHides, u.Host)
	}
	l.link(u)
}

// shorteners are hosts whose links say nothing of where they lead.
func shorteners() []string {
	return []string{
		"bit.ly", "tinyurl.com", "is.gd", "v.gd", "ow.ly", "cutt.ly", "rb.gy", "rebrand.ly", "shorturl.at", "shorturl.gg", "t.ly", "tiny.cc", "soo.gd", "s.id", "bit.do", "u.to",
		"clck.ru", "urlz.fr", "shorte.st", "adf.ly", "goo.su", "n9.cl", "x.gd", "2u.pw", "tny.sh", "t.co", "is.gd", "qr.io", "me-qr.com", "q-r.to", "qrco.de", "scan.page",
	}
}
