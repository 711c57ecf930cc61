package proof

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"postern/abuse/sent"
	"postern/internal/address"
)

// copyOf finds whose delivered copy is reported: each gives one vote at most. What a report
// says about that is heard only where lying gains nothing: a recipient that the log does not
// have speaks against the report whoever says so; one that it has must be the reporter's own
// address, or of a domain that the reporter is proved to stand for. All copies of a message
// that cannot be told apart count as one.
func (a *attempt) copyOf() {
	taken := map[string]bool{}
	for _, c := range a.row.Copies {
		if c.Accepted() {
			taken[folded(c.Recipient)] = true
		}
	}
	if len(taken) == 0 {
		a.note("no server took this message: there is no copy to complain of")
		return
	}
	said, redacted := a.claimed()
	for _, to := range said {
		if !logged(a.row, to) {
			a.note("%s is not among the recipients in the send log", to)
			a.proof.Class = Replay
			a.proof.Copy = key(a.row.Serial, "other")
			return
		}
	}
	own := folded(a.who.Address)
	switch {
	case taken[own]:
		a.recipient(own)
	case len(said) > 0 && taken[said[0]] && a.speaksFor(said[0]):
		a.recipient(said[0])
	case len(taken) == 1:
		for only := range taken {
			a.recipient(only)
		}
	case redacted != "" && a.who.Trust == T3:
		a.note("the recipient is redacted as %.60s", redacted)
		a.proof.Copy = key(a.row.Serial, "redacted "+redacted)
	default:
		a.note("which recipient's copy it is cannot be told: all such reports of this message count as one")
		a.proof.Copy = key(a.row.Serial, "other")
	}
}

func (a *attempt) recipient(to string) {
	a.proof.Recipient, a.proof.Copy = to, key(a.row.Serial, to)
	a.note("delivered to %s", to)
}

// claimed are the recipients that the report names, and one that it names and hides.
func (a *attempt) claimed() (said []string, redacted string) {
	for _, to := range slices.Concat(a.report.Claims.RcptTo, a.msg.to) {
		f := folded(to)
		local, domain, ok := strings.Cut(f, "@")
		readable := ok && local != "" && strings.Contains(domain, ".") && !hidden(local)
		switch {
		case f == "":
		case logged(a.row, f) || readable && !a.report.Redacted:
			said = append(said, f)
		case redacted == "":
			redacted = f
		}
	}
	return said, redacted
}

// hidden reports whether a local part is one that somebody made unreadable.
func hidden(local string) bool {
	return strings.Trim(local, "x*.#-_") == "" || strings.Contains(local, "redacted")
}

// speaksFor reports whether the reporter is believed about a recipient: a registered feed, or
// somebody of that very domain.
func (a *attempt) speaksFor(to string) bool {
	return a.who.Trust == T3 || a.who.Trust >= T1 && domain(a.who.Address) != "" && domain(a.who.Address) == domain(to)
}

func domain(addr string) string { return address.DomainOf(folded(addr)) }

func logged(r sent.Row, to string) bool {
	for _, c := range r.Copies {
		if folded(c.Recipient) == to {
			return true
		}
	}
	return false
}

func folded(addr string) string { return strings.ToLower(strings.Trim(strings.TrimSpace(addr), "<>")) }

// key names a copy.
func key(serial, whose string) string {
	sum := sha256.Sum256([]byte(serial + "\x00" + whose))
	return hex.EncodeToString(sum[:16])
}

// voteless are the sorts of feedback that complain of nothing.
var voteless = map[string]string{
	"not-spam": "it says that the mail is wanted", "opt-out": "it asks to be taken off a list",
	"opt-out-list": "it asks to be taken off a list", "auth-failure": "it is about authentication",
}

// vote says what the proof counts.
func (a *attempt) vote() {
	p := &a.proof
	full := 0
	switch {
	case p.Class != None || p.Copy == "":
		return
	case p.Grade >= P3:
		full = VoteFull
	case p.Grade == P2:
		full = VoteHalf
	default:
		return
	}
	why := voteless[strings.ToLower(a.report.Feedback)]
	switch {
	case why != "":
		a.note("no vote: %s", why)
	case a.who.Trust < T1:
		a.note("no vote: nothing proves who reports")
	case p.Grade == P2 && a.who.Trust < T3:
		a.note("no vote: without the content only a registered feed is believed")
	case a.who.Trust == T3 && a.Now().Before(a.who.Observing):
		a.note("no vote: the feed %s only observes until %s", a.who.Feed, a.who.Observing.UTC().Format(time.DateOnly))
	default:
		p.Votes = full
	}
}
