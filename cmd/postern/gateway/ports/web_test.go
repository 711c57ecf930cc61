package ports

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"postern/internal/config"
)

// open serves h with short waits until the test ends.
func open(t *testing.T, wait waits, h http.HandlerFunc) string {
	t.Helper()
	p, err := listenWeb(t.Context(), "desk", config.Web{Addr: "127.0.0.1:0"}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.wait != (waits{HeaderWait, ReadWait, WriteWait, IdleWait}) || HeaderWait > ReadWait || ReadWait > 2*time.Minute {
		t.Errorf("%+v", p.wait)
	}
	p.wait = wait
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.serve(ctx, h) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return p.listener.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute)) // a server that waits for ever fails the test
	return c
}

// ends waits for the server to hang up, and returns what it said before.
func ends(t *testing.T, name string, r io.Reader) string {
	t.Helper()
	said, err := io.ReadAll(r)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		t.Errorf("%s: the server still waits", name)
	}
	return string(said)
}

const short = 200 * time.Millisecond

// TestSlowClients: whoever says nothing, half a head, half a body, or nothing more is hung up on,
// and nobody else waits for them.
func TestSlowClients(t *testing.T) {
	bodies := make(chan error, 10)
	const long = 10 * time.Minute // each server is short of one patience alone: a machine that stands still changes nothing
	serve := func(wait waits) net.Conn {
		return dial(t, open(t, wait, func(w http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			if r.Method == http.MethodPost {
				bodies <- err
			}
			_, _ = io.WriteString(w, "well")
		}))
	}
	silent, head := serve(waits{short, long, long, long}), serve(waits{short, long, long, long})
	body, idle := serve(waits{long, short, long, long}), serve(waits{long, long, long, short})
	fmt.Fprint(head, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	fmt.Fprint(body, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
	fmt.Fprint(idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if got := ends(t, "silent", silent); strings.Contains(got, "well") {
		t.Error(got)
	}
	if got := ends(t, "half a head", head); strings.Contains(got, "well") {
		t.Error(got)
	}
	if err := <-bodies; err == nil {
		t.Error("half a body is a whole one")
	}
	ends(t, "half a body", body)
	if got := ends(t, "idle", idle); !strings.HasSuffix(got, "well") {
		t.Errorf("%q", got)
	}
}

// TestSlowReader: an answer that is not taken ends.
func TestSlowReader(t *testing.T) {
	over := make(chan error, 1)
	addr := open(t, waits{time.Minute, time.Minute, short, time.Minute}, func(w http.ResponseWriter, _ *http.Request) {
		var err error
		for chunk := make([]byte, 1<<20); err == nil; {
			_, err = w.Write(chunk)
		}
		over <- err
	})
	fmt.Fprint(dial(t, addr), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case <-over:
	case <-time.After(2 * time.Minute):
		t.Error("the server still writes to who does not read")
	}
}

// TestLargeHead: a head that is too large is refused, one that fits is not.
func TestLargeHead(t *testing.T) {
	addr := open(t, waits{time.Minute, time.Minute, time.Minute, time.Minute}, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "well") })
	for n, want := range map[int]int{MaxHeader / 2: http.StatusOK, 2 * MaxHeader: http.StatusRequestHeaderFieldsTooLarge} {
		c := dial(t, addr)
		go func() { fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nX-Large: %s\r\n\r\n", strings.Repeat("x", n)) }()
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%d octets: %v", n, err)
			continue
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%d octets: %d", n, res.StatusCode)
		}
	}
}
