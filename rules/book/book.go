// Package book reads rule files: it turns YAML into the rules as their authors meant them,
// merged layer over layer and checked against each other, or into a list of everything that
// is wrong with them, each with its place.
package book

import "postern/filter"

// Symbol is what one observation is worth and how people are told of it.
type Symbol struct {
	Name     string
	Score    filter.Score
	Action   filter.Action // Accept when the rule gives none
	Rcpt     bool          // stage: rcpt, the action already counts before DATA
	Unless   string        // another symbol whose presence takes score and action away
	Describe string        // one plain sentence
	By       string        // what raises it: the name of a check, "pattern" or "composite"
}

// Antivirus is what a policy says about virus scanning.
type Antivirus struct {
	Scan         bool   // false: what the step clamav found or failed at does not count
	Infected     string // reject, quarantine, strip or tag
	KeepOriginal bool   // keep an evidence copy of an infected message
}

// DMARC is what a policy makes of the sending domain's wish.
type DMARC struct {
	Reject     string // honour, hold or ignore a p=reject
	Quarantine string // hold, tag or ignore a p=quarantine
	OnList     string // hold or tag instead of reject when other evidence speaks for the mail
}

// Policy is how strictly the mail of some recipients or accounts is judged.
type Policy struct {
	Name                              string
	Tag, Greylist, Quarantine, Reject filter.Score // thresholds the score reaches
	Antivirus                         Antivirus
	DMARC                             DMARC
	Unscannable, Encrypted            filter.Action
	KeepDays                          int // how long a hold is kept
}
