package glue_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/cmd/postern/glue"
	"postern/cmd/postern/setup"
	"postern/internal/config"
	"postern/internal/relay/client"
	"postern/internal/relay/recipient"
	"postern/internal/smtpd"
	"postern/rules"
)

func configured() *config.Config {
	c := config.Default()
	c.Hostname = "mx1.example.com"
	c.Egress = "out"
	c.Listeners = []config.Listener{{Name: "mx", Kind: config.KindInbound}, {Name: "sub", Kind: config.KindSubmission, Backend: "login"}}
	c.Routes = map[string]config.Route{
		"example.com": {Backend: "mail", Recipients: "verify"}, "*.example.com": {Backend: "subs", Recipients: "any"},
		"*.deep.example.com": {Backend: "deep", Recipients: "any"}, "xn--bcher-kva.example": {Backend: "books", Recipients: "any"},
	}
	return c
}

// answers is a Known that is scripted by address.
type answers map[string]error

func (a answers) Known(_ context.Context, _ string, _ recipient.Mode, addr string) (recipient.Answer, error) {
	err, known := a[addr]
	if !known {
		return recipient.Answer{Reply: client.Reply{Code: 550, Enhanced: "5.1.1", Text: "no such user"}}, nil
	}
	return recipient.Answer{Known: err == nil}, err
}

func directory(t *testing.T, k glue.Known) *glue.Directory {
	t.Helper()
	set, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	d := &glue.Directory{Config: &atomic.Pointer[config.Config]{}, Rules: &atomic.Pointer[rules.Set]{}, Verifier: k}
	d.Config.Store(configured())
	d.Rules.Store(set)
	return d
}

func TestWhereARecipientGoes(t *testing.T) {
	slow := &recipient.TempError{Reply: client.Reply{Code: 450, Enhanced: "4.2.0", Text: "later"}}
	d := directory(t, answers{"ada@example.com": nil, "x@sub.example.com": nil, "postmaster@example.com": nil, "slow@example.com": slow,
		"broken@example.com": errors.New("disk on fire"), "a@b.deep.example.com": nil, "a@bücher.example": nil})
	in, sub, smart := &smtpd.Listener{Name: "mx"}, &smtpd.Listener{Name: "sub", Kind: smtpd.KindSubmission}, &smtpd.Listener{Name: "sm", Kind: smtpd.KindSmarthost}
	for _, c := range []struct {
		l             *smtpd.Listener
		addr, backend string
		reply         string
	}{
		{in, "ada@example.com", "mail", ""},
		{in, "x@sub.example.com", "subs", ""},
		{in, "a@b.deep.example.com", "deep", ""},
		{in, "a@bücher.example", "books", ""},
		{in, "postmaster", "mail", ""},
		{in, "a@elsewhere.example", "", "550 5.7.1"},
		{in, "a@notexample.com", "", "550 5.7.1"},
		{in, "nobody@example.com", "", "550 5.1.1"},
		{in, "slow@example.com", "", "450 4.2.0"},
		{in, "broken@example.com", "", "private"},
		{sub, "anybody@elsewhere.example", "login", ""},
		{smart, "anybody@elsewhere.example", "out", ""},
	} {
		to, err := d.Route(t.Context(), c.l, nil, c.addr)
		var r *smtpd.Reply
		switch {
		case c.reply == "" && (err != nil || to.Backend != c.backend):
			t.Errorf("%s: %+v %v", c.addr, to, err)
		case c.reply == "private" && (err == nil || errors.As(err, &r)):
			t.Errorf("%s: a cause of ours is no reply: %v", c.addr, err)
		case c.reply != "" && c.reply != "private" && (!errors.As(err, &r) || !strings.HasPrefix(r.Error(), c.reply)):
			t.Errorf("%s: %v, want %s", c.addr, err, c.reply)
		}
	}
	if got := setup.ListenerBackends(configured(), config.Listener{Kind: config.KindInbound}); len(got) != 4 || !slices.Contains(got, "subs") {
		t.Errorf("%v", got)
	}
	if got := setup.ListenerBackends(configured(), config.Listener{Kind: config.KindSubmission, Backend: "login"}); !slices.Equal(got, []string{"login"}) {
		t.Errorf("submission goes to %v", got)
	}
	if got := setup.ListenerBackends(configured(), config.Listener{Kind: config.KindSmarthost}); !slices.Equal(got, []string{configured().Egress}) {
		t.Errorf("a smarthost hands on to %v", got)
	}
	c := configured()
	c.Hostname = "mx.provider.example"
	if got := glue.HomeDomain(c); got != "example.com" {
		t.Errorf("the home of postmaster is %q", got)
	}
}

func TestNodeKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	random := bytes.NewReader(bytes.Repeat([]byte{7}, 64))
	a, err := glue.NodeKey(path, random)
	if err != nil || len(a) != 32 {
		t.Fatalf("%x %v", a, err)
	}
	b, err := glue.NodeKey(path, strings.NewReader(""))
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("a second start has another key: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := glue.NodeKey(path, random); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("a damaged key: %v", err)
	}
	if _, err := glue.NodeKey(filepath.Join(t.TempDir(), "k"), strings.NewReader("x")); err == nil {
		t.Error("a random source that ends")
	}
}

func TestWebhooksFollowNoRedirects(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer srv.Close()
	res, err := glue.WebhookClient().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("%d", res.StatusCode)
	}
}

func TestAccount(t *testing.T) {
	if glue.Account(" Ada@Example.COM ") != "ada@example.com" {
		t.Error("an account has one form")
	}
}

// pair writes a certificate for name and returns the configuration of its files.
func pair(t *testing.T, dir, name string) config.TLS {
	t.Helper()
	cert, key := selfSigned(t, name)
	files := config.TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	for path, b := range map[string][]byte{files.Cert: cert, files.Key: key} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func nameOf(t *testing.T, c *tls.Config) string {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf.DNSNames[0]
}

func TestCertificatesReloadAndABrokenPairChangesNothing(t *testing.T) {
	dir := t.TempDir()
	files := pair(t, dir, "one.example")
	var said []error
	c, err := glue.NewCerts(files, slog.New(slog.DiscardHandler), func(err error) { said = append(said, err) })
	if err != nil {
		t.Fatal(err)
	}
	if nameOf(t, c.Config()) != "one.example" || len(said) != 0 {
		t.Fatalf("%v", said)
	}
	stamp := func(n int) {
		at := time.Now().Add(time.Duration(n) * time.Hour)
		if err := errors.Join(os.Chtimes(files.Cert, at, at), os.Chtimes(files.Key, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(files.Cert, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	stamp(1)
	if nameOf(t, c.Config()) != "one.example" || len(said) != 1 || said[0] == nil {
		t.Errorf("a broken pair: %v", said)
	}
	pair(t, dir, "two.example")
	stamp(2)
	if nameOf(t, c.Config()) != "two.example" || len(said) != 2 || said[1] != nil {
		t.Errorf("the new pair: %v", said)
	}
	if _, err := glue.NewCerts(config.TLS{Cert: "/gone.pem", Key: "/gone.key"}, slog.Default(), nil); err == nil || !strings.Contains(err.Error(), "/gone.pem") {
		t.Errorf("a missing file at the start: %v", err)
	}
	if _, err := glue.ReadCA(files.Key); err == nil {
		t.Error("a key is no CA")
	}
	if _, err := glue.ReadCA(files.Cert); err != nil {
		t.Error(err)
	}
}

func TestPools(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "pw")
	if err := os.WriteFile(secret, []byte("hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := configured()
	c.Backends = map[string][]config.Backend{"out": {{
		Addr: "192.0.2.1:25", Protocol: "smtp", TLS: "required", MaxConns: 7, Auth: config.BackendAuth{User: "gw", PasswordFile: secret},
	}}}
	p, err := glue.Pools(c)
	if err != nil {
		t.Fatal(err)
	}
	s := p.Pools["out"][0]
	if s.MaxConns != 7 || s.TLS.Mode != client.TLSRequired || s.Auth == nil || s.Auth.Secret != "hush" || p.LocalName != "mx1.example.com" {
		t.Errorf("%+v", s)
	}
	c.Backends["out"][0].Auth.PasswordFile = filepath.Join(dir, "gone")
	if _, err := glue.Pools(c); err == nil || !strings.Contains(err.Error(), "backend out (192.0.2.1:25)") {
		t.Errorf("%v", err)
	}
}
