// Package taught is what the pages of held mail show of what was learned.
package taught

import "time"

// Known is what a held message was learned as.
type Known struct {
	ID     string    `json:"id"`
	Hold   string    `json:"hold"`
	Class  string    `json:"class"`
	Domain string    `json:"domain"`
	Aside  bool      `json:"aside"`
	Undone bool      `json:"undone"`
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Via    string    `json:"via"`
}

// Mark is what a list says of it: spam, ham, or nothing.
func (k Known) Mark() string {
	if k.Class == "none" {
		return ""
	}
	return k.Class
}

// Share is one with the interval in which it lies.
type Share struct {
	N    int     `json:"n"`
	Of   int     `json:"of"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Part is the share in percent, Least and Most the ends of its interval.
func (s Share) Part() float64  { return 100 * float64(s.N) / float64(max(s.Of, 1)) }
func (s Share) Least() float64 { return 100 * s.Low }
func (s Share) Most() float64  { return 100 * s.High }

// Miss is a message that was kept aside and is judged to be what it is not.
type Miss struct {
	ID     string    `json:"id"`
	Class  string    `json:"class"`
	Band   string    `json:"band"`
	P      float64   `json:"p"`
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Via    string    `json:"via"`
	Ref    string    `json:"ref"`
	Sender string    `json:"sender"`
}

// Scope is what was learned for all, or for a domain.
type Scope struct {
	Domain string    `json:"domain"`
	Spam   int       `json:"spam"`
	Ham    int       `json:"ham"`
	Says   string    `json:"says"`
	Last   time.Time `json:"last"`
	Aside  int       `json:"aside"`
	Caught Share     `json:"caught"`
	Missed Share     `json:"missed"`
	Wrong  Share     `json:"wrong"`
	Misses []Miss    `json:"misses"`
}

// Status is the page of what was learned.
type Status struct {
	Scopes []Scope `json:"scopes"`
	Tokens int64   `json:"tokens"`
	Bytes  int64   `json:"bytes"`
	Idle   int     `json:"idle"`
}
