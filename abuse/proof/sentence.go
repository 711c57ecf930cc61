package proof

import (
	"fmt"
	"strings"
)

// sentence tells people in a line what is proved and what is not.
func (a *attempt) sentence() string {
	p := a.proof
	switch {
	case p.Class == Stale:
		return "The token is ours, and the message is older than complaints are heard about."
	case p.Class == Transplant:
		return fmt.Sprintf("A token of our message %s stands on content that we did not send: no proof against anybody.", p.Serial)
	case p.Grade == P0:
		return "Nothing in the reported message is from us."
	case p.Grade == P1 && p.Hint != "":
		return "An ID of a message by " + p.Hint + " stands in it, which anybody can copy: people must look."
	case p.Grade == P1:
		return "Something in it leads to the send log and proves nothing: people must look."
	}
	var b strings.Builder
	switch {
	case a.signed.Pass:
		fmt.Fprintf(&b, "DKIM d=%s s=%s verified; ", a.signed.Domain, a.signed.Selector)
	case p.Grade == P3:
		b.WriteString("Token and content are those of a message of ours; ")
	default:
		b.WriteString("The token is ours, the content is not there to be compared; ")
	}
	who := p.Account
	if p.Login != "" {
		who = p.Login
	}
	fmt.Fprintf(&b, "sent %s by %s via %s", p.SentAt.UTC().Format("2006-01-02 15:04 MST"), who, p.Client)
	if p.QueueID != "" {
		fmt.Fprintf(&b, ", queue ID %s", p.QueueID)
	}
	switch {
	case p.Class == Replay:
		fmt.Fprintf(&b, "; whoever reports it was not among the %d it was delivered to: sent on by somebody else", p.Accepted)
	case p.Recipient != "":
		fmt.Fprintf(&b, "; the copy of %s was 1 of %d", p.Recipient, p.Accepted)
	default:
		fmt.Fprintf(&b, "; delivered to %d", p.Accepted)
	}
	return b.String() + "."
}

// Again is the proof of a report whose copy was reported before: it counts no second time.
func (p Proof) Again() Proof {
	p.Class, p.Votes = Duplicate, 0
	p.Transcript = append(p.Transcript[:len(p.Transcript):len(p.Transcript)], "no vote: this copy was reported before")
	p.Sentence = strings.TrimSuffix(p.Sentence, ".") + "; this copy was reported before."
	return p
}
