package proof

import "postern/internal/said"

// sentence tells people in a line what is proved and what is not.
func (a *attempt) sentence() said.Words {
	p := a.proof
	switch {
	case p.Class == Stale:
		return said.Say("proof.stale", "The token is ours, and the message is older than complaints are heard about.")
	case p.Class == Transplant:
		return said.Say("proof.transplant", "A token of our message %s stands on content that we did not send: no proof against anybody.", "serial", p.Serial)
	case p.Grade == P0:
		return said.Say("proof.nothing", "Nothing in the reported message is from us.")
	case p.Grade == P1 && p.Hint != "":
		return said.Say("proof.copied-id", "An ID of a message by %s stands in it, which anybody can copy: people must look.", "account", p.Hint)
	case p.Grade == P1:
		return said.Say("proof.hint", "Something in it leads to the send log and proves nothing: people must look.")
	}
	who, queue := p.Account, said.Words{}
	if p.Login != "" {
		who = p.Login
	}
	if p.QueueID != "" {
		queue = said.Say("proof.queue", ", queue ID %s", "id", p.QueueID)
	}
	return said.Say("proof.sent", "%s; sent %s by %s via %s%s; %s.",
		"how", a.verified(), "at", p.SentAt.UTC().Format("2006-01-02 15:04 MST"), "who", who, "client", p.Client, "queue", queue, "copies", p.delivered())
}

// verified is by what it is known.
func (a *attempt) verified() said.Words {
	switch {
	case a.signed.Pass:
		return said.Say("proof.signed", "DKIM d=%s s=%s verified", "domain", a.signed.Domain, "selector", a.signed.Selector)
	case a.proof.Grade == P3:
		return said.Say("proof.content", "Token and content are those of a message of ours")
	}
	return said.Say("proof.token", "The token is ours, the content is not there to be compared")
}

// delivered is to whom it went.
func (p Proof) delivered() said.Words {
	switch {
	case p.Class == Replay:
		return said.Say("proof.replay", "whoever reports it was not among the %d it was delivered to: sent on by somebody else", "n", p.Accepted)
	case p.Recipient != "":
		return said.Say("proof.copy", "the copy of %s was 1 of %d", "recipient", p.Recipient, "n", p.Accepted)
	}
	return said.Say("proof.delivered", "delivered to %d", "n", p.Accepted)
}

// Again is the proof of a report whose copy was reported before: it counts no second time.
func (p Proof) Again() Proof {
	p.Class, p.Votes = Duplicate, 0
	p.Transcript = append(p.Transcript[:len(p.Transcript):len(p.Transcript)], "no vote: this copy was reported before")
	said.Say("proof.again", "%s This copy was reported before.", "proof", said.Kept(p.Sentence, p.Said)).Put(&p.Sentence, &p.Said)
	return p
}
