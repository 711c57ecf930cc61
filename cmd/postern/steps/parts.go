package steps

import (
	"postern/blocklist"
	"postern/filter/clamav"
	"postern/internal/archive"
	"postern/internal/config"
	"postern/internal/dns"
	"time"
)

// DNSConfig turns the configured DNS servers into those of the resolver.
func DNSConfig(c *config.Config) dns.Config {
	return dns.Config{Servers: c.DNS.Servers, Timeout: time.Duration(c.DNS.Timeout)}
}

// ScannerConfig turns the configured scanner into that of the check.
func ScannerConfig(c config.ClamAV) clamav.Config {
	return clamav.Config{
		Endpoints: c.Addrs, Timeout: time.Duration(c.Timeout), StreamMax: int64(c.StreamMax), MaxFile: int64(c.MaxFile),
		MaxScan: int64(c.MaxScan), Connections: c.Connections, Canary: time.Duration(c.Canary),
		WarnAge: time.Duration(c.WarnAge), MaxAge: time.Duration(c.MaxAge),
	}
}

// ListConfigs turns the configured DNS lists into those of the check.
func ListConfigs(c *config.Config) []blocklist.ListConfig {
	var out []blocklist.ListConfig
	for _, l := range c.Lists {
		out = append(out, blocklist.ListConfig{Name: l.Name, Zone: l.Zone, Of: blocklist.Kind(l.Of), Codes: l.Codes, KeyFile: l.KeyFile})
	}
	return out
}

// ArchiveLimits are those of our own walk, never above what the scanner opens: what it would
// skip in silence must be unscannable here.
func ArchiveLimits(c config.ClamAV) archive.Limits {
	l := archive.DefaultLimits()
	if len(c.Addrs) > 0 {
		l.EntryBytes, l.Bytes = min(l.EntryBytes, int64(c.MaxFile)), min(l.Bytes, int64(c.MaxScan))
	}
	return l
}
