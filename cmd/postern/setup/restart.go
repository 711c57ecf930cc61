package setup

import (
	"reflect"
	"strings"

	"postern/internal/config"
)

// NeedsRestart names everything that a reload cannot change.
func NeedsRestart(old, now *config.Config) string {
	var names []string
	for _, part := range []struct {
		name     string
		was, new any
	}{
		{"hostname", old.Hostname, now.Hostname}, {"state", old.State, now.State}, {"store", old.Store, now.Store},
		{"listeners", fixed(old.Listeners), fixed(now.Listeners)}, {"relay", old.Relay, now.Relay},
		{"recipient_cache", old.RecipientCache, now.RecipientCache}, {"dns", old.DNS, now.DNS}, {"clamav", old.ClamAV, now.ClamAV},
		{"lists", old.Lists, now.Lists}, {"qr_codes", old.QRCodes, now.QRCodes}, {"auth", seals(old.Auth), seals(now.Auth)}, {"headers", old.Headers, now.Headers},
		{"quarantine", old.Quarantine, now.Quarantine}, {"campaigns.keep", old.Campaigns.Keep, now.Campaigns.Keep}, {"test_inbox.bytes", old.TestInbox.Bytes, now.TestInbox.Bytes}, {"admin", old.Admin, now.Admin}, {"api", old.API, now.API}, {"public", old.Public, now.Public}, {"desk", old.Desk, now.Desk},
		{"alerts", old.Alerts, now.Alerts}, {"log", old.Log, now.Log},
	} {
		if !reflect.DeepEqual(part.was, part.new) {
			names = append(names, part.name)
		}
	}
	return strings.Join(append(names, desk(old.Abuse, now.Abuse)...), ", ")
}

// desk names the sections of the abuse desk that a reload cannot change.
func desk(old, now config.Abuse) (names []string) {
	was, new := reflect.ValueOf(stays(old)), reflect.ValueOf(stays(now))
	for i := range was.NumField() {
		if !reflect.DeepEqual(was.Field(i).Interface(), new.Field(i).Interface()) {
			key, _, _ := strings.Cut(was.Type().Field(i).Tag.Get("yaml"), ",")
			names = append(names, "abuse."+key)
		}
	}
	return names
}

// seals is what of authentication stays until a restart.
func seals(a config.Auth) config.Auth {
	return config.Auth{AuthservID: a.AuthservID, ArcSeal: a.ArcSeal, ArcDomain: a.ArcDomain}
}

// fixed is what of the listeners stays until a restart.
func fixed(all []config.Listener) (out []config.Listener) {
	for _, l := range all {
		out = append(out, config.Listener{Name: l.Name, Addr: l.Addr, Kind: l.Kind, TLS: l.TLS})
	}
	return out
}

// stays is what of the abuse desk stays until a restart.
func stays(a config.Abuse) config.Abuse {
	var none config.Abuse
	a.Calendar = none.Calendar
	a.Intake.Addresses, a.Intake.Off, a.Intake.Rates, a.Intake.Keep = nil, false, none.Intake.Rates, 0
	a.Measures.GeoCountry, a.Measures.GeoASN = "", ""
	if a.Intake.CopyTo != "" { // another mailbox is; whether there is one is not
		a.Intake.CopyTo = "somebody"
	}
	a.Service = none.Service
	return a
}
