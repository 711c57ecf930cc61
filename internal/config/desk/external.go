package desk

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"

	"postern/internal/address"
	"postern/internal/config/value"
	"postern/internal/strict"
)

// External is how the desk works on sources elsewhere.
type External struct {
	Automatic bool            `yaml:"automatic" json:"automatic,omitempty" jsonschema:"description=confirm\\, tell and block by itself what users reported or what hit a trap"`
	Partners  Partners        `yaml:"partners" json:"partners,omitempty" jsonschema:"description=who is never blocked\\, besides what mail is routed for"`
	Contacts  Contacts        `yaml:"contacts" json:"contacts,omitempty"`
	AWS       AWS             `yaml:"aws" json:"aws,omitempty" jsonschema:"description=reports about sources in the networks of AWS go there by signed calls"`
	Body      NationalBody    `yaml:"national_body" json:"national_body,omitempty"`
	Published []PublishedList `yaml:"published_lists" json:"published_lists,omitempty" jsonschema:"description=lists of spam servers that must be signed"`
	Hold      value.Duration  `yaml:"published_hold" json:"published_hold,omitempty" jsonschema:"description=how long an entry of a published list holds unless it is published again"`
}

// Partners are networks and domains.
type Partners struct {
	Networks []value.Prefix `yaml:"networks" json:"networks,omitempty"`
	Domains  []string       `yaml:"domains" json:"domains,omitempty"`
}

// Contacts is where those who run a source are looked for.
type Contacts struct {
	RDAP      bool           `yaml:"rdap" json:"rdap,omitempty" jsonschema:"description=ask the registries of addresses"`
	Bootstrap []string       `yaml:"bootstrap" json:"bootstrap,omitempty" jsonschema:"description=web addresses of the lists of registries; IANA's by default"`
	Endpoints []string       `yaml:"endpoints" json:"endpoints,omitempty" jsonschema:"description=registries that are asked instead of those the lists name"`
	Networks  []value.Prefix `yaml:"networks" json:"networks,omitempty" jsonschema:"description=private networks they may be in"`
	Abusix    string         `yaml:"address_zone" json:"address_zone,omitempty" jsonschema:"description=zone of TXT records by address; empty: not asked"`
	Abusenet  string         `yaml:"domain_zone" json:"domain_zone,omitempty" jsonschema:"description=zone of TXT records by domain; empty: not asked"`
}

// NationalBody is told of confirmed sources and of listings of our own.
type NationalBody struct {
	Address  string `yaml:"address" json:"address,omitempty" jsonschema:"description=empty: none"`
	Form     string `yaml:"form" json:"form,omitempty" jsonschema:"enum=arf,enum=text"`
	Language string `yaml:"language" json:"language,omitempty" jsonschema:"enum=en,enum=zh,enum=ru,enum=el"`
}

// PublishedList is a published list and whose signature it has.
type PublishedList struct {
	Name    string `yaml:"name" json:"name"`
	KeyFile string `yaml:"key_file" json:"key_file" jsonschema:"description=public key: Ed25519\\, base64"`
}

// Listings is the watch over our own addresses and domains on block lists.
type Listings struct {
	Addresses []string       `yaml:"addresses" json:"addresses,omitempty" jsonschema:"description=addresses that mail leaves from"`
	Domains   []string       `yaml:"domains" json:"domains,omitempty" jsonschema:"description=besides those that mail is routed for"`
	Lists     []WatchedZones `yaml:"lists" json:"lists,omitempty" jsonschema:"description=empty: nothing is watched"`
}

// WatchedZones is a block list that is asked about ourselves.
type WatchedZones struct {
	Name    string `yaml:"name" json:"name"`
	Zone    string `yaml:"zone" json:"zone"`
	Of      string `yaml:"of" json:"of,omitempty" jsonschema:"enum=addresses,enum=domains,description=what it lists; addresses by default"`
	Major   bool   `yaml:"major" json:"major,omitempty" jsonschema:"description=a listing there is worked on within an hour"`
	Test    string `yaml:"test" json:"test,omitempty" jsonschema:"description=domain that a list of domains lists for tests; test by default"`
	NotTest string `yaml:"not_test" json:"not_test,omitempty" jsonschema:"description=domain that it must not list; invalid by default"`
	Removal string `yaml:"removal" json:"removal,omitempty" jsonschema:"description=how removal is asked for"`
}

func defaultExternal() External {
	return External{
		Contacts: Contacts{
			Bootstrap: []string{"https://data.iana.org/rdap/ipv4.json", "https://data.iana.org/rdap/ipv6.json"},
			Abusix:    "abuse-contacts.abusix.zone", Abusenet: "contacts.abuse.net",
		},
		AWS:  defaultAWS(),
		Body: NationalBody{Form: "arf", Language: "en"}, Hold: 90 * value.Day,
	}
}

func (a External) validate(d *strict.Document) {
	const at = "abuse.external."
	for i, name := range a.Partners.Domains {
		if !address.ValidDomain(name) {
			d.Fail(fmt.Sprintf("%spartners.domains[%d]", at, i), "%.100q is no domain", name)
		}
	}
	for i, u := range a.Contacts.Bootstrap {
		webAddress(d, fmt.Sprintf("%scontacts.bootstrap[%d]", at, i), u)
	}
	for i, u := range a.Contacts.Endpoints {
		webAddress(d, fmt.Sprintf("%scontacts.endpoints[%d]", at, i), u)
	}
	for name, zone := range map[string]string{"address_zone": a.Contacts.Abusix, "domain_zone": a.Contacts.Abusenet} {
		if zone != "" && !address.ValidDomain(zone) {
			d.Fail(at+"contacts."+name, "%.100q is no zone", zone)
		}
	}
	a.AWS.validate(d)
	if b := a.Body; b.Address != "" {
		if p, err := address.Parse(b.Address, false); err != nil || p.Domain == "" {
			d.Fail(at+"national_body.address", "%.100q is no address", b.Address)
		}
	}
	if a.Body.Form != "arf" && a.Body.Form != "text" {
		d.Fail(at+"national_body.form", "%.20q is no form; there are arf and text", a.Body.Form)
	}
	if !slices.Contains([]string{"en", "zh", "ru", "el"}, a.Body.Language) {
		d.Fail(at+"national_body.language", "%.20q is none of en, zh, ru and el", a.Body.Language)
	}
	if a.Hold < value.Day || a.Hold > 365*value.Day {
		d.Fail(at+"published_hold", "%s: an entry holds a day at least, and a year at most", a.Hold)
	}
	seen := map[string]bool{}
	for i, l := range a.Published {
		place := fmt.Sprintf("%spublished_lists[%d]", at, i)
		if l.Name == "" || seen[l.Name] || len(l.Name) > 60 {
			d.Fail(place+".name", "%.60q: each list has a name of its own, of at most 60 octets", l.Name)
		}
		seen[l.Name] = true
		if !filepath.IsAbs(l.KeyFile) {
			d.Fail(place+".key_file", "%.100q is no absolute path", l.KeyFile)
		}
	}
}

func (a Listings) validate(d *strict.Document) {
	const at = "abuse.listings."
	for i, text := range a.Addresses {
		if ip, err := netip.ParseAddr(text); err != nil || ip.Zone() != "" || !ip.IsGlobalUnicast() {
			d.Fail(fmt.Sprintf("%saddresses[%d]", at, i), "%.100q is no address of the Internet", text)
		}
	}
	for i, name := range a.Domains {
		if !address.ValidDomain(name) {
			d.Fail(fmt.Sprintf("%sdomains[%d]", at, i), "%.100q is no domain", name)
		}
	}
	seen := map[string]bool{}
	for i, l := range a.Lists {
		place := fmt.Sprintf("%slists[%d]", at, i)
		if l.Name == "" || seen[l.Name] {
			d.Fail(place+".name", "%.60q: each list has a name of its own", l.Name)
		}
		seen[l.Name] = true
		if !address.ValidDomain(l.Zone) {
			d.Fail(place+".zone", "%.100q is no zone", l.Zone)
		}
		if l.Of != "" && l.Of != "addresses" && l.Of != "domains" {
			d.Fail(place+".of", "%.20q: a list is of addresses or of domains", l.Of)
		}
		if l.Of != "domains" && (l.Test != "" || l.NotTest != "") {
			d.Fail(place+".test", "a list of addresses is tested with 127.0.0.2 and 127.0.0.1 always")
		}
	}
}
