package campaign_test

import (
	"net/netip"
	"strings"
	"testing"

	"postern/filter"
	"postern/filter/campaign"
	"postern/internal/mime"
	"postern/internal/store/storetest/campaigntest"
)

// TestSource says where a letter came from: its proved author's organization, else a network.
func TestSource(t *testing.T) {
	const net4 = "198.18.5.0/24"
	one := "From: a@news.bulk.example\r\n"
	for name, c := range map[string]struct {
		header string
		ip     string
		found  []filter.Finding
		want   string
	}{
		"nothing known":            {one, "198.18.5.7", nil, net4},
		"IPv4 in IPv6":             {one, "::ffff:198.18.5.7", nil, net4},
		"IPv6":                     {one, "2001:db8:1:2::7", nil, "2001:db8:1::/48"},
		"no address":               {one, "", nil, ""},
		"DMARC passes":             {one, "198.18.5.7", []filter.Finding{auth("dmarc", "pass", "header", "from", "news.bulk.example")}, "bulk.example"},
		"DMARC of another domain":  {one, "198.18.5.7", []filter.Finding{auth("dmarc", "pass", "header", "from", "other.example")}, net4},
		"no DMARC, aligned DKIM":   {one, "198.18.5.7", []filter.Finding{auth("dkim", "pass", "header", "d", "bulk.example")}, "bulk.example"},
		"aligned DKIM that fails":  {one, "198.18.5.7", []filter.Finding{auth("dkim", "fail", "header", "d", "bulk.example")}, net4},
		"aligned HELO":             {one, "198.18.5.7", []filter.Finding{auth("spf", "pass", "smtp", "helo", "mx.bulk.example")}, "bulk.example"},
		"DMARC cannot tell":        {one, "198.18.5.7", []filter.Finding{auth("dmarc", "temperror", "header", "from", "bulk.example"), auth("dkim", "pass", "header", "d", "bulk.example")}, net4},
		"several authors":          {one + "From: b@bulk.example\r\n", "198.18.5.7", []filter.Finding{auth("dmarc", "pass", "header", "from", "bulk.example")}, net4},
		"two in one From":          {"From: a@bulk.example, b@bulk.example\r\n", "198.18.5.7", []filter.Finding{auth("dmarc", "pass", "header", "from", "bulk.example")}, net4},
		"no author":                {"", "198.18.5.7", []filter.Finding{auth("dmarc", "pass", "header", "from", "bulk.example")}, net4},
		"what is no domain":        {"From: a@localhost\r\n", "198.18.5.7", []filter.Finding{auth("dmarc", "pass", "header", "from", "localhost")}, net4},
		"a public suffix proves 0": {"From: a@co.uk\r\n", "198.18.5.7", []filter.Finding{auth("dmarc", "pass", "header", "from", "co.uk")}, net4},
	} {
		t.Run(name, func(t *testing.T) {
			raw := c.header + "Subject: x\r\n\r\n" + text + "\r\n"
			tree := mime.Bytes([]byte(raw), mime.DefaultLimits())
			m := &filter.Message{ID: "id", Time: now(), Body: strings.NewReader(raw), Parts: func() (*mime.Tree, error) { return tree, nil }}
			if c.ip != "" {
				m.Client.IP = netip.MustParseAddr(c.ip)
			}
			s := &campaigntest.Memory{}
			o := outcome(filter.Delivered)
			o.Report.Findings = c.found
			if err := (&campaign.Observer{Store: s}).Done(t.Context(), m, o); err != nil {
				t.Fatal(err)
			}
			if got := copies(t, s); len(got) != 1 || got[0].Source != c.want || (got[0].Author == c.want) != strings.HasSuffix(c.want, ".example") && c.want != "" {
				t.Errorf("%+v, want %q", got, c.want)
			}
		})
	}
}
