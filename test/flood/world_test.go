// Package flood_test sends normal mail to a real gateway whose send log is full of accounts,
// alone and beside a flood of forged complaints, and prints what the flood costs the others.
// With POSTERN_CAMPAIGN=1 there is more of everything.
package flood_test

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/abuse/sent"
	"postern/cmd/postern/home"
	"postern/cmd/postern/intakecalls"
	"postern/internal/config"
	"postern/internal/mailtest"
	"postern/internal/mailtest/ledger"
	"postern/internal/mailtest/redisd"
	"postern/internal/spool"
	"postern/internal/store/redis/conn"
	"postern/test/rig"
)

func long() bool { return os.Getenv("POSTERN_CAMPAIGN") == "1" }

// pick is the campaign's value or that of the short form.
func pick[T any](campaign, short T) T {
	if long() {
		return campaign
	}
	return short
}

// number is a value of the environment, or what stands for it.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// node is one gateway before a server that takes everything. Its listener "world" learns from a
// proxy who the client is.
type node struct {
	*rig.Rig
	behind *mailtest.Backend
	redis  *redisd.Server // nil in the embedded home
}

// onHome prepares a gateway on a home, with a virus scanner; nothing runs yet.
func onHome(t *testing.T, name string) node {
	t.Helper()
	clamd := mailtest.StartRealClamd(t, mailtest.ClamdOptions{}) // as the configuration of the package has it
	n := node{behind: mailtest.NewBackend(t, mailtest.Script{Mailboxes: rig.Mailboxes()})}
	o := rig.Options{Behind: n.behind.Addr(), Clamd: clamd.Endpoint, Listeners: `- {name: world, kind: inbound, addr: "127.0.0.1:0", proxy_from: [127.0.0.1]}` + "\n"}
	if name == config.HomeRedis {
		n.redis = redisd.Start(t, redisd.Options{ACL: rig.ACL()})
		c := n.redis.Client() // in a store that was born just now nothing is done for half a minute
		must(t, c.Set(t.Context(), conn.DefaultPrefix+":born", time.Now().Add(-time.Hour).UnixMilli(), 0).Err())
		must(t, c.Close())
		n.Rig = rig.NewFleet(t, `addrs: ["`+n.redis.Addr+`"]`, o).Nodes[0]
	} else {
		n.Rig = rig.New(t, o)
	}
	n.behind.Set(n.Behind(mailtest.Script{Mailboxes: rig.Mailboxes()}))
	must(t, n.Internet.Set("_dmarc.sender.example", "TXT v=DMARC1; p=none"))
	t.Cleanup(func() {
		if t.Failed() {
			log := n.Log()
			t.Logf("the end of its log:\n%s", log[max(0, len(log)-3000):])
		}
	})
	return n
}

// account is a name of one of the accounts, ten of them to a tenant.
func account(i int) string { return fmt.Sprintf("u%d@tenant%d.example", i, i/10) }

// messageID is that of a message an account sent.
func messageID(i, k int) string { return fmt.Sprintf("m%d.%d@tenant%d.example", i, k, i/10) }

// perAccount is how many messages each account sent in the last days.
const perAccount = 3

// fill writes what the accounts sent into the send log of a gateway that does not run.
func (n node) fill(t *testing.T, accounts int) {
	t.Helper()
	cfg, err := config.Load(n.Config)
	must(t, err)
	h, err := home.Open(t.Context(), home.Options{Config: cfg, Spool: &spool.Spool{Memory: 1 << 20}, Now: time.Now, Log: slog.New(slog.DiscardHandler), Event: func(string, string, bool) {}, Rules: func() string { return "" }, Passive: true})
	must(t, err)
	defer func() { must(t, h.Close()) }()
	start := time.Now()
	var wg sync.WaitGroup
	failed := make(chan error, 1)
	for w := range 256 {
		wg.Go(func() {
			for i := w; i < accounts; i += 256 {
				if err := sends(t.Context(), h.Sent, i, start); err != nil {
					select {
					case failed <- err:
					default:
					}
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	rows, bytes, err := h.Sent.Size(t.Context())
	must(t, err)
	t.Logf("the send log has %d rows of %d accounts, %d MB, after %v", rows, accounts, bytes>>20, time.Since(start).Round(time.Second))
}

// sends writes what one account sent: some write newsletters, some to addresses that are gone.
func sends(ctx context.Context, log sent.Store, i int, now time.Time) error {
	r := rand.New(rand.NewPCG(uint64(i), 1))
	for k := range perAccount {
		copies := 1 + r.IntN(3)
		switch i % 100 {
		case 1:
			copies = 100
		case 4:
			copies = 40
		}
		row := sent.Row{
			Serial: fmt.Sprintf("%018d%08d", i, k), Node: "mx1", Listener: "submission", At: now.Add(-time.Duration(r.IntN(20*24*60)) * time.Minute), Account: account(i), Login: account(i),
			Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), uint16(1024+i%60000)), From: account(i), MessageID: messageID(i, k), Size: 4000, Action: "accept",
		}
		for c := range copies {
			to := sent.Copy{Recipient: fmt.Sprintf("k%d.%d@provider%d.example", i, c, c%5), State: sent.Delivered, Reply: "250 2.0.0 queued", At: row.At}
			if i%100 == 4 && c%3 == 0 {
				to.State, to.Reply = sent.Refused, "550 5.1.1 no such user"
			}
			row.Copies = append(row.Copies, to)
		}
		if err := log.Begin(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

// forged is complaint number i of a flood: nobody stands behind it, it names an account of ours,
// and in some the message it shows has a Message-ID that the account really used.
func forged(i, accounts int) ledger.Message {
	target := i % 200 % accounts
	id := fmt.Sprintf("none%d@tenant.example", i)
	if i%5 == 0 {
		id = messageID(target, i%perAccount)
	}
	from := fmt.Sprintf("f%d@isp%d.example", i, i%50)
	inner := fmt.Sprintf("Received: from x (unknown [203.0.113.%d]) by mx.isp%d.example; Sun, 1 Mar 2026 10:00:00 +0000\r\nFrom: %s\r\nTo: v%d@isp%d.example\r\nSubject: You have won\r\nDate: Sun, 1 Mar 2026 10:00:00 +0000\r\nMessage-ID: <%s>\r\n\r\nClick http://spam%d.example/ now.\r\n%s",
		i%250, i%50, account(target), i, i%50, id, i, strings.Repeat("We sell the best pills in the world at the best price.\r\n", 20+i%40))
	body := fmt.Sprintf("From: Abuse desk <fbl@isp%d.example>\r\nTo: abuse@example.com\r\nSubject: FW: You have won\r\nDate: %s\r\nMessage-ID: <flood%d@isp%d.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n"+
		"--b\r\nContent-Type: text/plain\r\n\r\nThis is an abuse report.\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: flood/1\r\nVersion: 1\r\nSource-IP: 203.0.113.%d\r\nOriginal-Mail-From: <%s>\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n%s\r\n--b--\r\n",
		i%50, time.Now().Format(time.RFC1123Z), i, i%50, i%250, account(target), inner)
	return ledger.Message{From: from, To: []string{"abuse@example.com"}}.With([]byte(body))
}

// proxied connects as a client of a network of its own: a flood comes from many hosts, and no two
// after one another are neighbours.
func proxied(i func() int) func(ctx context.Context, addr string) (net.Conn, error) {
	return func(ctx context.Context, addr string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		n := i()
		_, err = fmt.Fprintf(c, "PROXY TCP4 198.18.%d.%d 127.0.0.1 %d 25\r\n", n&255, n>>8&255, 20000+n%40000)
		return c, err
	}
}

// waiting reports whether reports still wait to be worked on.
func (n node) waiting() bool {
	for _, state := range []string{"new-first", "new"} {
		var page intakecalls.Page
		n.Call("complaint.list", intakecalls.Query{State: state, Limit: 1}, &page)
		if len(page.Complaints) > 0 {
			return true
		}
	}
	return false
}

// spent is the CPU time of a process in seconds.
func spent(t *testing.T, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, err)
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	ticks := 0
	for _, f := range fields[11:13] { // utime, stime
		v, err := strconv.Atoi(f)
		must(t, err)
		ticks += v
	}
	return float64(ticks) / 100
}

// machine says how busy the machine is with other things.
func machine() string {
	f, err := os.Open("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Scan()
	return in.Text()
}

// median and range of numbers.
func spread[T cmp.Ordered](all []T) (median, least, most T) {
	s := slices.Clone(all)
	slices.Sort(s)
	return s[len(s)/2], s[0], s[len(s)-1]
}
