package alert

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Webhook POSTs each alert as JSON. The header Postern-Signature is
// "t=UNIX,v1=HEX" with HEX = HMAC-SHA256(secret, UNIX "." body), so that the receiver can
// tell who sent it and when.
type Webhook struct {
	URL    string
	Secret string
	HTTP   *http.Client
	Now    func() time.Time
}

// Sign is the value of the signature header for a body.
func Sign(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// Send posts one alert; any status but 2xx is an error.
func (w *Webhook) Send(ctx context.Context, a Alert) error {
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Postern-Signature", Sign(w.Secret, w.Now(), body))
	res, err := w.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("webhook: answered %d", res.StatusCode)
	}
	return nil
}

// Mail writes each alert as a message and hands it to Submit, which keeps it until it is
// delivered.
type Mail struct {
	Hostname string
	To       []string
	Now      func() time.Time
	NewID    func() (string, error)
	Submit   func(ctx context.Context, to string, message []byte) error
}

// Send submits one message per recipient.
func (m *Mail) Send(ctx context.Context, a Alert) error {
	for _, to := range m.To {
		id, err := m.NewID()
		if err != nil {
			return err
		}
		if err := m.Submit(ctx, to, m.compose(id, to, a)); err != nil {
			return fmt.Errorf("alert mail to %s: %w", to, err)
		}
	}
	return nil
}

func (m *Mail) compose(id, to string, a Alert) []byte {
	word := string(a.Severity)
	if a.Over {
		word = "all clear"
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("From: Postern <postmaster@%s>", m.Hostname)
	line("To: <%s>", to)
	line("Subject: %s", mime.QEncoding.Encode("utf-8", short(clean(fmt.Sprintf("[%s] %s: %s", a.Node, word, a.Summary)), 150)))
	line("Date: %s", m.Now().Format(time.RFC1123Z))
	line("Message-ID: <%s@%s>", id, m.Hostname)
	line("Auto-Submitted: auto-generated")
	line("MIME-Version: 1.0")
	line("Content-Type: text/plain; charset=utf-8")
	line("Content-Transfer-Encoding: 8bit")
	line("")
	line("%s", clean(a.Summary))
	if a.Detail != "" {
		line("")
		for _, l := range strings.Split(a.Detail, "\n") {
			line("%s", clean(l))
		}
	}
	line("")
	line("Since: %s", a.Since.UTC().Format(time.RFC3339))
	if a.Over {
		line("Over:  %s", a.At.UTC().Format(time.RFC3339))
	}
	line("About: %s on %s", clean(a.Key), clean(a.Node))
	return []byte(b.String())
}

// clean keeps controls out of a line and bounds it: details may hold what strangers said.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return short(s, 900)
}

func short(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}
