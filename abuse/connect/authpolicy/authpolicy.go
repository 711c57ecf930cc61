// Package authpolicy answers the HTTP questions of Dovecot's auth_policy_server: whether an
// account may come in, and it learns from where accounts came in and failed to.
package authpolicy

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"postern/abuse"
)

// MaxBody bounds a question, in octets.
const MaxBody = 16 << 10

// Login is one sign-in that Dovecot reports.
type Login struct {
	Account  string
	At       time.Time
	From     netip.Addr
	Service  string // imap, pop3, submission, smtp ...
	Device   string
	OK       bool
	PolicyNo bool // we refused it
}

// Options are what the service needs.
type Options struct {
	// Secret stands in the X-API-Key header of every question (auth_policy_server_api_header).
	Secret string
	// Force is the record that restricts an account most; the zero Account restricts nothing.
	Force func(account string) abuse.Account
	// Learn is told of each sign-in that was tried; nil = nobody listens. It must not block.
	Learn func(l Login)
	Now   func() time.Time
	Log   *slog.Logger
}

// question is what Dovecot posts; fields that the documentation of 2.3 and 2.4 names.
type question struct {
	Login    string `json:"login"`
	Remote   string `json:"remote"`
	Protocol string `json:"protocol"`
	Device   string `json:"device_id"`
	Success  *bool  `json:"success"`
	Reject   bool   `json:"policy_reject"`
}

type answer struct {
	Status  int    `json:"status"` // -1 no, 0 yes
	Message string `json:"msg"`
}

type server struct {
	o   Options
	key [32]byte
}

// New is the service, at every path.
func New(o Options) http.Handler { return &server{o: o, key: sha256.Sum256([]byte(o.Secret))} }

// ServeHTTP implements http.Handler. Whoever lacks the secret learns nothing, and what cannot
// be read gets a fault, on which Dovecot goes on without us.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	given := sha256.Sum256([]byte(r.Header.Get("X-API-Key")))
	if s.o.Secret == "" || subtle.ConstantTimeCompare(given[:], s.key[:]) != 1 {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var q question
	if err != nil || json.Unmarshal(body, &q) != nil || abuse.Name(q.Login) == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	a := answer{}
	switch r.URL.Query().Get("command") {
	case "allow":
		a = s.allow(r.Context(), q)
	case "report":
		s.report(q)
	default:
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(a) // Dovecot has gone: nobody to tell
}

func (s *server) allow(_ context.Context, q question) answer {
	acc := s.o.Force(q.Login)
	level := acc.Effective()
	if level >= abuse.M5 || level >= abuse.M3 && sends(q.Protocol) {
		return answer{Status: -1, Message: "this account is suspended"}
	}
	return answer{}
}

func sends(protocol string) bool {
	p := strings.ToLower(protocol)
	return p == "smtp" || p == "submission"
}

func (s *server) report(q question) {
	if s.o.Learn == nil || q.Success == nil {
		return
	}
	from, _ := netip.ParseAddr(q.Remote) // a local login has none
	s.o.Learn(Login{Account: abuse.Name(q.Login), At: s.o.Now(), From: from.Unmap(), Service: strings.ToLower(q.Protocol), Device: q.Device, OK: *q.Success, PolicyNo: q.Reject})
}
