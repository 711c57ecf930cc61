package steps_test

import (
	"bytes"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/steps"
	"postern/filter"
	"postern/internal/config"
	"postern/internal/mailtest"
	"postern/internal/mime"
	"postern/rules"
)

// message is mail from a listed host with a link to a listed domain.
func message(t *testing.T) *filter.Message {
	t.Helper()
	src := []byte("From: a@friend.example\r\nTo: b@our.example\r\nSubject: hi\r\n\r\nhttp://www.bad.example/x and http://our.example/\r\n")
	tree, err := mime.Walk(bytes.NewReader(src), int64(len(src)), mime.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return &filter.Message{
		ID: "m", Time: time.Now(), From: "a@friend.example", Client: filter.Client{IP: netip.MustParseAddr("198.51.100.9"), Helo: "mail.friend.example"},
		To: []filter.Recipient{{Address: "b@our.example", Policy: "default"}}, Body: bytes.NewReader(src), Size: int64(len(src)),
		Parts: func() (*mime.Tree, error) { return tree, nil },
	}
}

func configured(srv *mailtest.DNS) *config.Config {
	c := config.Default()
	c.Hostname, c.DNS.Servers = "mx.our.example", []string{srv.Addr()}
	c.Routes = map[string]config.Route{"our.example": {}}
	c.Lists = []config.List{
		{Name: "ips", Zone: "ips.example", Of: "ip", Codes: map[string]string{"127.0.0.2": "RBL_SBL"}},
		{Name: "links", Zone: "links.example", Of: "link", Codes: map[string]string{"127.0.0.&4": "DBL_LINK_SPAM"}},
	}
	return c
}

func run(t *testing.T, c *config.Config, withDNS bool) (symbols, unchecked []string) {
	t.Helper()
	set, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	p, closeAll, err := steps.Offline(t.Context(), c, set, slog.New(slog.DiscardHandler), time.Now, withDNS, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll()
	m := message(t)
	for _, stage := range []filter.Stage{filter.OnConnect, filter.OnSender, filter.OnRecipient, filter.OnData} {
		r := p.Run(t.Context(), stage, m)
		m.Seen = append(m.Seen, r.Findings...)
		for _, f := range r.Findings {
			symbols = append(symbols, f.Symbol)
		}
		for _, f := range r.Failures {
			unchecked = append(unchecked, f.Step+": "+f.Reason)
		}
	}
	return symbols, unchecked
}

// A list that passes its test is asked about files too, of addresses and of links.
func TestListsCountForFiles(t *testing.T) {
	srv := mailtest.NewDNS(t, mailtest.Zone{
		"2.0.0.127.ips.example": {"A 127.0.0.2"}, "9.100.51.198.ips.example": {"A 127.0.0.2"},
		"test.links.example": {"A 127.0.0.2"}, "bad.example.links.example": {"A 127.0.0.6"}, "our.example.links.example": {"A 127.0.0.6"},
	})
	symbols, unchecked := run(t, configured(srv), true)
	if !slices.Contains(symbols, "RBL_SBL") || !slices.Contains(symbols, "DBL_LINK_SPAM") || len(unchecked) > 0 {
		t.Errorf("found %v, unchecked %v", symbols, unchecked)
	}
	if srv.Count("our.example.links.example") > 0 {
		t.Error("our own domain was asked about")
	}
	if symbols, _ := run(t, configured(srv), false); slices.ContainsFunc(symbols, func(s string) bool { return strings.HasPrefix(s, "RBL_") || strings.HasPrefix(s, "DBL_") }) {
		t.Errorf("without DNS: %v", symbols)
	}
}

func TestAListThatFailsItsTestIsNotAsked(t *testing.T) {
	srv := mailtest.NewDNS(t, mailtest.Zone{"*.ips.example": {"A 127.0.0.2"}, "test.links.example": {"A 127.0.0.2"}})
	symbols, unchecked := run(t, configured(srv), true)
	if slices.Contains(symbols, "RBL_SBL") || !slices.ContainsFunc(unchecked, func(s string) bool { return strings.Contains(s, "ips") }) {
		t.Errorf("found %v, unchecked %v", symbols, unchecked)
	}
}
