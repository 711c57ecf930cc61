package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// MaxSocketPath is the longest path a Unix socket can have on Linux.
const MaxSocketPath = 107

// Listen opens the socket with mode 0600. A socket on which nobody answers any more is
// replaced; one that answers means another server runs.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	if len(path) > MaxSocketPath {
		return nil, fmt.Errorf("%s: the socket's path has %d bytes, at most %d work", path, len(path), MaxSocketPath)
	}
	var d net.Dialer
	if c, err := d.DialContext(ctx, "unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("%s: another server answers on it", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	old := syscall.Umask(0o177)
	defer syscall.Umask(old)
	var lc net.ListenConfig
	return lc.Listen(ctx, "unix", path)
}

// Serve answers calls on l until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           http.HandlerFunc(s.serveHTTP),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, peer(c))
		},
	}
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			_ = srv.Close()
		}
	})
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/v1/")
	if r.Method != http.MethodPost || name == r.URL.Path {
		http.Error(w, "POST /v1/CALL", http.StatusNotFound)
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBytes))
	if err != nil {
		answer(w, nil, Refuse(Invalid, "control.unread-request", "%s: the request could not be read", "call", name))
		return
	}
	who, ok := r.Context().Value(peerKey{}).(Peer)
	if !ok {
		who = Peer{UID: -1}
	}
	out, err := s.enter(r.Context(), who, bearer(r.Header.Get("Authorization")), name, raw)
	answer(w, out, err)
}

type envelope struct {
	Result json.RawMessage `json:"result,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

func answer(w http.ResponseWriter, out any, err error) {
	var e envelope
	if err == nil {
		if e.Result, err = json.Marshal(out); err != nil {
			e.Result, err = nil, &Error{Kind: Fault, Message: "the answer could not be written", Cause: err}
		}
	}
	if err != nil && !errors.As(err, &e.Error) {
		e.Error = &Error{Kind: Fault, Message: err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(e) // the caller has gone: nobody to tell
}

// Client calls a server over its socket.
type Client struct {
	Token string // whose calls they are; "" = of whoever runs this process
	http  *http.Client
}

// Dial connects to the socket. The error is os.ErrNotExist or ECONNREFUSED when no server
// runs there.
func Dial(ctx context.Context, path string) (*Client, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	c.Close()
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", path) },
	}}}, nil
}

// NoServer reports whether a Dial error means that no server runs.
func NoServer(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Call makes a call over the socket.
func (c *Client) Call(ctx context.Context, name string, params, result any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return unread(name, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://postern/v1/"+name, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return &Error{Kind: Fault, Message: "the server does not answer on its socket: " + err.Error(), Cause: err}
	}
	defer res.Body.Close()
	var e envelope
	if err := json.NewDecoder(io.LimitReader(res.Body, MaxBytes)).Decode(&e); err != nil {
		return &Error{Kind: Fault, Message: "the server's answer cannot be read", Cause: err}
	}
	switch {
	case e.Error != nil:
		return e.Error
	case result == nil:
		return nil
	}
	return json.Unmarshal(e.Result, result)
}
