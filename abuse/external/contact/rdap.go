package contact

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what is read of a registry.
const (
	rdapMost   = 1 << 20
	rdapDeep   = 6
	rdapPerDay = 24 * time.Hour
	rdapWait   = 10 * time.Second
)

// Registry asks the registries of addresses (RFC 9082, RFC 9083).
type Registry struct {
	Client    *http.Client
	Bootstrap []string // addresses of IANA's files for IPv4 and IPv6 (RFC 9224)
	Endpoints []string // asked instead of what the bootstrap names, one after the other
	Now       func() time.Time

	mu   sync.Mutex
	at   time.Time
	from []service
}

// service is one registry and what it is asked about.
type service struct {
	prefixes []netip.Prefix
	urls     []string
}

// Abuse lists the addresses of those who have the role abuse for an address, the closest first.
func (r *Registry) Abuse(ctx context.Context, ip netip.Addr) ([]string, error) {
	bases := r.Endpoints
	if len(bases) == 0 {
		all, err := r.services(ctx)
		if err != nil {
			return nil, err
		}
		bases = basesFor(all, ip)
	}
	if len(bases) == 0 {
		return nil, errors.New("no registry is known for the address")
	}
	var last error
	for _, base := range bases[:min(len(bases), 3)] {
		var o object
		if last = r.get(ctx, strings.TrimSuffix(base, "/")+"/ip/"+url.PathEscape(ip.String()), &o); last != nil {
			continue
		}
		var out []string
		o.emails(&out, rdapDeep)
		if len(out) == 0 {
			return nil, errors.New("the registry names nobody for abuse")
		}
		return out, nil
	}
	return nil, last
}

func basesFor(all []service, ip netip.Addr) []string {
	var out []string
	best := -1
	for _, s := range all {
		for _, p := range s.prefixes {
			if p.Contains(ip) && p.Bits() > best {
				best, out = p.Bits(), s.urls
			}
		}
	}
	return out
}

// services reads the bootstrap once a day; while it cannot be read, the last one serves.
func (r *Registry) services(ctx context.Context) ([]service, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.from != nil && r.Now().Sub(r.at) < rdapPerDay {
		return r.from, nil
	}
	var all []service
	for _, from := range r.Bootstrap {
		var file struct {
			Services [][][]string `json:"services"`
		}
		if err := r.get(ctx, from, &file); err != nil {
			if r.from != nil {
				return r.from, nil
			}
			return nil, fmt.Errorf("the list of registries was not read: %w", err)
		}
		for _, s := range file.Services {
			if len(s) != 2 {
				continue
			}
			one := service{urls: s[1]}
			slices.SortStableFunc(one.urls, func(a, b string) int { return strings.Compare(scheme(b), scheme(a)) }) // https before http
			for _, text := range s[0] {
				if p, err := netip.ParsePrefix(text); err == nil {
					one.prefixes = append(one.prefixes, p)
				}
			}
			all = append(all, one)
		}
	}
	r.from, r.at = all, r.Now()
	return all, nil
}

func scheme(s string) string {
	name, _, _ := strings.Cut(s, ":")
	return name
}

// get reads JSON of a bounded size in a bounded time.
func (r *Registry) get(ctx context.Context, from string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, rdapWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return errors.New("the address of the registry is none")
	}
	req.Header.Set("Accept", "application/rdap+json, application/json")
	res, err := r.Client.Do(req)
	if err != nil {
		return fmt.Errorf("%s did not answer", req.URL.Host)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d", req.URL.Host, res.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, rdapMost+1))
	if err != nil {
		return fmt.Errorf("%s did not end its answer", req.URL.Host)
	}
	if len(data) > rdapMost {
		return fmt.Errorf("%s answered more than %d octets", req.URL.Host, rdapMost)
	}
	if json.Unmarshal(data, into) != nil {
		return fmt.Errorf("%s answered something that cannot be read", req.URL.Host)
	}
	return nil
}

// object is a part of an answer; entities nest.
type object struct {
	Roles    []string          `json:"roles"`
	Card     []json.RawMessage `json:"vcardArray"`
	Entities []object          `json:"entities"`
}

// emails gathers what stands in the cards of those with the role abuse, the outermost first.
func (o *object) emails(out *[]string, deep int) {
	if slices.ContainsFunc(o.Roles, func(r string) bool { return strings.EqualFold(r, "abuse") }) {
		for _, a := range o.card() {
			if !slices.Contains(*out, a) && len(*out) < most {
				*out = append(*out, a)
			}
		}
	}
	if deep == 0 {
		return
	}
	for i := range o.Entities {
		o.Entities[i].emails(out, deep-1)
	}
}

// card reads the mail addresses of a jCard (RFC 7095): ["vcard", [["email", {}, "text", "a@b"]]].
func (o *object) card() []string {
	if len(o.Card) != 2 {
		return nil
	}
	var fields [][]json.RawMessage
	if json.Unmarshal(o.Card[1], &fields) != nil {
		return nil
	}
	var out []string
	for _, f := range fields {
		var name, value string
		if len(f) < 4 || json.Unmarshal(f[0], &name) != nil || !strings.EqualFold(name, "email") || json.Unmarshal(f[3], &value) != nil {
			continue
		}
		value = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(value), "mailto:"))
		if plain(value) {
			out = append(out, value)
		}
	}
	return out
}
