// Package attach looks at how a message and the archives in it are built, and at the files they
// carry: what cannot be read for certain, what is encrypted, what is a bomb, what is odd, what
// acts when it is opened, what is dressed as something else.
package attach

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"strings"

	"postern/filter"
	"postern/filter/attach/office"
	"postern/internal/archive"
	"postern/internal/mime"
)

// The symbols of this check. An oddity of the MIME structure is named MIME_ and the
// mime.Kind, see Symbol.
const (
	Unscannable   = "UNSCANNABLE"    // something cannot be read for certain
	Encrypted     = "ENCRYPTED"      // an archive or document needs a password
	ArchiveBomb   = "ARCHIVE_BOMB"   // an archive is over a limit or built to be
	ArchiveBroken = "ARCHIVE_BROKEN" // an archive contradicts itself or is damaged
	MailEncrypted = "MAIL_ENCRYPTED" // the content is encrypted with S/MIME or OpenPGP
	ViewCut       = "MIME_VIEW_CUT"  // text, HTML or links beyond the limits of the views
)

// Symbol is the symbol of an oddity of the MIME structure.
func Symbol(k mime.Kind) string { return "MIME_" + string(k) }

// Symbols are all symbols this check can emit.
func Symbols() []string {
	out := append([]string{Unscannable, Encrypted, ArchiveBomb, ArchiveBroken, MailEncrypted, ViewCut}, fileSymbols()...)
	for _, k := range mime.Kinds() {
		out = append(out, Symbol(k))
	}
	return out
}

// Check looks at a message's parts. Limits is for all archives of one message together;
// its zero value means the defaults.
type Check struct {
	Limits archive.Limits
}

// Check implements filter.Check.
func (c *Check) Check(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
	tree, err := m.Parts()
	if err != nil {
		return nil, &filter.CouldNot{Words: "the message could not be read", Cause: err}
	}
	l := look{ctx: ctx, left: c.Limits, work: MaxWork}
	l.structure(tree)
	for p := range tree.Leaves() {
		if err := l.leaf(p); err != nil {
			return l.found, &filter.CouldNot{Words: "archives took too long", Cause: err}
		}
	}
	return l.found, nil
}

// look is one run of the check.
type look struct {
	ctx   context.Context
	left  archive.Limits // what the archives of this message may still cost
	spent struct {
		bytes   int64
		entries int
	}
	work   int64 // bytes of files that may still be looked through
	files  int   // files looked at
	leaves int   // those attached by themselves
	found  []filter.Finding
	times  map[string]int // symbols of files, each told a few times
	types  map[string]bool
	part   *mime.Part // the part in hand
}

func (l *look) add(symbol, detail string) {
	l.found = append(l.found, filter.Finding{Symbol: symbol, Detail: detail})
}

// structure reports what the walk noted, each kind once.
func (l *look) structure(tree *mime.Tree) {
	for _, reason := range tree.Unscannable {
		l.add(Unscannable, reason)
	}
	seen := map[mime.Kind]bool{}
	for _, a := range tree.Anomalies {
		if !seen[a.Kind] {
			seen[a.Kind] = true
			l.add(Symbol(a.Kind), strings.TrimSpace("part "+a.Path+" "+a.Detail))
		}
	}
	if tree.ViewCut() {
		l.add(ViewCut, "")
	}
	for _, p := range tree.Parts {
		if mailEncrypted(p) {
			l.add(MailEncrypted, p.MediaType)
			break
		}
	}
}

// mailEncrypted reports whether a part is encrypted mail (RFC 1847, RFC 8551 section 3.2.2).
func mailEncrypted(p *mime.Part) bool {
	switch p.MediaType {
	case "multipart/encrypted":
		return true
	case "application/pkcs7-mime", "application/x-pkcs7-mime":
		t := strings.ToLower(p.Params["smime-type"])
		return t == "enveloped-data" || t == "authenveloped-data"
	}
	return false
}

// leaf looks into every reading of a leaf.
func (l *look) leaf(p *mime.Part) error {
	l.part = p
	name := p.Path
	if len(p.FileNames) > 0 {
		name = p.FileNames[0]
	}
	for _, data := range p.Readings() {
		attached := isFile(p, data)
		if attached {
			l.attached(p, data)
		}
		if strings.HasPrefix(p.MediaType, "text/") && archive.Detect(data[:min(len(data), 1024)]) == "" {
			continue
		}
		if err := l.walk(path.Base(name), data); err != nil {
			return err
		}
	}
	return nil
}

func (l *look) walk(name string, data []byte) error {
	lim := l.left
	d := archive.DefaultLimits()
	if lim.Bytes <= 0 {
		lim.Bytes = d.Bytes
	}
	if lim.Entries <= 0 {
		lim.Entries = d.Entries
	}
	lim.Bytes = max(lim.Bytes-l.spent.bytes, 1)
	lim.Entries = max(lim.Entries-l.spent.entries, 1)
	m := &members{l: l, seen: map[string]bool{}, parcels: map[string]*office.Facts{}}
	facts, err := archive.Walk(l.ctx, name, bytes.NewReader(data), int64(len(data)), lim, m.visit)
	m.rest(facts)
	l.spent.bytes += facts.Expanded
	l.spent.entries += len(facts.Entries)
	l.report(name, facts)
	return err
}

func (l *look) report(name string, f archive.Facts) {
	if f.Bomb != "" {
		l.add(ArchiveBomb, name+": "+f.Bomb)
		l.add(Unscannable, "the archive "+name+" cannot be read in full: "+f.Bomb)
	}
	for i, why := range f.Unreadable {
		l.add(ArchiveBroken, why)
		if i == 0 {
			l.add(Unscannable, "an archive cannot be read for certain: "+why)
		}
	}
	if n := len(f.Encrypted); n > 0 {
		l.typed(name, types[Encrypted])
		l.add(Encrypted, fmt.Sprintf("%s (%d that need a password)", f.Encrypted[0], n))
	}
}
