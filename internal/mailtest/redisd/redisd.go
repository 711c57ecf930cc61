// Package redisd starts Debian's redis-server for tests: on loopback, in a folder of its own,
// with a user that may do only what the gateway's user may.
package redisd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"postern/internal/mailtest"

	"github.com/redis/go-redis/v9"
)

// Password is that of the user "postern" and of "default".
const Password = "test-secret"

// Options shape a server. The zero value keeps everything (appendonly, fsync always) and takes
// no memory limit.
type Options struct {
	ACL  string   // lines of an ACL file; "" = only "default", with Password
	TLS  bool     // TLS alone, and only for clients with a certificate; see Server.TLS
	Args []string // further words of the command line: "--maxmemory", "2mb"
}

// Server is a redis-server process of the test's own.
type Server struct {
	Addr   string // 127.0.0.1:port
	Socket string // the same by Unix socket
	Dir    string
	TLS    *tls.Config // of a client, with a certificate; nil: the server speaks no TLS

	args []string
	cmd  *exec.Cmd
	done chan struct{}
}

// Start starts a server, waits until it answers and ends it with the test. Without
// redis-server the test fails under CI and is skipped elsewhere.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := prepared(t, o)
	s.Run(t)
	return s
}

// prepared makes the folder of a server that ends with the test.
func prepared(t testing.TB, o Options) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("redis-server is not installed: apt-get install redis-server")
		}
		t.Skip("redis-server is not installed")
	}
	dir, err := os.MkdirTemp("", "redisd") // socket paths end at 107 bytes; t.TempDir() may be longer
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s, err := prepare(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

func prepare(dir string, o Options) (*Server, error) {
	port, err := mailtest.FreePort()
	if err != nil {
		return nil, err
	}
	acl := "user default on >" + Password + " ~* &* +@all"
	if o.ACL != "" {
		acl = o.ACL + "\n" + acl
	}
	file := filepath.Join(dir, "users.acl")
	if err := os.WriteFile(file, []byte(acl+"\n"), 0o600); err != nil {
		return nil, err
	}
	s := &Server{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Socket: filepath.Join(dir, "s"), Dir: dir}
	s.args = []string{
		"--bind", "127.0.0.1", "--unixsocket", s.Socket, "--dir", dir, "--aclfile", file, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "no", "--maxmemory-policy", "noeviction", "--daemonize", "no", "--logfile", filepath.Join(dir, "log"),
		"--masteruser", "default", "--masterauth", Password,
	}
	if !o.TLS {
		s.args = append(s.args, "--port", strconv.Itoa(port))
	} else {
		words, err := s.withTLS(port)
		if err != nil {
			return nil, err
		}
		s.args = append(s.args, words...)
	}
	s.args = append(s.args, o.Args...)
	return s, nil
}

// Run starts the process, also again after Kill, and waits until it answers.
func (s *Server) Run(t testing.TB) { s.RunWith(t) }

// RunWith is Run with further words of the command line for this time alone.
func (s *Server) RunWith(t testing.TB, words ...string) {
	t.Helper()
	s.Begin(t, words...)
	done := s.done
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c := s.Client()
	defer end(c)
	for c.Ping(ctx).Err() != nil {
		select {
		case <-ctx.Done():
			text, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
			t.Fatalf("redis-server does not answer: %s", text)
		case <-done:
			text, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
			t.Fatalf("redis-server ended: %s", text)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Begin is RunWith that does not wait for answers: one that has much to load gives others first.
func (s *Server) Begin(t testing.TB, words ...string) {
	t.Helper()
	cmd := exec.Command("redis-server", append(slices.Clone(s.args), words...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	s.cmd, s.done = cmd, done
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
}

// Local is Client by the Unix socket, which speaks no TLS.
func (s *Server) Local() *redis.Client {
	return redis.NewClient(&redis.Options{
		Network: "unix", Addr: s.Socket, Username: "default", Password: Password, Protocol: 2, DisableIdentity: true,
		ContextTimeoutEnabled: true, MaxRetries: -1,
	})
}

// Client is a client with all rights, for looking at the server from outside.
func (s *Server) Client() *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: s.Addr, Username: "default", Password: Password, Protocol: 2, DisableIdentity: true, TLSConfig: s.TLS,
		ContextTimeoutEnabled: true, MaxRetries: -1,
	})
}

// Pid is the process.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Kill ends the process at once (SIGKILL) and waits for its end.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return
	}
	<-s.done
}

// Stop freezes the process; Continue lets it go on.
func (s *Server) Stop() error { return s.signal(syscall.SIGSTOP) }

// Continue lets a stopped process go on.
func (s *Server) Continue() error { return s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) error {
	if err := s.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("redis-server: %w", err)
	}
	return nil
}
