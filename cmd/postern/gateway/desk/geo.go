package desk

import (
	"postern/abuse/behaviour/geo"
	"postern/internal/config"
)

// places are the files that tell where addresses are.
func places(c *config.Config) geo.Paths {
	return geo.Paths{Country: c.Abuse.Measures.GeoCountry, ASN: c.Abuse.Measures.GeoASN}
}

// locate reads them. At the start a bad one is an alert: mail flows without it.
func (d *Desk) locate(c *config.Config) {
	d.geo = &geo.Files{Event: d.p.Event}
	if err := d.geo.Use(places(c)); err != nil {
		d.p.Log.Error("countries and networks of logins do not count", "err", err)
	}
}
