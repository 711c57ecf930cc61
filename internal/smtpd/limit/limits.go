package limit

import (
	"cmp"
	"time"
)

// Limits bound what clients may take. A zero field takes the default of Default.
type Limits struct {
	Sessions   int           // open connections, all listeners together
	PerIP      int           // open connections of one IPv4 or IPv6 address
	Per64      int           // open connections of one IPv6 /64
	Errors     int           // refused commands of one session
	Commands   int           // commands of one session
	Recipients int           // accepted recipients of one transaction
	Message    int64         // bytes of one body
	InFlight   int64         // bytes of all bodies being handled
	Idle       time.Duration // without a byte, or for one command line
	DataRate   int           // bytes a second a body must at least arrive with, after Idle's grace
	Line       int           // octets of a body line
	Received   int           // Received fields before a message counts as looping
	Handshake  time.Duration // TLS handshake and PROXY header
	Write      time.Duration // one write to the client
	AuthTries  int           // failed AUTHs of one address or account within AuthWindow
	AuthWindow time.Duration
}

// Default are the limits of a configuration that says nothing.
func Default() Limits {
	return Limits{
		Sessions: 2000, PerIP: 50, Per64: 100, Errors: 10, Commands: 500, Recipients: 200,
		Message: 50 << 20, InFlight: 512 << 20, Idle: time.Minute, DataRate: 500, Line: 64 << 10,
		Received: 100, Handshake: 10 * time.Second, Write: time.Minute,
		AuthTries: 10, AuthWindow: 10 * time.Minute,
	}
}

// Filled takes defaults for what is not set.
func (l Limits) Filled() Limits {
	d := Default()
	l.Sessions = cmp.Or(l.Sessions, d.Sessions)
	l.PerIP = cmp.Or(l.PerIP, d.PerIP)
	l.Per64 = cmp.Or(l.Per64, d.Per64)
	l.Errors = cmp.Or(l.Errors, d.Errors)
	l.Commands = cmp.Or(l.Commands, d.Commands)
	l.Recipients = cmp.Or(l.Recipients, d.Recipients)
	l.Message = cmp.Or(l.Message, d.Message)
	l.InFlight = cmp.Or(l.InFlight, d.InFlight)
	l.Idle = cmp.Or(l.Idle, d.Idle)
	l.DataRate = cmp.Or(l.DataRate, d.DataRate)
	l.Line = cmp.Or(l.Line, d.Line)
	l.Received = cmp.Or(l.Received, d.Received)
	l.Handshake = cmp.Or(l.Handshake, d.Handshake)
	l.Write = cmp.Or(l.Write, d.Write)
	l.AuthTries = cmp.Or(l.AuthTries, d.AuthTries)
	l.AuthWindow = cmp.Or(l.AuthWindow, d.AuthWindow)
	return l
}
