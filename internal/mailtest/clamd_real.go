package mailtest

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ClamdOptions shapes a real clamd. The zero value is a daemon on a Unix socket whose only
// signature is EICAR and that does not know the version of its signatures.
type ClamdOptions struct {
	TCP     bool              // listen on loopback TCP instead
	Version int               // build the signatures as daily.cud of this version with sigtool; 0 = a plain file
	HDB     []string          // further lines "md5:size:Name"
	Hash    bool              // know EICAR by the hash of the whole file, not by its bytes anywhere
	Empty   bool              // no signature of ours at all: clamd then does not start by itself
	Config  map[string]string // further lines of clamd.conf; a value replaces ours
}

// RealClamd is a clamd process of the test's own.
type RealClamd struct {
	Endpoint string
	Dir      string

	conf string
	cmd  *exec.Cmd
	done chan struct{}
}

// StartRealClamd starts Debian's clamd (package clamav-daemon) in a folder of its own, waits
// for its PONG and ends it with the test. Without clamd the test fails under CI and is
// skipped elsewhere.
func StartRealClamd(t testing.TB, o ClamdOptions) *RealClamd {
	t.Helper()
	if _, err := clamdBinary(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	// Unix socket paths end at 107 bytes; t.TempDir() may be longer.
	dir, err := os.MkdirTemp("", "clamd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c, err := NewRealClamd(dir, o)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		err = c.Start(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

func clamdBinary() (string, error) {
	for _, p := range []string{"clamd", "/usr/sbin/clamd", "/usr/local/sbin/clamd"} {
		if path, err := exec.LookPath(p); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("clamd is not installed: apt-get install clamav-daemon")
}

// NewRealClamd writes configuration and signatures into dir; nothing runs yet.
func NewRealClamd(dir string, o ClamdOptions) (*RealClamd, error) {
	c := &RealClamd{Dir: dir, conf: filepath.Join(dir, "clamd.conf")}
	conf := map[string]string{
		"Foreground": "yes", "DatabaseDirectory": filepath.Join(dir, "db"), "LogFile": filepath.Join(dir, "clamd.log"),
		"TemporaryDirectory": dir, "ExtendedDetectionInfo": "yes", "MaxThreads": "4", "SelfCheck": "3600",
		"StreamMaxLength": "25M", "MaxFileSize": "25M", "MaxScanSize": "100M", "ConcurrentDatabaseReload": "no",
	}
	if o.TCP {
		free, err := FreePort()
		if err != nil {
			return nil, err
		}
		port := strconv.Itoa(free)
		conf["TCPSocket"], conf["TCPAddr"] = port, "127.0.0.1"
		c.Endpoint = "127.0.0.1:" + port
	} else {
		conf["LocalSocket"] = filepath.Join(dir, "s")
		c.Endpoint = "unix:" + conf["LocalSocket"]
	}
	for k, v := range o.Config {
		conf[k] = v
	}
	var b strings.Builder
	for k, v := range conf {
		fmt.Fprintf(&b, "%s %s\n", k, v)
	}
	if err := os.WriteFile(c.conf, []byte(b.String()), 0o600); err != nil {
		return nil, err
	}
	return c, c.signatures(o)
}

// signatures fills the database folder.
func (c *RealClamd) signatures(o ClamdOptions) error {
	db := filepath.Join(c.Dir, "db")
	if err := os.Mkdir(db, 0o700); err != nil {
		return err
	}
	if o.Empty {
		return nil
	}
	folder, base := db, "test."
	if o.Version > 0 {
		folder, base = filepath.Join(c.Dir, "build"), "daily."
		if err := os.Mkdir(folder, 0o700); err != nil {
			return err
		}
	}
	files := map[string]string{"COPYING": "test signatures\n"}
	hashes := o.HDB
	if o.Hash {
		hashes = append([]string{fmt.Sprintf("%x:%d:Test.Eicar", md5.Sum(EICAR()), len(EICAR()))}, hashes...)
	} else {
		files[base+"ndb"] = "Test.Eicar:0:*:" + hex.EncodeToString(EICAR()) + "\n"
	}
	if len(hashes) > 0 {
		files[base+"hdb"] = strings.Join(hashes, "\n") + "\n"
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if o.Version > 0 {
		return c.pack(folder, db, o.Version)
	}
	return nil
}

// pack makes daily.cud with sigtool, so that VERSION knows a number and a date. sigtool asks
// for the builder's name on its standard input.
func (c *RealClamd) pack(folder, db string, version int) error {
	cmd := exec.Command("sigtool", "--build=daily.cud", "--unsigned", fmt.Sprintf("--cvd-version=%d", version))
	cmd.Dir, cmd.Stdin = folder, strings.NewReader("builder\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("sigtool (package clamav): %w: %s", err, out)
	}
	return os.Rename(filepath.Join(folder, "daily.cud"), filepath.Join(db, "daily.cud"))
}

// Start runs the daemon and waits until it answers PING. A stopped one can be started again.
func (c *RealClamd) Start(ctx context.Context) error {
	bin, err := clamdBinary()
	if err != nil {
		return err
	}
	if path, ok := strings.CutPrefix(c.Endpoint, "unix:"); ok {
		_ = os.Remove(path)
	}
	c.cmd = exec.Command(bin, "--config-file="+c.conf)
	c.done = make(chan struct{})
	if err := c.cmd.Start(); err != nil {
		return err
	}
	go func(cmd *exec.Cmd, done chan struct{}) { _ = cmd.Wait(); close(done) }(c.cmd, c.done)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !c.pong() {
		select {
		case <-tick.C:
		case <-c.done:
			log, _ := os.ReadFile(filepath.Join(c.Dir, "clamd.log"))
			return fmt.Errorf("clamd ended at once: %s", log)
		case <-ctx.Done():
			c.Stop()
			return fmt.Errorf("clamd did not answer PING: %w", ctx.Err())
		}
	}
	return nil
}

func (c *RealClamd) pong() bool {
	network, addr := "tcp", c.Endpoint
	if path, ok := strings.CutPrefix(c.Endpoint, "unix:"); ok {
		network, addr = "unix", path
	}
	conn, err := net.DialTimeout(network, addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := conn.Write([]byte("zPING\x00")); err != nil {
		return false
	}
	b := make([]byte, 5)
	n, _ := conn.Read(b)
	return string(b[:n]) == "PONG\x00"
}

// Pause stops the process with SIGSTOP: it hangs with its sockets open.
func (c *RealClamd) Pause() error { return c.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (c *RealClamd) Resume() error { return c.cmd.Process.Signal(syscall.SIGCONT) }

// Reload asks clamd to read its signatures again.
func (c *RealClamd) Reload() error { return c.cmd.Process.Signal(syscall.SIGUSR2) }

// Stop kills the process and waits for its end.
func (c *RealClamd) Stop() {
	if c.cmd == nil || c.cmd.Process == nil {
		return
	}
	_ = c.cmd.Process.Kill()
	<-c.done
}
