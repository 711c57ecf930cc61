// Package holdstest fills a store with holds as real mail makes them, for measuring.
package holdstest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"postern/filter"
	"postern/internal/store/redis/holds"
	"postern/internal/store/redis/holds/upkeep"
	"postern/quarantine"
)

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// id is the ID of message number n that came at a time.
func id(n int, at time.Time) string {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n))) //nolint:gosec // a number of a test
	ms := at.UnixMilli()
	var b [26]byte
	for i := 9; i >= 0; i-- {
		b[i] = crockford[ms&31]
		ms >>= 5
	}
	for i := range 16 {
		b[10+i] = crockford[sum[i]&31]
	}
	return string(b[:])
}

var words = [...]string{
	"invoice", "order", "payment", "account", "delivery", "Rechnung", "meeting", "offer", "newsletter", "security", "update", "password",
	"verify", "urgent", "report", "contract", "shipping", "winner", "prize", "bank", "tax", "refund", "statement", "welcome", "請求書", "confirm",
}

var symbols = [...]string{"SPF_FAIL", "DKIM_NONE", "DMARC_FAIL", "BAYES_99", "DNSBL_LISTED", "LINK_MISMATCH", "PTR_NONE", "FROM_SPOOFED_NAME", "URL_NEW", "HTML_ONLY"}

// Hold is hold number n of some, one every every since start, with its body: a few words of
// text, 2,000 recipients, as many senders, subjects with words of which most are common and
// one is rare.
func Hold(n int, start time.Time, every time.Duration) upkeep.Full {
	at := start.Add(time.Duration(n) * every).Truncate(time.Millisecond)
	body := fmt.Appendf(nil, "From: a@example.org\r\nSubject: %d\r\n\r\nThis is message %d of a test, with a few words.\r\n", n, n*7919)
	sum := sha256.Sum256(body)
	message := id(n, at)
	key := sha256.Sum256([]byte(message))
	h := quarantine.Hold{
		V: quarantine.RecordVersion, ID: message + "-00", MessageID: message, Node: "mx1", At: at, Keep: 30 * 24 * time.Hour, Expires: at.Add(30 * 24 * time.Hour),
		Direction: "inbound", State: quarantine.Held, Version: 2, Class: quarantine.ByVerdict, Policy: "default", Backend: "mail", Listener: "mx",
		From: fmt.Sprintf("sender%d@domain%d.example", n*31%2003, n*31%211), To: []string{fmt.Sprintf("user%d@example.com", n*17%1999)},
		Client:  quarantine.Client{IP: fmt.Sprintf("192.0.%d.%d", n%250, n/250%250), Port: 25, Name: fmt.Sprintf("mail%d.domain%d.example", n%7, n%211), Helo: "mail.example"},
		Subject: fmt.Sprintf("%s %s %s %d", words[n%len(words)], words[n*7%len(words)], words[n/3%len(words)], n/50), Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:]), Action: "quarantine", Score: 750,
		Unchecked: []quarantine.Unchecked{}, RulesRev: "4c1f9a27", AV: "ClamAV 1.4.6/27000/2026-11-22", Key: hex.EncodeToString(key[:]),
	}
	for i := range 3 + n%3 {
		h.Reasons = append(h.Reasons, quarantine.Reason{Symbol: symbols[(n+i*3)%len(symbols)], Score: 150, Describe: "What this observation means in plain words", Step: "auth"})
	}
	return upkeep.Full{Hold: h, Body: body}
}

const (
	perTrip = 1000 // how many holds are written at once
	writers = 4    // what they pack and seal, the server takes meanwhile
)

// Fill writes n holds, one every every since start.
func Fill(ctx context.Context, s *holds.Store, n int, start time.Time, every time.Duration) error {
	return FillScored(ctx, s, n, start, every, func(filter.Score) filter.Score { return 0 })
}

// FillScored is Fill with something added to the score of each.
func FillScored(ctx context.Context, s *holds.Store, n int, start time.Time, every time.Duration, more func(n filter.Score) filter.Score) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	var errs [writers]error
	for w := range writers {
		wg.Go(func() {
			for errs[w] == nil {
				first := int(next.Add(perTrip)) - perTrip
				if first >= n {
					return
				}
				batch := make([]upkeep.Full, 0, perTrip)
				for i := first; i < min(first+perTrip, n); i++ {
					h := Hold(i, start, every)
					h.Hold.Score += more(filter.Score(i))
					batch = append(batch, h)
				}
				errs[w] = s.Bulk(ctx, batch)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}
