package config

import (
	"net/netip"
	"path/filepath"

	"postern/internal/config/desk"
	"postern/internal/config/value"
)

// The values of the configuration, and the parts of it that stand in rooms of their own.
type (
	Abuse    = desk.Abuse
	Desk     = value.Desk
	Duration = value.Duration
	Prefix   = value.Prefix
	Size     = value.Size
	Web      = value.Web
)

// NoComplaints is the value of Abuse.Trace.Complaints for domains without CFBL-Address.
const NoComplaints = desk.NoComplaints

// Prefixes unwraps a list of networks.
func Prefixes(ps []Prefix) []netip.Prefix { return value.Prefixes(ps) }

// StopFile is the path of the kill switch that needs no store.
func (c *Config) StopFile() string {
	if c.Abuse.Measures.KillFile != "" {
		return c.Abuse.Measures.KillFile
	}
	return filepath.Join(c.State, "abuse.stop")
}

// TraceKeys is the path of the keys of trace tokens.
func (c *Config) TraceKeys() string {
	if c.Abuse.Trace.KeyFile != "" {
		return c.Abuse.Trace.KeyFile
	}
	return filepath.Join(c.State, "trace.keys")
}

// DeskKey is the path of the key that seals second factors, and whether it may be made.
func (c *Config) DeskKey() (path string, mayMake bool) {
	if c.Desk.KeyFile != "" {
		return c.Desk.KeyFile, false
	}
	return filepath.Join(c.State, "desk.key"), true
}
