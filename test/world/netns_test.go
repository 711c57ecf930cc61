package world

import (
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestNetns(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("hello"))
			c.Close()
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, b := NewNetns(t), NewNetns(t)
	ask := func(n *Netns) string {
		line := append(n.Wrap(), "timeout", "2", "bash", "-c", "cat < /dev/tcp/"+n.Outside+"/"+port)
		out, _ := exec.Command(line[0], line[1:]...).Output()
		return string(out)
	}
	if got := ask(a); got != "hello" {
		t.Fatalf("%q", got)
	}
	a.Cut(port)
	start := time.Now()
	if got := ask(a); got != "" {
		t.Errorf("through a cut cable: %q", got)
	}
	if time.Since(start) < time.Second {
		t.Error("the cut is not silent")
	}
	if got := ask(b); got != "hello" {
		t.Errorf("the other: %q", got)
	}
	a.Mend()
	if got := ask(a); !strings.Contains(got, "hello") {
		t.Errorf("after mending: %q", got)
	}
}
