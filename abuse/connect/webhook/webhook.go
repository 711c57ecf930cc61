// Package webhook speaks the standard-webhooks form of signed events
// (github.com/standard-webhooks), both ways, and carries measures to whoever listens to them.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Bounds.
const (
	MaxBody     = 256 << 10 // octets of an event or an answer
	MaxSigs     = 10        // signatures looked at in one header
	Tolerance   = 5 * time.Minute
	Remembered  = 100_000 // IDs of events seen
	SendTimeout = 20 * time.Second

	headerID, headerTime, headerSignature = "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"
)

// Errors of a Receiver; a stranger hears the same for all of them.
var (
	ErrSignature = errors.New("no signature of ours")
	ErrTime      = errors.New("too old, or from the future")
	ErrSeen      = errors.New("seen before")
	ErrForm      = errors.New("no event")
)

// Errors of a Sender.
var (
	ErrGone     = errors.New("the receiver wants no more events")
	ErrRefused  = errors.New("the receiver refused the event")
	ErrRedirect = errors.New("the receiver sends us elsewhere")
)

// Secret is a key of a webhook.
type Secret []byte

// ParseSecret reads "whsec_" and 24 to 64 bytes in base64.
func ParseSecret(s string) (Secret, error) {
	text, ok := strings.CutPrefix(strings.TrimSpace(s), "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errors.New("a secret is whsec_ and 24 to 64 bytes in base64")
	}
	return key, nil
}

// sign is one signature over an event.
func (s Secret) sign(id string, at int64, body []byte) string {
	h := hmac.New(sha256.New, s)
	fmt.Fprintf(h, "%s.%d.", id, at)
	h.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// Event is what is sent: its type, when, and about what.
type Event struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      any       `json:"data"`
}

// Sender posts events to one address.
type Sender struct {
	URL     string
	Secrets []Secret // all sign: a receiver may know the old one or the new one
	HTTP    *http.Client
	Now     func() time.Time
}

// Client is an HTTP client for webhooks: it follows no redirect, and goes to no address that
// allowed refuses, whatever its name resolves to.
func Client(dial Dialer) *http.Client {
	return &http.Client{
		Timeout:       SendTimeout,
		Transport:     &http.Transport{DialContext: dial.Dial, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 15 * time.Second, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Send posts one event under an ID that stays the same when it is tried again, and returns what
// the receiver answered. Errors: ErrGone for 410, ErrRedirect, ErrRefused for other answers but
// 2xx, or those of the connection, after which nobody knows whether it arrived.
func (s *Sender) Send(ctx context.Context, id string, e Event) ([]byte, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	if len(body) > MaxBody {
		return nil, fmt.Errorf("an event of %d octets, at most %d are sent", len(body), MaxBody)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	at := s.Now().Unix()
	var signatures []string
	for _, k := range s.Secrets {
		signatures = append(signatures, k.sign(id, at, body))
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(headerID, id)
	req.Header.Set(headerTime, strconv.FormatInt(at, 10))
	req.Header.Set(headerSignature, strings.Join(signatures, " "))
	res, err := s.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, MaxBody))
	switch {
	case res.StatusCode == http.StatusGone:
		return nil, ErrGone
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return nil, ErrRedirect
	case res.StatusCode < 200 || res.StatusCode >= 300:
		return nil, fmt.Errorf("%w: status %d", ErrRefused, res.StatusCode)
	}
	return answer, err
}

// Receiver takes events of others, each once.
type Receiver struct {
	Secrets []Secret
	Now     func() time.Time

	mu   sync.Mutex
	seen map[string]time.Time
}

// Take verifies an event and returns its ID, type and data.
func (r *Receiver) Take(h http.Header, body []byte) (id, kind string, data json.RawMessage, err error) {
	id = h.Get(headerID)
	at, perr := strconv.ParseInt(h.Get(headerTime), 10, 64)
	if id == "" || len(id) > 128 || perr != nil || len(body) > MaxBody {
		return "", "", nil, ErrForm
	}
	if !r.signed(h.Get(headerSignature), id, at, body) {
		return "", "", nil, ErrSignature
	}
	now := r.Now()
	if d := now.Sub(time.Unix(at, 0)); d > Tolerance || d < -Tolerance {
		return "", "", nil, ErrTime
	}
	var e struct {
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &e); err != nil || e.Type == "" {
		return "", "", nil, ErrForm
	}
	if !r.first(id, now) {
		return "", "", nil, ErrSeen
	}
	return id, e.Type, e.Data, nil
}

func (r *Receiver) signed(header, id string, at int64, body []byte) bool {
	good := false
	for i, sig := range strings.Fields(header) {
		if i == MaxSigs {
			break
		}
		for _, k := range r.Secrets {
			good = hmac.Equal([]byte(sig), []byte(k.sign(id, at, body))) || good
		}
	}
	return good
}

// first notes the ID. What is older than Tolerance is refused for its time, so an ID need not be
// remembered longer than twice that.
func (r *Receiver) first(id string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.seen[id]; ok && now.Sub(at) <= 2*Tolerance {
		return false
	}
	if len(r.seen) >= Remembered {
		for other, at := range r.seen {
			if now.Sub(at) > 2*Tolerance {
				delete(r.seen, other)
			}
		}
		if len(r.seen) >= Remembered { // a flood of good signatures: better to refuse than to forget
			return false
		}
	}
	if r.seen == nil {
		r.seen = map[string]time.Time{}
	}
	r.seen[id] = now
	return true
}
