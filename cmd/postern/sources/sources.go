package sources

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases"
	"postern/abuse/complaint/redact"
	"postern/abuse/connect/webhook"
	"postern/abuse/external"
	"postern/abuse/external/aws"
	"postern/abuse/external/contact"
	"postern/abuse/external/order"
	"postern/abuse/external/published"
	"postern/abuse/external/wording"
	"postern/abuse/intake"
	"postern/abuse/listing"
	"postern/abuse/listing/suspect"
	"postern/blocklist"
	"postern/internal/config"
	"postern/internal/entity"
	"postern/internal/record"
	"postern/internal/said"
	"postern/quarantine"
)

// Resolver is what is asked of the DNS; *dns.Resolver is one.
type Resolver interface {
	contact.Resolver
	listing.Resolver
}

// Parts are what the rooms about sources elsewhere work with. All are needed.
type Parts struct {
	Config    *atomic.Pointer[config.Config]
	Home      entity.Home
	Lists     blocklist.Store
	Own       *blocklist.Own
	Observer  *external.Observer // the one whose Watch stands before the own lists
	DNS       Resolver
	Traffic   record.Traffic
	Sent      suspect.Log // nil: nobody is suspected of a listing
	Holds     *quarantine.Quarantine
	Cases     *cases.Desk
	Intake    *intake.Desk
	Calendars func() *calendar.Set
	Key       []byte // of this installation
	Version   string
	// Alias is the address under which a case is answered.
	Alias   func(caseID string) string
	Letters wording.Letters // what people of the desk word of reports; nil: the program does
	// Submit hands a message to the outbox; the same key and time are the same message.
	Submit func(ctx context.Context, key string, at time.Time, from, to string, message []byte) error
	Audit  func(ctx context.Context, actor, action, object string, before, after any, note string) error
	Event  func(key, text string, over bool) // raises an alert, or says that it is over
	// Alone runs f where no other node does the same just now.
	Alone func(ctx context.Context, job string, f func(ctx context.Context) error) error
	// Right reports whether the clock can be believed: while it jumped, no block ends.
	Right func(ctx context.Context) bool
	Now   func() time.Time
	Log   *slog.Logger
}

// Desk is the work on sources elsewhere, on published lists and on our own listings.
type Desk struct {
	External  *external.Desk
	Contacts  *contact.Finder
	Published *published.Desk
	Listings  *listing.Monitor
	AWS       *aws.Courier // nil: reports about its networks go by mail

	p Parts
}

// New builds it. Nothing runs yet.
func New(p Parts) (*Desk, error) {
	c := p.Config.Load()
	keys, err := listKeys(c)
	if err != nil {
		return nil, err
	}
	d := &Desk{p: p}
	blocks := Blocks{Own: p.Own, Store: p.Lists}
	ext := c.Abuse.External
	d.Contacts = &contact.Finder{DNS: p.DNS, Abusix: ext.Contacts.Abusix, Abusenet: ext.Contacts.Abusenet, Store: p.Home, Now: p.Now}
	if ext.Contacts.RDAP {
		d.Contacts.RDAP = &contact.Registry{Client: registryClient(ext.Contacts.Bootstrap, ext.Contacts.Endpoints, config.Prefixes(ext.Contacts.Networks)),
			Bootstrap: ext.Contacts.Bootstrap, Endpoints: ext.Contacts.Endpoints, Now: p.Now}
	}
	if err := d.courier(ext.AWS); err != nil {
		return nil, err
	}
	hide := redact.HMAC(append([]byte("redact "), p.Key...))
	d.External = &external.Desk{
		Home: p.Home, Cases: p.Cases, Lists: blocks, Contacts: d.Contacts, Protected: d.Protected, Message: d.message, Alias: p.Alias,
		Name: c.Abuse.Answers.Name, Hours: c.Abuse.Answers.Hours, Letters: p.Letters, Host: c.Hostname, Agent: "postern/" + p.Version, Body: external.Body(ext.Body), Redact: &hide,
		Automatic: ext.Automatic, Trial: ext.AWS.Test, Submit: p.Submit, Audit: p.Audit, Now: p.Now, Log: p.Log, Observer: p.Observer,
	}
	d.Published = &published.Desk{
		Home: p.Home, Lists: blocks, Protected: d.Protected, Keys: keys, Accepted: d.accepted, Calendar: func() *calendar.Calendar { return p.Calendars().Team("") },
		Lasts: time.Duration(ext.Hold), Alarm: d.alarm, Audit: p.Audit, Now: p.Now,
	}
	d.Listings = d.monitor(c)
	return d, nil
}

// listKeys are the keys of those lists that must be signed.
func listKeys(c *config.Config) (map[string]ed25519.PublicKey, error) {
	keys := map[string]ed25519.PublicKey{}
	for i, l := range c.Abuse.External.Published {
		text, err := config.ReadSecret(l.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("abuse.external.published_lists[%d].key_file: %w", i, err)
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil || len(key) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("abuse.external.published_lists[%d].key_file: %s holds no Ed25519 key of %d octets in base64", i, l.KeyFile, ed25519.PublicKeySize)
		}
		keys[l.Name] = key
	}
	return keys, nil
}

// redirectsMost is how often one registry may send us to another.
const redirectsMost = 3

// registryClient asks registries: never inside our own networks, unless those are named.
func registryClient(bootstrap, endpoints []string, allow []netip.Prefix) *http.Client {
	for _, u := range slices.Concat(bootstrap, endpoints) {
		if strings.HasPrefix(u, "http://") { // to this machine alone, which the configuration has checked
			allow = append(allow, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
			break
		}
	}
	dial := webhook.Dialer{Allow: allow}.Dial
	return &http.Client{
		Transport: &http.Transport{DialContext: dial, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 10 * time.Second, MaxIdleConns: 4, IdleConnTimeout: time.Minute},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > redirectsMost {
				return said.New("source.too-many-redirects", "too many redirects")
			}
			return nil
		},
	}
}

// Protected are those that no block may hit: what mail is routed for, our own hosts and
// addresses, local servers, partners.
func (d *Desk) Protected() order.Protected {
	c := d.p.Config.Load()
	out := order.Protected{
		Networks: config.Prefixes(c.Abuse.External.Partners.Networks),
		Domains:  append([]string{c.Hostname}, c.Abuse.External.Partners.Domains...),
	}
	own := slices.Clone(c.Abuse.Listings.Addresses)
	for _, servers := range c.Backends {
		for _, s := range servers {
			if host, _, err := net.SplitHostPort(s.Addr); err == nil {
				own = append(own, host)
			}
		}
	}
	for _, text := range own {
		if ip, err := netip.ParseAddr(text); err == nil {
			out.Networks = append(out.Networks, netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()))
		}
	}
	for _, l := range c.Listeners {
		out.Networks = append(out.Networks, config.Prefixes(l.Networks)...)
	}
	out.Networks = append(out.Networks, config.Prefixes(c.TrustedRelays)...)
	out.Domains = append(out.Domains, c.Abuse.Listings.Domains...)
	for domain := range c.Routes {
		out.Domains = append(out.Domains, strings.TrimPrefix(domain, "*."))
	}
	return out
}

func (d *Desk) alarm(_ context.Context, key, text string, over bool) { d.p.Event(key, text, over) }
