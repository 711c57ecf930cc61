// Package redisd starts Debian's redis-server for tests: on loopback, in a folder of its own,
// with a user that may do only what the gateway's user may.
package redisd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Password is that of the user "postern" and of "default".
const Password = "test-secret"

// Options shape a server. The zero value keeps everything (appendonly, fsync always) and takes
// no memory limit.
type Options struct {
	ACL  string   // lines of an ACL file; "" = only "default", with Password
	Args []string // further words of the command line: "--maxmemory", "2mb"
}

// Server is a redis-server process of the test's own.
type Server struct {
	Addr   string // 127.0.0.1:port
	Socket string // the same by Unix socket
	Dir    string

	args []string
	cmd  *exec.Cmd
	done chan struct{}
}

// Start starts a server, waits until it answers and ends it with the test. Without
// redis-server the test fails under CI and is skipped elsewhere.
func Start(t testing.TB, o Options) *Server {
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
	s.Run(t)
	return s
}

func prepare(dir string, o Options) (*Server, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	acl := o.ACL
	if acl == "" {
		acl = "user default on >" + Password + " ~* &* +@all"
	} else {
		acl += "\nuser default on >" + Password + " ~* &* +@all"
	}
	file := filepath.Join(dir, "users.acl")
	if err := os.WriteFile(file, []byte(acl+"\n"), 0o600); err != nil {
		return nil, err
	}
	s := &Server{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Socket: filepath.Join(dir, "s"), Dir: dir}
	s.args = append([]string{
		"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--unixsocket", s.Socket, "--dir", dir, "--aclfile", file, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "no", "--maxmemory-policy", "noeviction", "--daemonize", "no", "--logfile", filepath.Join(dir, "log"),
		"--masteruser", "default", "--masterauth", Password,
	}, o.Args...)
	return s, nil
}

// FreePort is a TCP port of loopback that nobody listens on.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// Run starts the process, also again after Kill, and waits until it answers.
func (s *Server) Run(t testing.TB) {
	t.Helper()
	cmd := exec.Command("redis-server", s.args...)
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
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c := s.Client()
	defer c.Close()
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

// Client is a client with all rights, for looking at the server from outside.
func (s *Server) Client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: s.Addr, Username: "default", Password: Password, Protocol: 2, DisableIdentity: true})
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
