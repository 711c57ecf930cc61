package contact_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/abuse/external/contact"
	"postern/internal/dns"
	"postern/internal/mailtest"
	"postern/internal/mailtest/entities"
)

var now = time.Date(2026, 6, 8, 10, 0, 0, 0, time.UTC)

func finder(t *testing.T, zone mailtest.Zone) *contact.Finder {
	t.Helper()
	srv := mailtest.NewDNS(t, zone)
	r, err := dns.New(dns.Config{Servers: []string{srv.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return &contact.Finder{DNS: r, Abusix: "abuse-contacts.test", Abusenet: "contacts.test", Store: &entities.Memory{}, Now: func() time.Time { return now }}
}

const nested = `{"handle":"NET","entities":[
 {"roles":["registrant"],"vcardArray":["vcard",[["version",{},"text","4.0"],["email",{},"text","owner@net.example"]]],
  "entities":[{"roles":["technical"]},{"roles":["Abuse"],"vcardArray":["vcard",[["fn",{},"text","Abuse"],["email",{"type":"work"},"text","mailto:Abuse@Net.Example"],["email",{},"text","abuse@ripe.net"]]]}]}]}`

func registry(t *testing.T, body string, asked *[]string) *contact.Registry {
	t.Helper()
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.URL.Path)
		switch {
		case r.URL.Path == "/ipv4.json":
			_, _ = w.Write([]byte(`{"services":[[["192.0.0.0/8"],["http://127.0.0.1:1/no/"]],[["192.0.2.0/24"],["` + srv.URL + `/rdap/"]],[["bad"]]]}`))
		case strings.HasPrefix(r.URL.Path, "/rdap/ip/"):
			_, _ = w.Write([]byte(body))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	return &contact.Registry{Client: srv.Client(), Bootstrap: []string{srv.URL + "/ipv4.json"}, Now: func() time.Time { return now }}
}

func TestOrder(t *testing.T) {
	f := finder(t, mailtest.Zone{
		"7.2.0.192.abuse-contacts.test": {"TXT abusix@carrier.example"},
		"net.example.contacts.test":     {"TXT abuse.net@net.example"},
		"7.2.0.192.in-addr.arpa":        {"PTR mx7.out.net.example"},
		"mx7.out.net.example":           {"A 192.0.2.7"},
	})
	var asked []string
	f.RDAP = registry(t, nested, &asked)
	src := contact.Source{IP: netip.MustParseAddr("192.0.2.7"), Domain: "spam.example", CFBL: "fbl@esp.example; report=xarf", Signed: true}
	expect := func(addr string, way contact.Way, form string) {
		t.Helper()
		r, err := f.Find(t.Context(), src)
		if err != nil || r.Contact != (contact.Contact{Address: addr, Way: way, Form: form}) {
			t.Errorf("%+v %v, want %s by %s", r, err, addr, way)
		}
	}
	expect("fbl@esp.example", contact.CFBL, "xarf")
	src.Signed = false
	if _, err := f.Learn(t.Context(), "anna", "192.0.2.0/24", "noc@good.example", "xarf"); err != nil {
		t.Fatal(err)
	}
	expect("noc@good.example", contact.Learned, "xarf")
	if _, err := f.OptOut(t.Context(), "anna", "good.example", "asked so"); err != nil {
		t.Fatal(err)
	}
	expect("abuse@net.example", contact.RDAP, "arf")
	if len(asked) != 2 || asked[1] != "/rdap/ip/192.0.2.7" {
		t.Errorf("asked %v", asked)
	}
	f.RDAP = nil
	expect("abusix@carrier.example", contact.Abusix, "arf")
	f.Abusix = "empty.test"
	expect("abuse.net@net.example", contact.Abusenet, "arf")
	f.Abusenet = ""
	expect("abuse@net.example", contact.Reverse, "arf")
}

func TestNeverTheAbuserItself(t *testing.T) {
	f := finder(t, mailtest.Zone{
		"7.2.0.192.abuse-contacts.test": {"TXT abuse@mail.spam.example"},
		"7.2.0.192.in-addr.arpa":        {"PTR mx.spam.example", "PTR liar.net.example"},
		"mx.spam.example":               {"A 192.0.2.7"},
		"liar.net.example":              {"A 192.0.2.99"},
	})
	r, err := f.Find(t.Context(), contact.Source{IP: netip.MustParseAddr("::ffff:192.0.2.7"), Domain: "news.spam.example", CFBL: "x@y.example"})
	if !errors.Is(err, contact.ErrNone) || len(r.Tried) < 4 {
		t.Fatalf("%+v %v", r, err)
	}
	text := strings.Join(r.Tried, "\n")
	for _, want := range []string{"no signature covers", "abuse@mail.spam.example belongs to the domain", "abuse@spam.example belongs to the domain"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestRegistryThatMisbehaves(t *testing.T) {
	for body, want := range map[string]string{
		`{`:             "cannot be read",
		`{"entities":1`: "cannot be read",
		`{}`:            "names nobody",
		`{"roles":["abuse"],"vcardArray":["vcard",[["email"],["email",{},"text",7],["email",{},"text","no address"]]]}`: "names nobody",
		strings.Repeat(" ", 1<<20+1): "more than",
		strings.Repeat(`{"entities":[`, 50) + `{"roles":["abuse"],"vcardArray":["vcard",[["email",{},"text","deep@x.example"]]]}` + strings.Repeat(`]}`, 50): "names nobody",
	} {
		var asked []string
		r := registry(t, body, &asked)
		if all, err := r.Abuse(t.Context(), netip.MustParseAddr("192.0.2.7")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v %v, want %q", body, all, err, want)
		}
	}
	var asked []string
	r := registry(t, nested, &asked)
	if _, err := r.Abuse(t.Context(), netip.MustParseAddr("2001:db8::1")); err == nil || !strings.Contains(err.Error(), "no registry is known") {
		t.Error(err)
	}
	r = &contact.Registry{Client: http.DefaultClient, Endpoints: []string{"http://127.0.0.1:1"}, Now: time.Now}
	if _, err := r.Abuse(t.Context(), netip.MustParseAddr("192.0.2.7")); err == nil || !strings.Contains(err.Error(), "did not answer") {
		t.Error(err)
	}
}

func TestPlaceholders(t *testing.T) {
	f := finder(t, mailtest.Zone{"7.2.0.192.abuse-contacts.test": {"TXT helpdesk@apnic.net,nobody@x.example junk real@x.example"}})
	r, err := f.Find(t.Context(), contact.Source{IP: netip.MustParseAddr("192.0.2.7")})
	if err != nil || r.Contact.Address != "real@x.example" {
		t.Errorf("%+v %v", r, err)
	}
	f = finder(t, mailtest.Zone{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.abuse-contacts.test": {"TXT six@x.example"}})
	if r, err = f.Find(t.Context(), contact.Source{IP: netip.MustParseAddr("2001:db8::1")}); err != nil || r.Contact.Address != "six@x.example" {
		t.Errorf("%+v %v", r, err)
	}
}

func TestRecords(t *testing.T) {
	f := finder(t, mailtest.Zone{})
	for _, c := range [][3]string{{"192.0.2.0/4", "a@b.example", ""}, {"", "a@b.example", ""}, {"192.0.2.1", "a", ""}, {"x.example", "a@b.example", "fax"}} {
		if _, err := f.Learn(t.Context(), "anna", c[0], c[1], c[2]); !errors.Is(err, contact.ErrInvalid) {
			t.Errorf("%v: %v", c, err)
		}
	}
	if _, err := f.OptOut(t.Context(), "anna", "not an address", ""); !errors.Is(err, contact.ErrInvalid) {
		t.Error(err)
	}
	for range 2 {
		if _, err := f.Learn(t.Context(), "anna", "Spam.example", "A@B.example", ""); err != nil {
			t.Fatal(err)
		}
	}
	all, _, err := f.List(t.Context(), "", 10)
	if err != nil || len(all) != 1 || all[0].Address != "a@b.example" || all[0].About != "spam.example" {
		t.Fatalf("%+v %v", all, err)
	}
	if err := f.Forget(t.Context(), all[0].ID); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Find(ctx, contact.Source{IP: netip.MustParseAddr("192.0.2.7")}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type answers struct{ body []byte }

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	_, err := w.Write(a.body)
	return w.Result(), err
}

func FuzzRegistry(f *testing.F) {
	f.Add([]byte(nested))
	f.Add([]byte(`{"entities":[{"roles":["abuse"],"vcardArray":["vcard",[["email",{},"text","a@b.example"],["email",{},"text",["x"]]]]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := &contact.Registry{Client: &http.Client{Transport: answers{body}}, Endpoints: []string{"https://rdap.test"}, Now: time.Now}
		all, err := r.Abuse(t.Context(), netip.MustParseAddr("192.0.2.7"))
		if err == nil && (len(all) == 0 || len(all) > 5) {
			t.Errorf("%q", all)
		}
		for _, a := range all {
			if strings.ContainsAny(a, "\r\n\x00 <>") || !strings.Contains(a, "@") {
				t.Errorf("%q is taken for an address", a)
			}
		}
	})
}
