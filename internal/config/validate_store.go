package config

import (
	"fmt"
	"regexp"
	"strings"

	"postern/internal/config/value"
	"postern/internal/strict"
)

var storePrefix = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,40}$`)

// The homes of state.
const (
	HomeLocal = "local"
	HomeRedis = "redis"
)

func (c *Config) validateStore(d *strict.Document) {
	s := c.Store
	value.OneOf(d, "store.home", s.Home, HomeLocal, HomeRedis)
	value.OneOf(d, "store.durability", s.Durability, "strict", "redis")
	if s.Traffic <= 0 {
		d.Fail("store.traffic", "traffic rows need a time for which they are kept")
	}
	if len(s.Addrs) == 0 {
		if s.Home == HomeRedis {
			d.Fail("store.addrs", "home: redis needs addrs")
		}
		return
	}
	for i, a := range s.Addrs {
		if !strings.HasPrefix(a, "unix:/") {
			value.HostPort(d, fmt.Sprintf("store.addrs[%d]", i), a, false)
		}
	}
	if !storePrefix.MatchString(s.Prefix) {
		d.Fail("store.prefix", "%q is no prefix: want letters, digits, dot, dash or underscore, at most 40", s.Prefix)
	}
	if s.KeyFile == "" {
		d.Fail("store.key_file", "Redis needs key_file: records that act are sealed with it, on all nodes with the same")
	}
	if s.Cluster && s.Sentinel != "" {
		d.Fail("store.cluster", "cluster and sentinel exclude each other")
	}
	if (s.TLS.Cert == "") != (s.TLS.Key == "") {
		d.Fail("store.tls", "cert and key go together")
	}
	if s.TLS.CA == "" && (s.TLS.Cert != "" || s.TLS.ServerName != "") {
		d.Fail("store.tls", "TLS needs ca: a PEM file, or system")
	}
	if s.Journal < 64e6 {
		d.Fail("store.journal", "%s is too small for a journal: at least 64MB", s.Journal)
	}
}
