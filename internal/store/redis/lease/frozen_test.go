package lease_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/lease"
	"postern/internal/store/redis/redistest"
)

// frozenAt is the variable that makes this test binary a node with a job, for TestFrozen.
const frozenAt = "LEASE_TEST_REDIS"

// frozenTTL is long enough that a machine that stands still for a moment is not taken for one
// that is frozen.
const frozenTTL = 4 * time.Second

// TestFrozenNode is no test: it runs a job until it is told to end, and says how that went.
func TestFrozenNode(t *testing.T) {
	addr := os.Getenv(frozenAt)
	if addr == "" {
		t.Skip("for TestFrozen")
	}
	c := redistest.Connect(t, conn.Options{Addrs: []string{addr}, User: redistest.User, Password: redisd.Password})
	in := bufio.NewReader(os.Stdin)
	ran, err := lease.New(c, "a", time.Now).Run(t.Context(), "j", "p", frozenTTL, func(ctx context.Context, token int64) error {
		fmt.Println("begun", token)
		_, err := in.ReadString('\n') // it works on, whatever its context says
		select {
		case <-ctx.Done(): // the timer may fire after the line was read
		case <-time.After(30 * time.Second):
		}
		fmt.Println("told", errors.Is(context.Cause(ctx), lease.ErrLost))
		return err
	})
	fmt.Println("ended", ran, errors.Is(err, lease.ErrLost))
}

// TestFrozen stops a node in the middle of a job for longer than its lease: another one runs the
// job, and the first, thawed, is told and cannot end it.
func TestFrozen(t *testing.T) {
	s := redistest.Server(t)
	redistest.Empty(t, s)
	b := lease.New(connect(t, s), "b", time.Now)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFrozenNode$")
	cmd.Env = append(os.Environ(), frozenAt+"="+s.Addr)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	to, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	from := bufio.NewReader(out)
	line := func() string {
		text, err := from.ReadString('\n')
		if err != nil {
			t.Fatalf("%q, %v", text, err)
		}
		return strings.TrimSpace(text)
	}
	var first, second int64
	if _, err := fmt.Sscanf(line(), "begun %d", &first); err != nil {
		t.Fatal(err)
	}
	idle(t, b, "j", "p")
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for ran := false; !ran; {
		ran, err = b.Run(t.Context(), "j", "p", time.Minute, func(_ context.Context, token int64) error {
			second = token
			if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
				return err
			}
			if _, err := io.WriteString(to, "end\n"); err != nil {
				return err
			}
			if told := line(); told != "told true" {
				t.Errorf("the thawed node was %s", told)
			}
			if ended := line(); ended != "ended true true" {
				t.Errorf("the thawed node %s", ended)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, _ = io.Copy(io.Discard, from)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if second <= first {
		t.Errorf("token %d after %d", second, first)
	}
	idle(t, b, "j", "p")
}
