package sources

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postern/abuse/cases"
	"postern/abuse/complaint"
	"postern/abuse/complaint/inner"
	"postern/abuse/external"
	"postern/cmd/postern/setup"
	"postern/filter/auth/dkim"
	"postern/internal/address"
	"postern/internal/entity"
	"postern/internal/mime/header"
	"postern/internal/said"
)

// ReadMost bounds what is read of a message, in octets.
const ReadMost = 16 << 20

// Kept is the circumstances of a message that is evidence: its bytes alone do not tell them.
type Kept struct {
	Sum     string     `json:"sha256"` // class evidence
	From    string     `json:"from"`   // of the envelope, as To
	To      []string   `json:"to,omitempty"`
	IP      netip.Addr `json:"ip"`
	Port    uint16     `json:"port"`
	Helo    string     `json:"helo,omitempty"`
	At      time.Time  `json:"at"`
	Domain  string     `json:"domain,omitempty"` // d= of a signature that passed
	Signed  bool       `json:"signed,omitempty"` // it covers CFBL-Address and is aligned with it
	Results string     `json:"results,omitempty"`
}

func (d *Desk) kept() entity.Table[Kept] {
	return entity.Table[Kept]{Store: d.p.Home, Kind: "source-message", ID: func(k *Kept) string { return k.Sum }}
}

// keep stores a message as evidence, with its circumstances.
func (d *Desk) keep(ctx context.Context, raw []byte, k Kept) (Kept, error) {
	sum, _, err := d.p.Home.PutBlob(ctx, entity.Evidence, bytes.NewReader(raw))
	if err != nil {
		return k, err
	}
	k.Sum = sum
	k.Domain, k.Signed, k.Results = d.signatures(ctx, raw, k.At)
	if _, err = d.kept().Create(ctx, k); errors.Is(err, entity.ErrExists) {
		row, err := d.kept().Get(ctx, sum)
		return row.Value, err
	}
	return k, err
}

// message finds what a case is about: a message that we kept ourselves, or one that a user
// of ours handed in.
func (d *Desk) message(ctx context.Context, c cases.Case) (external.Message, error) {
	for _, v := range slices.Backward(c.Evidence) {
		switch v.Class {
		case entity.Evidence:
			row, err := d.kept().Get(ctx, v.Sum)
			if errors.Is(err, entity.ErrNotFound) {
				continue
			}
			if err != nil {
				return external.Message{}, err
			}
			raw, err := d.read(ctx, v)
			if err != nil {
				return external.Message{}, err
			}
			k := row.Value
			return external.Message{
				Raw: raw, MailFrom: k.From, RcptTo: k.To, IP: k.IP, Port: k.Port, Arrival: k.At, Domain: k.Domain, Signed: k.Signed, AuthResult: k.Results,
			}, nil
		case entity.Intake:
			m, err := d.handedIn(ctx, c, v)
			if err == nil || !errors.Is(err, external.ErrMessage) {
				return m, err
			}
		}
	}
	return external.Message{}, external.ErrMessage
}

// handedIn is the message in the report of a user. Whence it came stands in the case: that
// is our own record, not what the report says.
func (d *Desk) handedIn(ctx context.Context, c cases.Case, v cases.Evidence) (external.Message, error) {
	if c.Source.Time.IsZero() || !c.Source.IP.IsValid() {
		return external.Message{}, external.ErrMessage
	}
	raw, err := d.read(ctx, v)
	if err != nil {
		return external.Message{}, err
	}
	r := complaint.Parse(raw, complaint.DefaultOptions())
	if r.Original == nil {
		return external.Message{}, external.ErrMessage
	}
	h, _ := inner.Header(r.Original)
	came, _ := d.asItCame(r.Original)
	m := external.Message{Raw: came, IP: c.Source.IP, Port: c.Source.Port, Arrival: c.Source.Time}
	if back := strings.Trim(strings.TrimSpace(h.Get("Return-Path")), "<>"); valid(back) {
		m.MailFrom = back
	}
	if to := strings.Trim(strings.TrimSpace(h.Get("Delivered-To")), "<>"); valid(to) {
		m.RcptTo = []string{to}
	}
	m.Domain, m.Signed, m.AuthResult = d.signatures(ctx, m.Raw, m.Arrival)
	return m, nil
}

func valid(addr string) bool {
	a, err := address.Parse(addr, true)
	return err == nil && a.Domain != ""
}

func (d *Desk) read(ctx context.Context, v cases.Evidence) ([]byte, error) {
	r, err := d.p.Home.Blob(ctx, v.Class, v.Sum)
	if errors.Is(err, entity.ErrNotFound) {
		return nil, said.Errorf("source.the-evidence-is-gone", "%w: the evidence %s is gone", "kind", external.ErrMessage, "sum", v.Sum)
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, ReadMost))
}

// asItCame leaves out what we and the servers behind us wrote on top of a message: only then
// do its signatures verify, and our own hosts are nobody's concern. id is what we called the
// message, "" where no field says so; foreign fields of that name were taken out when it came.
func (d *Desk) asItCame(raw []byte) (rest []byte, id string) {
	n := setup.HeaderNames(d.p.Config.Load())
	names := []string{n.Verdict, n.Reasons, n.Unchecked, n.Stripped, n.SpamFlag, n.SpamScore}
	ours := func(f header.Field) bool {
		return slices.ContainsFunc(names, func(name string) bool { return name != "" && strings.EqualFold(name, f.Name) })
	}
	h, _ := inner.Header(raw)
	i := slices.IndexFunc(h.Fields, func(f header.Field) bool { return n.Verdict != "" && strings.EqualFold(n.Verdict, f.Name) })
	if i < 0 {
		return raw, ""
	}
	for part := range strings.SplitSeq(h.Fields[i].Value, ";") {
		if name, value, _ := strings.Cut(strings.TrimSpace(part), "="); name == "id" {
			id = strings.TrimSpace(value)
		}
	}
	for i+1 < len(h.Fields) && ours(h.Fields[i+1]) {
		i++
	}
	last := h.Fields[i]
	return raw[int(last.Offset)+len(last.Raw):], id
}

// signatures verifies a message as of the time it came: the d= of the first signature that
// passed, of the author's own domain where there is one; whether it vouches for the address
// for complaints; and the results in the form of RFC 8601.
func (d *Desk) signatures(ctx context.Context, raw []byte, at time.Time) (domain string, covers bool, results string) {
	all, err := dkim.Verify(ctx, d.p.DNS, bytes.NewReader(raw), int64(len(raw)), at)
	if err != nil {
		return "", false, ""
	}
	h, _ := inner.Header(raw)
	author, feedback := authorOf(h), addressOf(h.Get("CFBL-Address"))
	signed := signedFields(h)
	var words []string
	for _, s := range all {
		words = append(words, "dkim="+string(s.Result)+" header.d="+s.Domain+" header.s="+s.Selector)
		if s.Result != dkim.Pass || len(s.Added) > 0 {
			continue
		}
		if domain == "" || within(author, s.Domain) && !within(author, domain) {
			domain = s.Domain
		}
		aligned := within(author, s.Domain) || within(feedback, s.Domain)
		covers = covers || feedback != "" && aligned && slices.Contains(signed[s.Domain+" "+s.Selector], "cfbl-address")
	}
	if len(words) == 0 {
		return "", false, ""
	}
	return domain, covers, d.p.Config.Load().Hostname + "; " + strings.Join(words, "; ")
}

func authorOf(h header.Header) string {
	if boxes := header.Mailboxes(h.Get("From")); len(boxes) == 1 {
		return address.DomainOf(boxes[0].Address)
	}
	return ""
}

func addressOf(value string) string {
	value, _, _ = strings.Cut(value, ";")
	return address.DomainOf(strings.Trim(strings.TrimSpace(value), "<>"))
}

// within reports that a domain is that of a signature, or below it.
func within(domain, signer string) bool {
	return domain != "" && (domain == signer || strings.HasSuffix(domain, "."+signer))
}

// signedFields are the names in h= of each signature, by d= and s=.
func signedFields(h header.Header) map[string][]string {
	out := map[string][]string{}
	for _, f := range h.Fields {
		if !strings.EqualFold(f.Name, "DKIM-Signature") {
			continue
		}
		tags := map[string]string{}
		for tag := range strings.SplitSeq(f.Value, ";") {
			name, value, _ := strings.Cut(tag, "=")
			tags[strings.TrimSpace(name)] = strings.ToLower(strings.Join(strings.Fields(value), ""))
		}
		key := tags["d"] + " " + tags["s"]
		out[key] = append(out[key], strings.Split(tags["h"], ":")...)
	}
	return out
}
