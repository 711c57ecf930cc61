package contact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"time"

	"postern/internal/address"
	"postern/internal/entity"
	"postern/internal/said"
)

// Record is what is known of a contact: whom it speaks for, or that it wants no reports.
type Record struct {
	ID      string    `json:"id"`
	About   string    `json:"about"` // a network, a domain, or with OptOut an address
	Address string    `json:"address"`
	Form    string    `json:"form,omitempty"`
	OptOut  bool      `json:"opt_out,omitempty"`
	By      string    `json:"by"`
	Why     string    `json:"why,omitempty"`
	At      time.Time `json:"at"`
}

func (f *Finder) table() entity.Table[Record] {
	return entity.Table[Record]{Store: f.Store, Kind: "contact", ID: func(r *Record) string { return r.ID }, Keys: func(r *Record) []entity.Key {
		keys := []entity.Key{{Index: "all", At: r.At.UnixMilli()}}
		if !r.OptOut {
			keys = append(keys, entity.Key{Index: "about", Value: r.About, At: r.At.UnixMilli()})
		}
		return keys
	}}
}

func identify(kind, value string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + strings.ToLower(value)))
	return kind + "-" + hex.EncodeToString(sum[:16])
}

// ErrInvalid wraps what cannot be written down.
var ErrInvalid = said.New("contact.this-is-no-contact", "this is no contact")

// Learn writes down who speaks for a network (10.0.0.0/24), an address or a domain.
func (f *Finder) Learn(ctx context.Context, who, about, addr, form string) (Record, error) {
	about, err := normal(about)
	switch {
	case err != nil:
		return Record{}, err
	case !plain(addr):
		return Record{}, said.Errorf("contact.is-no-address", "%w: %.100q is no address", "kind", ErrInvalid, "addr", addr)
	case form != "" && form != ARF && form != XARF:
		return Record{}, said.Errorf("contact.the-form-is-none-there-are-arf", "%w: the form %.20q is none; there are arf and xarf", "kind", ErrInvalid, "form", form)
	}
	return f.put(ctx, Record{ID: identify("learned", about), About: about, Address: strings.ToLower(addr), Form: form, By: who})
}

// OptOut notes that an address, or with a domain all of its addresses, wants no reports.
func (f *Finder) OptOut(ctx context.Context, who, addr, why string) (Record, error) {
	if !plain(addr) && !address.ValidDomain(addr) {
		return Record{}, said.Errorf("contact.is-neither-an-address-nor-a-domain", "%w: %.100q is neither an address nor a domain", "kind", ErrInvalid, "addr", addr)
	}
	addr = strings.ToLower(addr)
	return f.put(ctx, Record{ID: identify("optout", addr), About: addr, Address: addr, OptOut: true, By: who, Why: why[:min(len(why), 500)]})
}

// OptedOut reports whether an address wants no reports.
func (f *Finder) OptedOut(ctx context.Context, addr string) (bool, error) {
	for _, v := range []string{addr, address.DomainOf(addr)} {
		_, err := f.table().Get(ctx, identify("optout", v))
		if !errors.Is(err, entity.ErrNotFound) {
			return err == nil, err
		}
	}
	return false, nil
}

// Forget takes a record away.
func (f *Finder) Forget(ctx context.Context, id string) error {
	row, err := f.table().Get(ctx, id)
	if err != nil {
		return err
	}
	return f.table().Remove(ctx, row)
}

// List returns a page of what is known, the youngest first.
func (f *Finder) List(ctx context.Context, after string, limit int) ([]Record, string, error) {
	rows, next, err := f.table().Find(ctx, entity.Query{Index: "all", After: after, Limit: limit})
	out := make([]Record, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.Value)
	}
	return out, next, err
}

func (f *Finder) put(ctx context.Context, r Record) (Record, error) {
	r.At = f.Now().UTC()
	row, err := f.table().Create(ctx, r)
	if errors.Is(err, entity.ErrExists) {
		row, err = f.table().Change(ctx, r.ID, func(old *Record) error { *old = r; return nil })
	}
	return row.Value, err
}

// learned looks from the address to wider networks, then at the domain.
func (f *Finder) learned(ctx context.Context, s Source) ([]Contact, error) {
	var keys []string
	if s.IP.IsValid() {
		for bits := s.IP.BitLen(); bits >= 8; bits-- {
			if p, err := s.IP.Prefix(bits); err == nil && (bits == s.IP.BitLen() || s.IP.Is4() || bits%4 == 0) {
				keys = append(keys, p.String())
			}
		}
	}
	if s.Domain != "" {
		keys = append(keys, s.Domain)
	}
	for _, k := range keys {
		row, err := f.table().Get(ctx, identify("learned", k))
		if errors.Is(err, entity.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return []Contact{{Address: row.Value.Address, Form: row.Value.Form}}, nil
	}
	return nil, nil
}

// normal is the one form of what a contact speaks for.
func normal(about string) (string, error) {
	if ip, err := netip.ParseAddr(about); err == nil && ip.Zone() == "" {
		return netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()).String(), nil
	}
	if p, err := netip.ParsePrefix(about); err == nil && !p.Addr().Is4In6() && p.Bits() >= 8 && (p.Addr().Is4() || p.Bits()%4 == 0) {
		return p.Masked().String(), nil
	}
	if about = strings.ToLower(about); address.ValidDomain(about) {
		return about, nil
	}
	return "", said.Errorf("contact.is-no-address-network-8-or-longer", "%w: %.100q is no address, network (/8 or longer; IPv6 in steps of 4) or domain", "kind", ErrInvalid, "about", about)
}
