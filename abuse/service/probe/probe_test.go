package probe_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"postern/abuse/service/probe"
)

// serve answers each connection with lines, one before and one after each line it reads.
func serve(t *testing.T, lines ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for _, line := range lines {
					if _, err := fmt.Fprint(c, line); err != nil {
						return
					}
					if _, err := r.ReadString('\n'); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestDoors(t *testing.T) {
	var d net.Dialer
	for name, c := range map[string]struct {
		lines []string
		want  string // "" = it answers
	}{
		"good":        {[]string{"220-hello\r\n220 there\r\n", "250-us\r\n250 SIZE\r\n", "221 bye\r\n"}, ""},
		"no farewell": {[]string{"220 hello\r\n", "250 us\r\n"}, ""},
		"too busy":    {[]string{"421 4.3.2 too busy\r\n"}, "421"},
		"no SMTP":     {[]string{"x\r\n"}, "no SMTP"},
		"no EHLO":     {[]string{"220 hello\r\n", "550 go away\r\n"}, "550"},
		"too long":    {[]string{strings.Repeat("2", 5000) + "\r\n"}, "no answer"},
		"no end":      {[]string{strings.Repeat("220-x\r\n", 200)}, "no end"},
	} {
		err := probe.Look(t.Context(), &d, probe.Door{Name: "door", Addr: serve(t, c.lines...)}, "mx.example")
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := probe.Look(t.Context(), &d, probe.Door{Name: "door", Addr: "127.0.0.1:1"}, "mx.example"); err == nil {
		t.Error("nobody answers, and it is fine")
	}
	if err := probe.Look(t.Context(), &d, probe.Door{Name: "door", Addr: "nonsense"}, "mx.example"); err == nil {
		t.Error("an address that is none passes")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := probe.Look(ctx, &d, probe.Door{Name: "door", Addr: serve(t)}, "mx.example"); err == nil {
		t.Error("it does not end")
	}
}

// A door behind a PROXY header gets one that stands for nobody.
func TestProxyHeader(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b := make([]byte, 16)
		n, _ := c.Read(b)
		got <- string(b[:n])
		_, _ = fmt.Fprint(c, "220 hello\r\n250 us\r\n221 bye\r\n")
		_, _ = c.Read(make([]byte, 100))
		_, _ = c.Read(make([]byte, 100))
	}()
	if err := probe.Look(t.Context(), &net.Dialer{}, probe.Door{Addr: l.Addr().String(), Proxy: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, "mx.example"); err != nil {
		t.Error(err)
	}
	if h := <-got; !strings.HasPrefix(h, "\r\n\r\n\x00\r\nQUIT\n\x20\x00") {
		t.Errorf("%q", h)
	}
}

func TestPages(t *testing.T) {
	var code atomic.Int64
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(code.Load())) }))
	defer s.Close()
	addr := s.Listener.Addr().String()
	for _, c := range []struct {
		code int
		ok   bool
	}{{200, true}, {401, true}, {503, false}} {
		code.Store(int64(c.code))
		if err := probe.Look(t.Context(), &net.Dialer{}, probe.Door{Addr: addr, TLS: true, Web: true}, "mx.example"); (err == nil) != c.ok {
			t.Errorf("%d: %v", c.code, err)
		}
	}
	if err := probe.Look(t.Context(), &net.Dialer{}, probe.Door{Addr: addr, TLS: true, Knock: true}, "mx.example"); err != nil {
		t.Error(err)
	}
	if err := probe.Look(t.Context(), &net.Dialer{}, probe.Door{Addr: addr, Web: true}, "mx.example"); err != nil {
		t.Log(err) // the server says 400 to what is no TLS: it answers
	}
}
