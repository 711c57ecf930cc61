package rules

import "postern/filter"

// greyNew is the symbol of a first contact that has not waited yet.
const greyNew = "GREY_NEW"

// proven are the symbols of senders who are never asked to come again: their mail is theirs,
// or somebody here knows them.
var proven = [...]string{"DMARC_PASS", "KNOWN_CORRESPONDENT", "OWN_ALLOW"}

// greylist asks a stranger to come again whose mail is suspicious, yet not enough to be held.
func (c *judgement) greylist(v *filter.Verdict) {
	p := c.policy
	switch {
	case p.Greylist == 0 || !c.fired[greyNew] || c.m.Direction != filter.Inbound:
	case v.Score < p.Greylist || v.Score >= p.Quarantine:
	case v.Action > filter.Tag || p.Most < filter.Defer:
	case c.firstFired(proven[:]) != "":
	default:
		v.Action, v.Greylisted = filter.Defer, true
	}
}
