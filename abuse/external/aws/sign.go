package aws

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Credentials are whose name a call is made in.
type Credentials struct {
	ID, Secret string
	Token      string // of a session; "" = none
}

const (
	algorithm = "AWS4-HMAC-SHA256"
	stamp     = "20060102T150405Z"
)

// Sign signs a request whose headers and body stand (Signature Version 4). All its headers are
// covered.
func Sign(r *http.Request, body []byte, c Credentials, region, service string, at time.Time) {
	at = at.UTC()
	r.Header.Set("X-Amz-Date", at.Format(stamp))
	if c.Token != "" {
		r.Header.Set("X-Amz-Security-Token", c.Token)
	}
	canonical, names := canonical(r, body)
	scope := strings.Join([]string{at.Format("20060102"), region, service, "aws4_request"}, "/")
	text := strings.Join([]string{algorithm, at.Format(stamp), scope, sum([]byte(canonical))}, "\n")
	key := []byte("AWS4" + c.Secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	r.Header.Set("Authorization", fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%x", algorithm, c.ID, scope, names, mac(key, text)))
}

// canonical is the request in the one form that both sides hash, and the names of its headers.
func canonical(r *http.Request, body []byte) (text, names string) {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	headers := map[string]string{"host": host}
	for name, values := range r.Header {
		kept := make([]string, 0, len(values))
		for _, v := range values {
			kept = append(kept, strings.Join(strings.Fields(v), " "))
		}
		headers[strings.ToLower(name)] = strings.Join(kept, ",")
	}
	all := make([]string, 0, len(headers))
	for name := range headers {
		all = append(all, name)
	}
	slices.Sort(all)
	var lines strings.Builder
	for _, name := range all {
		lines.WriteString(name + ":" + headers[name] + "\n")
	}
	names = strings.Join(all, ";")
	return strings.Join([]string{r.Method, path(r.URL), query(r.URL), lines.String(), names, sum(body)}, "\n"), names
}

// path is encoded once more than it is on the wire.
func path(u *url.URL) string {
	parts := strings.Split(u.EscapedPath(), "/")
	for i, p := range parts {
		parts[i] = encode(p)
	}
	if out := strings.Join(parts, "/"); out != "" {
		return out
	}
	return "/"
}

func query(u *url.URL) string {
	var all []string
	for name, values := range u.Query() {
		for _, v := range values {
			all = append(all, encode(name)+"="+encode(v))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "&")
}

// encode leaves unreserved octets alone (RFC 3986 section 2.3).
func encode(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), "%7E", "~")
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func sum(b []byte) string {
	x := sha256.Sum256(b)
	return hex.EncodeToString(x[:])
}
