// Package received takes the reports out of the mail that comes to the addresses for them.
package received

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"postern/filter"
	"postern/internal/archive"
	"postern/internal/mime"
	"postern/internal/report"
	"postern/internal/report/aggregate"
	"postern/internal/report/inert"
	"postern/internal/report/tlsreport"
)

// Bounds of one mail.
const (
	attachmentsMost = 20      // parts that are tried
	recordsMost     = 2000    // records of one report that are kept; all are counted
	keptMost        = 2 << 20 // bytes of their JSON
	unpackedMost    = aggregate.MaxBytes
)

// Reader is a filter.Observer that reads reports. The mail itself goes on to its mailbox.
type Reader struct {
	Store report.Store
	Takes func(address string) bool // recipients that are for reports
	Now   func() time.Time
	Log   *slog.Logger
}

// Done implements filter.Observer.
func (r *Reader) Done(ctx context.Context, m *filter.Message, o filter.Outcome) error {
	if m.Direction != filter.Inbound || m.Parts == nil || !r.concerns(m, o) {
		return nil
	}
	tree, err := m.Parts()
	if err != nil {
		r.Log.Warn("a report could not be read", "message", m.ID, "err", err)
		return nil
	}
	all, errs := Read(ctx, tree)
	if len(all) == 0 && errs != nil {
		r.Log.Warn("a report could not be read", "message", m.ID, "from", m.From, "err", errs)
	}
	for _, rep := range all {
		rep.At, rep.Message, rep.From, rep.Proven = r.Now().UTC(), m.ID, m.From, proven(o.Report)
		if boxes := tree.From(); rep.From == "" && len(boxes) > 0 {
			rep.From = inert.Text(boxes[0].Address)
		}
		added, err := r.Store.Add(ctx, rep)
		if err != nil {
			r.Log.Warn("a report is not kept", "message", m.ID, "err", err)
		} else {
			r.Log.Info("report", "message", m.ID, "kind", rep.Kind, "org", rep.Org, "domain", rep.Domain, "messages", rep.Messages, "failed", rep.Failed, "new", added)
		}
	}
	return nil
}

// concerns reports whether somebody for reports got the message.
func (r *Reader) concerns(m *filter.Message, o filter.Outcome) bool {
	for i, to := range m.To {
		if r.Takes(to.Address) && i < len(o.Fates) && (o.Fates[i].State == filter.Delivered || o.Fates[i].State == filter.InOutbox) {
			return true
		}
	}
	return false
}

func proven(r filter.Report) bool {
	for _, f := range r.Findings {
		if f.Auth != nil && f.Auth.Method == "dmarc" {
			return f.Auth.Result == "pass"
		}
	}
	return false
}

// Read finds the reports in a message: XML or JSON, bare, gzipped or in a zip, whatever the
// parts call themselves. The error joins what looked like a report and could not be read.
func Read(ctx context.Context, tree *mime.Tree) ([]report.Received, error) {
	var all []report.Received
	var errs []error
	n, left := 0, int64(unpackedMost)
	for p := range tree.Leaves() {
		data := p.Decoded()
		kind := archive.Detect(data)
		if kind == "" && !candidate(p, data) {
			continue
		}
		if n++; n > attachmentsMost {
			errs = append(errs, fmt.Errorf("more than %d attachments", attachmentsMost))
			break
		}
		reports, err := parse(ctx, kind, data, &left)
		all = append(all, reports...)
		if err != nil {
			errs = append(errs, fmt.Errorf("part %s: %w", p.Path, err))
		}
	}
	return all, errors.Join(errs...)
}

// candidate reports whether a part that is no archive may be a report: it is no text for
// people.
func candidate(p *mime.Part, data []byte) bool {
	head := bytes.TrimLeft(bytes.TrimPrefix(data[:min(len(data), 512)], []byte("\xef\xbb\xbf")), " \t\r\n")
	return !strings.HasPrefix(p.MediaType, "text/html") && len(head) > 0 && (head[0] == '<' || head[0] == '{')
}

// parse reads one part; left is what all parts of a message may still come to when unpacked.
func parse(ctx context.Context, kind string, data []byte, left *int64) ([]report.Received, error) {
	if kind == "" {
		if *left -= int64(len(data)); *left < 0 {
			return nil, errTooMuch
		}
		r, err := one(data)
		if err != nil {
			return nil, err
		}
		return []report.Received{r}, nil
	}
	if kind == "gzip" {
		plain, err := gunzip(data, *left)
		if err != nil {
			return nil, err
		}
		return parse(ctx, "", plain, left)
	}
	lim := archive.DefaultLimits()
	lim.Depth, lim.Entries, lim.Bytes, lim.EntryBytes, lim.Head = 2, 10, max(*left, 1), max(*left, 1), int(max(*left, 1))
	var all []report.Received
	var errs []error
	facts, err := archive.Walk(ctx, "report", bytes.NewReader(data), int64(len(data)), lim, func(e archive.Entry, head []byte) {
		if e.Dir || archive.Detect(head) != "" {
			return
		}
		*left -= int64(len(head))
		r, err := one(head)
		if err != nil {
			errs = append(errs, err)
			return
		}
		all = append(all, r)
	})
	if facts.Bomb != "" {
		errs = append(errs, errors.New(facts.Bomb))
	}
	return all, errors.Join(append(errs, err)...)
}

var errTooMuch = fmt.Errorf("%w: its message has more", aggregate.ErrTooLarge)

// gunzip unpacks the first stream alone: some reporters leave line ends behind it.
func gunzip(data []byte, most int64) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	z.Multistream(false)
	plain, err := io.ReadAll(io.LimitReader(z, most+1))
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	return plain, nil
}

// one reads bytes as the one kind of report or the other.
func one(data []byte) (report.Received, error) {
	if b := bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), " \t\r\n"); len(b) > 0 && b[0] == '{' {
		return readTLS(data)
	}
	f, err := aggregate.Read(data)
	if err != nil {
		return report.Received{}, err
	}
	r := report.Received{
		Kind: report.KindDMARC, Org: f.Meta.Org, ID: f.Meta.ID, Domain: f.Policy.Domain, DMARC: f,
		Begin: time.Unix(f.Meta.Range.Begin, 0).UTC(), End: time.Unix(f.Meta.Range.End, 0).UTC(),
	}
	r.Messages, r.Failed = f.Messages()
	n := fitting(f.Records)
	r.Left, f.Records = len(f.Records)-n, slices.Clone(f.Records[:n])
	r.Key = key(r)
	return r, nil
}

// fitting is how many of the records are kept.
func fitting(all []aggregate.Record) int {
	left := keptMost
	for i, r := range all[:min(len(all), recordsMost)] {
		b, err := json.Marshal(r)
		if left -= len(b); left < 0 || err != nil {
			return i
		}
	}
	return min(len(all), recordsMost)
}

func readTLS(data []byte) (report.Received, error) {
	t, err := tlsreport.Read(data)
	if err != nil {
		return report.Received{}, err
	}
	text, err := json.Marshal(t)
	if err != nil {
		return report.Received{}, fmt.Errorf("keeping a TLS report: %w", err)
	}
	r := report.Received{
		Kind: report.KindTLS, Org: t.Org, ID: t.ID, Domain: t.Domain(), Begin: t.Range.Begin.UTC(), End: t.Range.End.UTC(), TLS: text,
	}
	r.Messages, r.Failed = t.Sessions()
	r.Key = key(r)
	return r, nil
}

// key is the same for the same report sent again.
func key(r report.Received) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{
		r.Kind, strings.ToLower(r.Org), r.ID, r.Domain, r.Begin.Format(time.RFC3339), r.End.Format(time.RFC3339),
	}, "\x00")))
	return hex.EncodeToString(sum[:12])
}
