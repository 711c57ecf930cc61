package behaviour

import (
	"strings"
	"time"

	"postern/abuse"
	"postern/abuse/signal"
	"postern/internal/said"
)

// The rules, as signals name them.
const (
	Volume     = "volume"         // far more recipients than ever
	Burst      = "burst"          // many within minutes, more than ever in an hour
	Fresh      = "new-recipients" // many it never wrote to
	Dead       = "nonexistent"    // many that do not exist
	Countries  = "countries"      // logins from several countries
	Networks   = "networks"       // logins through many operators
	Travel     = "travel"         // two places nobody gets to in that time
	Quiet      = "quiet-hour"     // a strange network in an hour it never sent in
	Guessed    = "guessed"        // failed logins, then one that worked
	OwnVerdict = "verdict"        // our checks speak against what it sends
)

// Rules are all rules of this room.
func Rules() []string {
	return []string{Volume, Burst, Fresh, Dead, Countries, Networks, Travel, Quiet, Guessed, OwnVerdict}
}

// Judge says what speaks against an account now.
func (p *Profiles) Judge(account string, now time.Time) (out []signal.Signal) {
	account = abuse.Name(account)
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.all[account]
	if a == nil {
		return nil
	}
	add := func(f signal.Family, rule string, weight int, login bool, w said.Words) {
		_, tenant, _ := strings.Cut(account, "@")
		out = append(out, signal.Signal{
			ID: rule + ":" + account, Family: f, Rule: rule, Account: account, Tenant: tenant, At: now, Weight: weight, Login: login,
		}.Saying(w))
	}
	c, h, usual := p.cfg, a.lastHour(now), a.usual(now)
	if n := int(h.recipients); n >= c.Volume && n > c.Times*usual {
		add(signal.Behaviour, Volume, 25, false, said.Say("seen.volume", "%d recipients in an hour, usual are up to %d", "n", n, "usual", usual))
	}
	if n := a.burst(now); n >= c.Burst && n > c.Times*usual {
		add(signal.Behaviour, Burst, 15, false, said.Say("seen.burst", "%d recipients in ten minutes, usual in an hour are up to %d", "n", n, "usual", usual))
	}
	if n := int(h.fresh); n >= c.Fresh {
		add(signal.Behaviour, Fresh, 25, false, said.Say("seen.new-recipients", "%d recipients in an hour that it never wrote to", "n", n))
	}
	if tried, gone := a.lastDay(now); tried >= c.DeadTries && signal.Lower(gone, tried) >= c.DeadShare {
		add(signal.Behaviour, Dead, 20, false, said.Say("seen.nonexistent", "%d of %d recipients in a day do not exist", "gone", gone, "tried", tried))
	}
	if n := int(h.spam); p.spams(h) {
		add(signal.Verdicts, OwnVerdict, 35, false, said.Say("seen.verdict", "%d of %d messages in an hour were judged to be spam", "spam", n, "messages", int(h.messages)))
	}
	if all := recent(a.country, now); len(all) >= c.Countries {
		add(signal.Behaviour, Countries, 25, true, said.Say("seen.countries", "from %d countries in a day: %s", "n", len(all), "countries", strings.Join(all, " ")))
	}
	if all := recent(a.asn, now); len(all) >= c.Networks {
		add(signal.Behaviour, Networks, 15, true, said.Say("seen.networks", "through %d network operators in a day", "n", len(all)))
	}
	if a.travel != 0 && now.Unix()-a.travel < 86400 {
		add(signal.Behaviour, Travel, 25, true, said.Say("seen.travel", "at two places that nobody reaches in that time"))
	}
	if a.quiet != 0 && now.Unix()-a.quiet < 86400 {
		add(signal.Behaviour, Quiet, 10, true, said.Say("seen.quiet-hour", "from a network never seen, in an hour it never sent in"))
	}
	return out
}

// pairShare is the part of SpamShare that two messages to strangers must be at least: whoever
// writes to ten at a time has sent few messages when they have reached very many.
const pairShare = 2.0 / 3

// spams reports whether our own checks speak against what an account sent in an hour.
func (p *Profiles) spams(h minutes) bool {
	n, share := int(h.spam), signal.Lower(int(h.spam), int(h.messages))
	switch {
	case n >= p.cfg.SpamCount && share >= p.cfg.SpamShare:
		return true
	case n >= 2 && n < p.cfg.SpamCount:
		return int(h.spamFresh) >= p.cfg.SpamFresh && share >= p.cfg.SpamShare*pairShare
	}
	return false
}

// Loud reports whether signals say that an account sends very much, or is in other hands: to
// hold its mail alone is not enough.
func Loud(all []signal.Signal) bool {
	for _, s := range all {
		if s.Weight > 0 && (s.Login || s.Rule == Volume || s.Rule == Burst || s.Rule == Fresh) {
			return true
		}
	}
	return false
}

// Score is how surely an account is in other hands or sends what it should not, 0 to 100: the
// sum of the weights of its signals, each rule once.
func Score(all []signal.Signal) int {
	best := map[string]int{}
	for _, s := range all {
		if w, ok := best[s.Rule]; !ok || s.Weight > w {
			best[s.Rule] = s.Weight
		}
	}
	sum := 0
	for _, w := range best {
		sum += w
	}
	return max(0, min(sum, 100))
}
