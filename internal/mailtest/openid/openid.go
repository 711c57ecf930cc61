// Package openid is an OpenID provider for tests: it says what the test tells it to, right or
// wrong.
package openid

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Claims are what an ID token says.
type Claims = map[string]any

// Script is how the provider behaves. Its functions may be nil.
type Script struct {
	Who    Claims                                  // of the next who signs in; iss, aud, exp, iat and nonce are added
	Change func(Claims)                            // of the finished claims
	Token  func(w http.ResponseWriter) (done bool) // answers in place of the token endpoint
	Forge  bool                                    // the token is signed with a key that nobody knows
	None   bool                                    // the token is not signed at all
	Silent bool                                    // every answer is an error of the server
}

// Provider is one that listens on this machine.
type Provider struct {
	*httptest.Server
	ClientID, Secret string

	t      testing.TB
	key    *rsa.PrivateKey
	other  *rsa.PrivateKey
	mu     sync.Mutex
	script Script
	codes  map[string]asked
	seen   []url.Values // what people were sent with
}

// asked is what a code stands for.
type asked struct {
	nonce, challenge, redirect string
	who                        Claims
}

// New starts a provider.
func New(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{t: t, ClientID: "postern", Secret: "the secret of the client", codes: map[string]asked{}}
	for _, k := range []**rsa.PrivateKey{&p.key, &p.other} {
		var err error
		if *k, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			t.Fatal(err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.now().Silent {
			http.Error(w, "away", http.StatusBadGateway)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

// Dead is an address where no provider answers.
func Dead(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String()
}

// Set changes how the provider behaves from now on.
func (p *Provider) Set(s Script) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.script = s
}

func (p *Provider) now() Script {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.script
}

// Asked is what people were sent with, in order.
func (p *Provider) Asked() []url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]url.Values(nil), p.seen...)
}

func (p *Provider) say(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		p.t.Error(err)
	}
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	p.say(w, map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	e := base64.RawURLEncoding.EncodeToString
	p.say(w, map[string]any{"keys": []any{map[string]string{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "one", "n": e(p.key.N.Bytes()), "e": e(big.NewInt(int64(p.key.E)).Bytes())}}})
}

// authorize is a page with one button, which sends people back.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	code := rand.Text()
	p.mu.Lock()
	p.seen = append(p.seen, q)
	p.codes[code] = asked{nonce: q.Get("nonce"), challenge: q.Get("code_challenge"), redirect: q.Get("redirect_uri"), who: p.script.Who}
	p.mu.Unlock()
	if q.Get("client_id") != p.ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" {
		http.Error(w, "this client asks wrongly", http.StatusBadRequest)
		return
	}
	to := q.Get("redirect_uri") + "?" + url.Values{"code": {code}, "state": {q.Get("state")}}.Encode()
	no := q.Get("redirect_uri") + "?" + url.Values{"error": {"access_denied"}, "state": {q.Get("state")}}.Encode()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!doctype html><title>provider</title><p><a id="yes" href="%s">It is me</a> <a id="no" href="%s">No</a>`, html.EscapeString(to), html.EscapeString(no))
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	s := p.now()
	if s.Token != nil && s.Token(w) {
		return
	}
	id, secret, _ := r.BasicAuth()
	p.mu.Lock()
	a, ok := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	p.mu.Unlock()
	proof := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if secret, err := url.QueryUnescape(secret); err != nil || id != p.ClientID || secret != p.Secret || !ok || base64.RawURLEncoding.EncodeToString(proof[:]) != a.challenge || r.PostFormValue("redirect_uri") != a.redirect {
		w.WriteHeader(http.StatusBadRequest)
		p.say(w, map[string]string{"error": "invalid_grant"})
		return
	}
	now := time.Now()
	c := Claims{"iss": p.URL, "aud": p.ClientID, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "nonce": a.nonce, "auth_time": now.Unix()}
	for k, v := range a.who {
		c[k] = v
	}
	if s.Change != nil {
		s.Change(c)
	}
	p.say(w, map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 3600, "id_token": p.sign(c, s)})
}

func (p *Provider) sign(c Claims, s Script) string {
	e := base64.RawURLEncoding.EncodeToString
	body, err := json.Marshal(c)
	if err != nil {
		p.t.Error(err)
	}
	if s.None {
		return e([]byte(`{"alg":"none"}`)) + "." + e(body) + "."
	}
	text := e([]byte(`{"alg":"RS256","kid":"one"}`)) + "." + e(body)
	key := p.key
	if s.Forge {
		key = p.other
	}
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		p.t.Error(err)
	}
	return text + "." + e(sig)
}

// Yes follows somebody who was sent to address and agrees: it is where the provider sends back.
func (p *Provider) Yes(address string) *url.URL {
	p.t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatal(resp.Status, err)
	}
	var back string
	if _, err := fmt.Sscanf(string(page), `<!doctype html><title>provider</title><p><a id="yes" href=%q>`, &back); err != nil {
		p.t.Fatal(err, string(page))
	}
	u, err := url.Parse(html.UnescapeString(back))
	if err != nil {
		p.t.Fatal(err)
	}
	return u
}
