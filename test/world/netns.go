package world

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// Netns is a network namespace of the test's own, with one cable to the namespace of the test.
// What listens on loopback here is reached in there at Outside, on the same port.
type Netns struct {
	Outside string // our end of the cable
	Inside  string // its end

	t    testing.TB
	name string
}

var cables atomic.Int32

// NewNetns makes a namespace. It needs root, ip and nft: without them the test fails under CI
// and is skipped elsewhere.
func NewNetns(t testing.TB) *Netns {
	t.Helper()
	if _, err := exec.LookPath("nft"); err != nil || os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("network namespaces need root and nft: apt-get install nftables iproute2")
		}
		t.Skip("network namespaces need root and nft")
	}
	n := cables.Add(1)
	pid := os.Getpid()
	net := fmt.Sprintf("10.%d.%d.", 64+pid/250%128, pid%250)
	s := &Netns{t: t, name: fmt.Sprintf("pn%dx%d", pid, n), Outside: net + fmt.Sprint(n*4+1), Inside: net + fmt.Sprint(n*4+2)}
	t.Cleanup(s.remove)
	s.run(fmt.Sprintf(`ip netns add NAME
ip netns exec NAME ip link set lo up
ip link add NAMEa type veth peer name NAMEb netns NAME
ip addr add %s/30 dev NAMEa
ip link set NAMEa up
ip netns exec NAME ip addr add %s/30 dev NAMEb
ip netns exec NAME ip link set NAMEb up
sysctl -qw net.ipv4.conf.NAMEa.route_localnet=1
nft add table ip NAME
nft add chain ip NAME pre { type nat hook prerouting priority -100; }
nft add rule ip NAME pre iifname NAMEa ip daddr %[1]s dnat to 127.0.0.1
nft add chain ip NAME cut { type filter hook input priority 0; }
nft add chain ip NAME back { type filter hook output priority 0; }`, s.Outside, s.Inside))
	return s
}

// run runs commands, one a line; NAME is that of the namespace.
func (s *Netns) run(lines string) {
	s.t.Helper()
	for line := range strings.Lines(strings.ReplaceAll(lines, "NAME", s.name)) {
		words := strings.Fields(line)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			s.t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
}

// remove takes all away; the other end of the cable goes with the namespace.
func (s *Netns) remove() {
	for _, words := range [][]string{{"nft", "delete", "table", "ip", s.name}, {"ip", "netns", "del", s.name}, {"ip", "link", "del", s.name + "a"}} {
		_ = exec.Command(words[0], words[1:]...).Run() // what is not there need not go
	}
}

// Wrap runs a program inside, under its own process ID.
func (s *Netns) Wrap() []string { return []string{"ip", "netns", "exec", s.name} }

// There is how addresses of loopback here are written inside.
func (s *Netns) There(text string) string {
	return strings.ReplaceAll(text, "127.0.0.1:", s.Outside+":")
}

// Cut drops all packets between the inside and a port of ours, in silence, until Mend.
func (s *Netns) Cut(port string) {
	s.t.Helper()
	s.run(fmt.Sprintf("nft add rule ip NAME cut iifname NAMEa tcp dport %s drop\nnft add rule ip NAME back oifname NAMEa tcp sport %[1]s drop", port))
}

// Mend ends every Cut.
func (s *Netns) Mend() {
	s.t.Helper()
	s.run("nft flush chain ip NAME cut\nnft flush chain ip NAME back")
}
