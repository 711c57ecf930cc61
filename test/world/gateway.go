package world

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postern/internal/mailtest"
)

// Binary builds the program once per test process and returns its path.
func Binary(t testing.TB) string {
	t.Helper()
	return build(t, "postern")
}

// Before builds the program as it was before the last change of the store's schema: it speaks
// the schema before alone.
func Before(t testing.TB) string {
	t.Helper()
	return build(t, "postern-before", "-tags", "schemabefore")
}

// builds are the programs that this process has asked for, by name: func() (string, error).
var builds sync.Map

// build makes a program of the checkout below bin, once for all tests of the process.
func build(t testing.TB, name string, flags ...string) string {
	t.Helper()
	root := mailtest.ModuleRoot(t)
	made, _ := builds.LoadOrStore(name, sync.OnceValues(func() (string, error) {
		path := filepath.Join(root, "bin", name)
		cmd := exec.Command("go", append(append([]string{"build", "-trimpath"}, flags...), "-o", path, "./cmd/postern")...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w: %s", err, out)
		}
		return path, nil
	}))
	path, err := made.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Use makes another program the gateway's, from its next start on.
func (g *Gateway) Use(bin string) { g.bin = bin }

// Gateway is the real program, serving.
type Gateway struct {
	Dir    string            // holds postern.yaml and the state
	Config string            // path of postern.yaml
	Addrs  map[string]string // by listener name, and "admin"
	PID    int
	Env    []string // besides that of the test, for all its commands
	Wrap   []string // a program with arguments that runs it, such as a tracer that keeps its PID

	t   testing.TB
	bin string
	cmd *exec.Cmd
	end chan struct{} // closes when the process has ended
	err error         // how it ended

	mu  sync.Mutex
	log bytes.Buffer
}

// NewGateway writes postern.yaml into a new folder; DIR in it stands for that folder. Listeners
// should have port 0. Nothing runs yet.
func NewGateway(t testing.TB, yaml string) *Gateway {
	t.Helper()
	return NewGatewayOf(t, Binary(t), yaml)
}

// NewGatewayOf is NewGateway with a program that was built before.
func NewGatewayOf(t testing.TB, bin, yaml string) *Gateway {
	t.Helper()
	g := &Gateway{Dir: folder(t, "gateway"), t: t, bin: bin}
	g.Config = filepath.Join(g.Dir, "postern.yaml")
	g.Write(yaml)
	t.Cleanup(func() {
		if g.cmd != nil {
			g.Kill()
		}
	})
	return g
}

// Write replaces postern.yaml, as an editor would: by rename.
func (g *Gateway) Write(yaml string) {
	g.t.Helper()
	g.WriteFile("postern.yaml", strings.ReplaceAll(yaml, "DIR", g.Dir))
}

// WriteFile puts a file into the folder by rename.
func (g *Gateway) WriteFile(name, text string) {
	g.t.Helper()
	path := filepath.Join(g.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(path+".tmp", []byte(text), 0o644); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		g.t.Fatal(err)
	}
}

// Start runs "postern serve" and waits until it says that it serves.
func (g *Gateway) Start() {
	g.t.Helper()
	line := append(slices.Clone(g.Wrap), g.bin, "-c", g.Config, "serve")
	g.cmd = exec.Command(line[0], line[1:]...)
	g.cmd.Env = append(os.Environ(), g.Env...)
	pipe, err := g.cmd.StderrPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.PID = g.cmd.Process.Pid
	g.Addrs = map[string]string{}
	g.end = make(chan struct{})
	serving := make(chan struct{})
	go g.read(pipe, serving)
	select {
	case <-serving:
	case <-g.end:
		g.t.Fatalf("the gateway ended at once: %v\n%s", g.err, g.Log())
	case <-time.After(60 * time.Second):
		g.t.Fatalf("the gateway does not serve\n%s", g.Log())
	}
}

func (g *Gateway) read(pipe io.Reader, serving chan struct{}) {
	in := bufio.NewScanner(pipe)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		g.mu.Lock()
		g.log.Write(in.Bytes())
		g.log.WriteByte('\n')
		g.mu.Unlock()
		var line struct{ Msg, Name, Addr string }
		if json.Unmarshal(in.Bytes(), &line) != nil {
			continue
		}
		switch line.Msg {
		case "listening":
			g.Addrs[line.Name] = line.Addr
		case "serving":
			close(serving)
		}
	}
	g.err = g.cmd.Wait()
	close(g.end)
}

// Log is what it logged so far.
func (g *Gateway) Log() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.String()
}

// Signal sends a signal.
func (g *Gateway) Signal(s syscall.Signal) {
	g.t.Helper()
	if err := g.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		g.t.Fatal(err)
	}
}

// Stop sends SIGTERM and returns how it ended, nil for exit 0.
func (g *Gateway) Stop() error {
	g.t.Helper()
	g.Signal(syscall.SIGTERM)
	return g.Wait(45 * time.Second)
}

// Wait waits for the end of the process.
func (g *Gateway) Wait(within time.Duration) error {
	g.t.Helper()
	select {
	case <-g.end:
		return g.err
	case <-time.After(within):
		g.Kill()
		g.t.Fatalf("the gateway did not end within %v", within)
		return nil
	}
}

// Kill ends it with SIGKILL.
func (g *Gateway) Kill() {
	_ = g.cmd.Process.Kill() // it may have ended by itself
	<-g.end
}

// Run runs another command of the program with the same configuration.
func (g *Gateway) Run(args ...string) (stdout, stderr string, code int) {
	g.t.Helper()
	cmd := exec.Command(g.bin, append([]string{"-c", g.Config}, args...)...)
	cmd.Env = append(os.Environ(), g.Env...)
	return run(g.t, cmd)
}

// Run runs a program to its end.
func Run(t testing.TB, bin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return run(t, exec.Command(bin, args...))
}

func run(t testing.TB, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// Ready waits until /readyz says yes.
func (g *Gateway) Ready() {
	g.t.Helper()
	Await(g.t, "the gateway is ready", 60*time.Second, func() bool {
		res, err := http.Get("http://" + g.Addrs["admin"] + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}
