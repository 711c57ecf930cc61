// Package told keeps which notices about sources elsewhere went out, to whom, and what became
// of them.
package told

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"postern/internal/entity"
	"postern/internal/entity/refile"
	"postern/internal/said"
)

// States of a Notice.
const (
	Queued = "queued"
	Sent   = "sent"
	Barred = "barred"
	Failed = "failed"
)

// ToBody is the Way of a Notice to the national body.
const ToBody = "body"

// Kind is the kind of the records.
const Kind entity.Kind = "external-notice"

// Notice is one report that went out, or the reason why it did not.
type Notice struct {
	ID        string     `json:"id"`
	Case      string     `json:"case"`
	To        string     `json:"to,omitempty"`
	Way       string     `json:"way,omitempty"` // how the contact was found; or ToBody
	Form      string     `json:"form,omitempty"`
	Language  string     `json:"language,omitempty"`
	Incident  int        `json:"incident"`
	State     string     `json:"state"`
	Why       string     `json:"why,omitempty"`
	Said      said.Words `json:"said,omitzero"` // Why by its code
	Tried     []string   `json:"tried,omitempty"`
	By        string     `json:"by"`
	At        time.Time  `json:"at"`
	Sum       string     `json:"sha256,omitempty"` // of the message, class evidence
	MessageID string     `json:"message_id,omitempty"`
	Again     int        `json:"again,omitempty"` // how often it was sent again
	Resent    time.Time  `json:"resent,omitzero"` // the last time
	AgainBy   string     `json:"again_by,omitempty"`
	Region    string     `json:"region,omitempty"`   // where a call is made in place of mail
	Attempts  int        `json:"attempts,omitempty"` // calls that were not taken
	Next      time.Time  `json:"next,omitzero"`      // when the next one is due
}

// ByCall is the index of the notices that wait for their call.
const ByCall = "call"

// Called reports whether a notice goes out by a call in place of mail.
func (n Notice) Called() bool { return n.Region != "" }

// Entry is under which key, and as of when, the notice stands in the outbox.
func (n Notice) Entry() (key string, at time.Time) {
	if n.Again == 0 {
		return n.ID, n.At
	}
	return fmt.Sprintf("%s-again-%d", n.ID, n.Again), n.Resent
}

// Reason is why it stands as it does.
func (n Notice) Reason() said.Words { return said.Kept(n.Why, n.Said) }

// Bar says that nothing is sent, and why.
func (n *Notice) Bar(why said.Words) { n.State = Barred; why.Put(&n.Why, &n.Said) }

// Table is where they are kept: all, of a case, in a state, and by their Message-ID.
func Table(home entity.Store) entity.Table[Notice] {
	return entity.Table[Notice]{Store: home, Kind: Kind, ID: func(n *Notice) string { return n.ID }, Keys: func(n *Notice) []entity.Key {
		at := n.At.UnixMilli()
		keys := []entity.Key{{Index: "all", At: at}, {Index: "case", Value: n.Case, At: at}, {Index: "state", Value: n.State, At: at}}
		if n.Called() && n.State == Queued {
			keys = append(keys, entity.Key{Index: ByCall, At: max(n.Next.UnixMilli(), at)})
		}
		if n.MessageID != "" {
			keys = append(keys, entity.Key{Index: "message", Value: n.MessageID, At: at})
		}
		return keys
	}}
}

// Refile files notices of before with all of them, some at a time.
func Refile(ctx context.Context, home entity.Store) error {
	var find []entity.Query
	for _, state := range []string{Queued, Sent, Barred, Failed} {
		find = append(find, entity.Query{Index: "state", Value: state})
	}
	return refile.Tick(ctx, "external-notice-1", Table(home), find...)
}

// Bounced notes that a notice came back, and reports whether it was one of ours.
func Bounced(ctx context.Context, home entity.Store, messageID, why string) (bool, error) {
	t := Table(home)
	rows, _, err := t.Find(ctx, entity.Query{Index: "message", Value: messageID, Limit: 1})
	if err != nil || len(rows) == 0 {
		return false, err
	}
	_, err = t.Change(ctx, rows[0].Value.ID, func(n *Notice) error {
		n.State, n.Why, n.Said = Failed, why[:min(len(why), 300)], said.Words{}
		return nil
	})
	return true, err
}

// ErrAgain is wrapped by refusals to send a notice again.
var ErrAgain = said.New("external.this-is-not-sent-again", "this is not sent again")

// Bounds of sending a notice again.
const (
	AgainMost  = 3
	AgainEvery = time.Hour
)

// MayResend says why a notice is not sent again, or nil: only what came back is, three times, an
// hour apart.
func (n Notice) MayResend(now time.Time) error {
	last := n.At
	if n.Again > 0 {
		last = n.Resent
	}
	switch {
	case n.State != Failed || n.Sum == "":
		return said.Errorf("external.only-what-came-back-is", "%w: only what came back is", "kind", ErrAgain)
	case n.Again >= AgainMost:
		return said.Errorf("external.it-was-sent-again-times", "%w: it was sent again %d times", "kind", ErrAgain, "again", n.Again)
	case now.Sub(last) < AgainEvery:
		return said.Errorf("external.it-was-sent-less-than-an-hour", "%w: it was sent less than an hour ago", "kind", ErrAgain)
	}
	return nil
}

// Resend makes it a notice that goes out once more.
func (n *Notice) Resend(by string, now time.Time) error {
	if err := n.MayResend(now); err != nil {
		return err
	}
	n.State, n.Why, n.Again, n.Resent, n.AgainBy = Queued, "", n.Again+1, now.UTC(), by
	n.Attempts, n.Next = 0, time.Time{}
	return nil
}

// Due is the last incident up to n of which a provider is told: each of the first ten, each
// tenth to a hundred, each hundredth to a thousand (RFC 6650 section 7.5).
func Due(n int) int {
	step := 1
	for n > step*10 {
		step *= 10
	}
	return n - n%step
}

// Prefix is what the names of notices begin with.
const Prefix = "x-"

// Name is what a notice is called: the same for the same parts.
func Name(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return Prefix + hex.EncodeToString(h.Sum(nil))[:32]
}

// UUID is a report's name in the form that XARF asks for.
func UUID(id string) string {
	x := sha256.Sum256([]byte("xarf " + id))
	x[6], x[8] = x[6]&0x0f|0x80, x[8]&0x3f|0x80 // version 8: made of a hash
	s := hex.EncodeToString(x[:16])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
