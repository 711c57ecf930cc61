package setup

import (
	"slices"
	"strings"

	"postern/filter/header"
	"postern/internal/config"
)

// Us is what the check of headers has to know of this installation.
func Us(c *config.Config) header.Us {
	us := header.Us{Host: c.Hostname, People: c.People}
	for domain := range c.Routes {
		if domain = strings.ToLower(strings.TrimLeft(domain, "*.")); domain != "" {
			us.Domains = append(us.Domains, domain)
		}
	}
	slices.Sort(us.Domains)
	return us
}
