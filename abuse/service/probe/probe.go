// Package probe looks whether doors of the service answer, as a stranger finds them: an SMTP
// greeting and an answer to EHLO, a page over HTTP.
package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/pires/go-proxyproto"
)

// Door is what is looked at.
type Door struct {
	Group string // what it counts for
	Name  string // in what is said
	Addr  string // host:port; an unspecified host is this machine
	TLS   bool   // from the first octet on
	Web   bool   // HTTP, else SMTP
	Band  string // narrow, broad or "": over what line a page comes
	Knock bool   // only whether it opens: an API counts what comes without a token
	// Proxy are the networks whose connections begin with a PROXY header.
	Proxy []netip.Prefix
}

// Timeout is how long a door has for its whole answer.
const Timeout = 20 * time.Second

// NarrowTimeout is that of a page over a narrow line, of which 30 s are promised: what takes longer
// must be counted.
const NarrowTimeout = 50 * time.Second

func (d Door) timeout() time.Duration {
	if d.Band == "narrow" {
		return NarrowTimeout
	}
	return Timeout
}

// Bounds of an answer.
const (
	maxLine  = 2048
	maxLines = 100
	maxPage  = 1 << 20
)

// Dialer opens connections; net.Dialer is one.
type Dialer interface {
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
}

// Look knocks at a door. helo is how we name ourselves. The certificate of the door is not
// judged: a name of this machine is not in it.
func Look(ctx context.Context, dial Dialer, d Door, helo string) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout())
	defer cancel()
	err := look(ctx, dial, d, helo)
	if err != nil {
		return fmt.Errorf("%s: %w", d.Name, err)
	}
	return nil
}

func look(ctx context.Context, dial Dialer, d Door, helo string) error {
	c, err := open(ctx, dial, d)
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	switch {
	case d.Knock:
	case d.Web:
		err = page(c, d, helo)
	default:
		err = smtp(c, helo)
	}
	if ctx.Err() != nil {
		return errors.New("no whole answer in " + d.timeout().String())
	}
	return err
}

func open(ctx context.Context, dial Dialer, d Door) (net.Conn, error) {
	host, port, err := net.SplitHostPort(d.Addr)
	if err != nil {
		return nil, err
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() && !ip.Is4In6() {
			host = "::1"
		}
	}
	c, err := dial.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, err
	}
	if at, ok := c.LocalAddr().(*net.TCPAddr); ok && in(d.Proxy, at.AddrPort().Addr().Unmap()) {
		h := &proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}
		if _, err := h.WriteTo(c); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	if !d.TLS {
		return c, nil
	}
	t := tls.Client(c, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, ServerName: serverName(host)}) //nolint:gosec // whether it answers is asked, nothing is sent
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return t, nil
}

func serverName(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	return host
}

func in(networks []netip.Prefix, ip netip.Addr) bool {
	for _, p := range networks {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

func smtp(c net.Conn, helo string) error {
	r := bufio.NewReaderSize(c, maxLine)
	if err := reply(r, "greeting", 220); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "EHLO "+helo+"\r\n"); err != nil {
		return err
	}
	if err := reply(r, "EHLO", 250); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "QUIT\r\n"); err != nil {
		return err
	}
	_ = reply(r, "QUIT", 221) // it has answered; how it says farewell is its affair
	return nil
}

// reply reads one reply of all its lines.
func reply(r *bufio.Reader, to string, want int) error {
	for range maxLines {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("no answer to %s: %w", to, err)
		}
		text := strings.TrimRight(string(line), "\r\n")
		if len(text) < 3 {
			return fmt.Errorf("the answer to %s is no SMTP", to)
		}
		code, err := strconv.Atoi(text[:3])
		if err != nil || code != want {
			return fmt.Errorf("the answer to %s is %.100q", to, text)
		}
		if len(text) == 3 || text[3] == ' ' {
			return nil
		}
	}
	return fmt.Errorf("the answer to %s has no end", to)
}

// page asks for the first page. Any answer that is no fault of the server will do.
func page(c net.Conn, d Door, helo string) error {
	req, err := http.NewRequest(http.MethodGet, "http://"+d.Addr+"/", nil)
	if err != nil {
		return err
	}
	req.Close = true
	req.Header.Set("User-Agent", "postern-probe/"+helo)
	if err := req.Write(c); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReader(io.LimitReader(c, maxPage)), req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("it answers %s", res.Status)
	}
	return nil
}
