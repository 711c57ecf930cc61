package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"postern/internal/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type greet struct {
	Name string `json:"name"`
}

func server() *control.Server {
	s := control.NewServer()
	control.Handle(s, "greet", func(ctx context.Context, p greet) (string, error) {
		switch p.Name {
		case "":
			return "", control.Refuse(control.Invalid, "test.name", "a name is needed")
		case "broken":
			return "", errors.New("disk on fire")
		}
		return "hello " + p.Name, nil
	})
	control.Handle(s, "who", func(ctx context.Context, _ struct{}) (string, error) { return control.Actor(ctx), nil })
	return s
}

// overSocket runs the server on a socket and returns a client of it.
func overSocket(t *testing.T) *control.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "postern.sock")
	l, err := control.Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server().Serve(ctx, l) }()
	c, err := control.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode is %v %v", info.Mode(), err)
	}
	if _, err := control.Listen(t.Context(), path); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Errorf("a second server: %v", err)
	}
	return c
}

func TestCallsMeanTheSameBothWays(t *testing.T) {
	for name, caller := range map[string]control.Caller{"socket": overSocket(t), "in process": server()} {
		t.Run(name, func(t *testing.T) {
			var got string
			if err := caller.Call(t.Context(), "greet", greet{"Ada"}, &got); err != nil || got != "hello Ada" {
				t.Errorf("%q %v", got, err)
			}
			if err := caller.Call(t.Context(), "greet", greet{"Ada"}, nil); err != nil {
				t.Error(err)
			}
			for params, want := range map[any]struct {
				kind control.Kind
				text string
			}{
				greet{}:         {control.Invalid, "a name is needed"},
				greet{"broken"}: {control.Fault, "disk on fire"},
				struct {
					Other string `json:"other"`
				}{"x"}: {control.Invalid, `unknown field "other"`},
			} {
				err := caller.Call(t.Context(), "greet", params, &got)
				var e *control.Error
				if !errors.As(err, &e) || e.Kind != want.kind || !strings.Contains(e.Message, want.text) {
					t.Errorf("%v: %v", params, err)
				}
			}
			var e *control.Error
			if err := caller.Call(t.Context(), "nothing", nil, nil); !errors.As(err, &e) || e.Kind != control.NotFound {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestActor(t *testing.T) {
	c := overSocket(t)
	var who string
	if err := c.Call(t.Context(), "who", nil, &who); err != nil || !strings.HasPrefix(who, "uid ") {
		t.Errorf("%q %v", who, err)
	}
	if err := server().Call(control.WithActor(t.Context(), "postmaster"), "who", nil, &who); err != nil || who != "postmaster" {
		t.Errorf("%q %v", who, err)
	}
	if err := server().Call(t.Context(), "who", nil, &who); err != nil || who != "unknown" {
		t.Errorf("%q %v", who, err)
	}
}

func TestNoServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gone.sock")
	if _, err := control.Dial(t.Context(), path); !control.NoServer(err) {
		t.Errorf("%v", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if _, err := control.Dial(t.Context(), path); !control.NoServer(err) {
		t.Errorf("a socket left behind: %v", err)
	}
	again, err := control.Listen(t.Context(), path)
	if err != nil {
		t.Fatalf("a socket left behind is replaced: %v", err)
	}
	again.Close()
	if _, err := control.Listen(t.Context(), "/"+strings.Repeat("x", 200)); err == nil || !strings.Contains(err.Error(), "201 bytes") {
		t.Errorf("%v", err)
	}
}

func TestOtherRequestsAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := control.Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server().Serve(ctx, l) }()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
	res, err := (&http.Client{Transport: tr}).Get("http://x/v1/greet")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("GET: %d %s", res.StatusCode, b)
	}
	tr.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := server().Calls(); len(got) != 2 || got[0] != "greet" {
		t.Errorf("%v", got)
	}
}

// A gate sees who calls, whether over the socket or in this process, and may refuse.
func TestTheGate(t *testing.T) {
	s := server()
	s.Gate = func(ctx context.Context, p control.Peer, token, name string, raw json.RawMessage, next func(context.Context) (any, error)) (any, error) {
		switch {
		case !p.Operator() || p.String() != control.Self().String():
			return nil, control.Refuse(control.Fault, "test.peer", "the peer is %s", "peer", p)
		case token == "closed":
			return nil, control.Refuse(control.Conflict, "test.not", "not %s %s", "name", name, "raw", raw)
		case token != "":
			ctx = control.WithActor(ctx, "holder of "+token)
		}
		return next(ctx)
	}
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := control.Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	c, err := control.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]string{"": control.Self().String(), "pt": "holder of pt"} {
		c.Token = token
		for _, caller := range []control.Caller{c, s.As(control.Self(), token)} {
			var who string
			if err := caller.Call(t.Context(), "who", nil, &who); err != nil || who != want {
				t.Errorf("%q %v", who, err)
			}
			if err := caller.Call(t.Context(), "who", nil, nil); err != nil {
				t.Error(err)
			}
		}
	}
	c.Token = "closed"
	for _, caller := range []control.Caller{c, s.As(control.Self(), "closed")} {
		if err := caller.Call(t.Context(), "greet", greet{"Ada"}, nil); err == nil || err.Error() != `not greet {"name":"Ada"}` {
			t.Errorf("%v", err)
		}
	}
	c.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestPeers(t *testing.T) {
	for want, p := range map[string]control.Peer{"unknown": {UID: -1}, "uid 7": {UID: 7}, "uid 7 (ann)": {UID: 7, Name: "ann"}} {
		if p.String() != want {
			t.Errorf("%q", p)
		}
	}
	if (control.Peer{UID: -1}).Operator() || !(control.Peer{}).Operator() || !control.Self().Operator() {
		t.Error("who has the machine is wrong")
	}
}
