package dns_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"postern/internal/dns"
	"postern/internal/mailtest"
)

// hostile answers every question with what answer makes of it, by UDP and TCP on one port.
func hostile(t testing.TB, answer func(q *mdns.Msg, tcp bool) [][]byte) string {
	t.Helper()
	var udp net.PacketConn
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		udp, err = net.ListenPacket("udp", tcp.Addr().String())
	}
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			var q mdns.Msg
			if q.Unpack(buf[:n]) != nil {
				continue
			}
			for _, p := range answer(&q, false) {
				_, _ = udp.WriteTo(p, from)
			}
		}
	})
	wg.Go(func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(5 * time.Second))
				var size [2]byte
				if _, err := io.ReadFull(c, size[:]); err != nil {
					return
				}
				packet := make([]byte, binary.BigEndian.Uint16(size[:]))
				var q mdns.Msg
				if _, err := io.ReadFull(c, packet); err != nil || q.Unpack(packet) != nil {
					return
				}
				for _, p := range answer(&q, true) {
					_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(p))), p...))
				}
			})
		}
	})
	t.Cleanup(func() { _ = udp.Close(); _ = tcp.Close(); wg.Wait() })
	return tcp.Addr().String()
}

func asking(t testing.TB, addr string) *dns.Resolver {
	t.Helper()
	r, err := dns.New(dns.Config{Servers: []string{addr}, Timeout: short, CacheBytes: 4 << 20, InFlight: 32})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// lookAll asks every type under one name and demands that what fails is temporary or "not
// found".
func lookAll(ctx context.Context, t testing.TB, r *dns.Resolver, name string) {
	t.Helper()
	fine := func(err error) {
		if err != nil {
			if e := dnsError(t, err); !e.IsTemporary && !e.IsNotFound {
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
	txt, err := r.TXT(ctx, name)
	fine(err)
	for _, s := range txt {
		if len(s) > 65_535 {
			t.Errorf("%s: a text of %d bytes", name, len(s))
		}
	}
	ips, err := r.IPs(ctx, name)
	fine(err)
	mx, err := r.MX(ctx, name)
	fine(err)
	if len(txt) > 1000 || len(ips) > 2000 || len(mx) > 1000 {
		t.Errorf("%s: %d texts, %d addresses, %d exchangers", name, len(txt), len(ips), len(mx))
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// big is an answer packed to the last of 64 KB: many records whose names are one pointer to
// a name as long as can be, so that each costs twelve bytes on the wire and much in memory.
func big(q *mdns.Msg, qtype uint16) []byte {
	name := q.Question[0].Name
	for len(name) < 190 {
		name = "abcdefghijklmnopqrstuvwxyz." + name
	}
	m := new(mdns.Msg)
	m.SetReply(q)
	m.Compress = true
	out, err := m.Pack()
	if err != nil {
		return nil
	}
	at := len(out)
	buf := make([]byte, 65_535)
	copy(buf, out)
	n, err := mdns.PackDomainName(name, buf, at, nil, false)
	if err != nil {
		return nil
	}
	count := uint16(0)
	record := func() bool {
		rest := binary.BigEndian.AppendUint16(nil, qtype)
		rest = append(rest, 0, 1, 0, 0, 1, 0)
		data := []byte{192, 0, 2, 1}
		if qtype == mdns.TypeTXT {
			data = append([]byte{255}, strings.Repeat("t", 255)...)
		}
		rest = append(binary.BigEndian.AppendUint16(rest, uint16(len(data))), data...)
		if n+2+len(rest) > len(buf) {
			return false
		}
		if count > 0 {
			binary.BigEndian.PutUint16(buf[n:], 0xc000|uint16(at))
			n += 2
		}
		n += copy(buf[n:], rest)
		count++
		return true
	}
	for record() {
	}
	binary.BigEndian.PutUint16(buf[6:], count)
	return buf[:n]
}

// F5: whatever comes back as an answer, the resolver stays whole: mutated answers, answers
// full to the last byte, junk of new record types, the wrong ID, another question, a
// truncation that TCP answers with silence. Memory and goroutines stay bounded.
func TestF5FuzzingResponder(t *testing.T) {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(1, 2))
	addr := hostile(t, func(q *mdns.Msg, tcp bool) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		return scramble(rng, q, tcp)
	})
	r := asking(t, addr)
	lookAll(t.Context(), t, r, "warm.example.com")
	before, goroutines := heap(), runtime.NumGoroutine()
	var wg sync.WaitGroup
	slots := make(chan struct{}, 64)
	for i := range 1500 {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
			defer cancel()
			lookAll(ctx, t, r, fmt.Sprintf("n%d.example.com", i))
		})
	}
	wg.Wait()
	if after := heap(); after > before+32<<20 {
		t.Errorf("%d MB of heap, %d MB before", after>>20, before>>20)
	}
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines+10; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		}
	}
	s := r.Stats()
	t.Logf("%d lookups, %d questions, %d failures", s.Lookups, s.Questions, s.Failures)
}

// scramble is one hostile answer.
func scramble(rng *rand.Rand, q *mdns.Msg, tcp bool) [][]byte {
	m := new(mdns.Msg)
	m.SetReply(q)
	name, qtype := q.Question[0].Name, q.Question[0].Qtype
	header := func(kind uint16) mdns.RR_Header {
		return mdns.RR_Header{Name: name, Rrtype: kind, Class: mdns.ClassINET, Ttl: rng.Uint32()}
	}
	switch rng.IntN(8) {
	case 0: // wrong ID, then another question, then the truth
		wrong, other := m.Copy(), m.Copy()
		wrong.Id++
		other.Question[0].Name = "other.invalid."
		return packed(wrong, other, m)
	case 1:
		m.Truncated = !tcp
		if tcp {
			return [][]byte{make([]byte, 5)} // and no more
		}
	case 2:
		if tcp {
			return [][]byte{big(q, qtype)}
		}
		m.Truncated = true
	case 3: // SVCB and HTTPS junk, as records and as raw bytes
		for _, kind := range []uint16{mdns.TypeSVCB, mdns.TypeHTTPS, mdns.TypeNAPTR, 65_280} {
			junk := make([]byte, rng.IntN(60))
			for i := range junk {
				junk[i] = byte(rng.Uint32())
			}
			m.Answer = append(m.Answer, &mdns.RFC3597{Hdr: header(kind), Rdata: fmt.Sprintf("%x", junk)})
		}
	case 4: // a loop, with a tail
		m.Answer = append(m.Answer, &mdns.CNAME{Hdr: header(mdns.TypeCNAME), Target: "loop." + name},
			&mdns.CNAME{Hdr: mdns.RR_Header{Name: "loop." + name, Rrtype: mdns.TypeCNAME, Class: mdns.ClassINET}, Target: name})
	case 5:
		m.Rcode = rng.IntN(16)
	default:
		for range 1 + rng.IntN(9) {
			m.Answer = append(m.Answer, &mdns.TXT{Hdr: header(mdns.TypeTXT), Txt: []string{strings.Repeat("x", rng.IntN(200))}},
				&mdns.A{Hdr: header(mdns.TypeA), A: net.IPv4(192, 0, 2, byte(rng.Uint32()))},
				&mdns.MX{Hdr: header(mdns.TypeMX), Mx: name})
		}
		out := packed(m)
		for range rng.IntN(12) { // flip bytes behind the ID
			i := 2 + rng.IntN(len(out[0])-2)
			out[0][i] = byte(rng.Uint32())
		}
		return out
	}
	return packed(m)
}

func packed(all ...*mdns.Msg) [][]byte {
	var out [][]byte
	for _, m := range all {
		if b, err := m.Pack(); err == nil {
			out = append(out, b)
		}
	}
	return out
}

// F5: 64 KB of text and thousands of records in one answer, many at once: bounded memory
// while they are read, and after.
func TestF5AnswersFullToTheLastByte(t *testing.T) {
	addr := hostile(t, func(q *mdns.Msg, tcp bool) [][]byte {
		if tcp {
			return [][]byte{big(q, q.Question[0].Qtype)}
		}
		m := new(mdns.Msg)
		m.SetReply(q)
		m.Truncated = true
		return packed(m)
	})
	r := asking(t, addr)
	before := heap()
	var peak uint64
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
	})
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() { lookAll(t.Context(), t, r, fmt.Sprintf("n%d.example.com", i)) })
	}
	wg.Wait()
	close(done)
	watch.Wait()
	after := heap()
	t.Logf("heap: %d MB before, %d MB at most, %d MB after", before>>20, peak>>20, after>>20)
	if after > before+16<<20 || peak > before+256<<20 {
		t.Errorf("heap: %d MB before, %d MB at most, %d MB after", before>>20, peak>>20, after>>20)
	}
}

// F1: each answer takes longer than the one before it, up to longer than any try.
func TestF1SlowAnswers(t *testing.T) {
	mailtest.Steady(t, 100*time.Millisecond, func(t testing.TB, scale time.Duration) {
		z := mailtest.Zone{}
		for i := range 10 {
			z[fmt.Sprintf("n%d.example.com", i)] = []string{"A 192.0.2.1", fmt.Sprintf("!delay %dms", int(scale)*100*i)}
		}
		r, _, _ := resolver(t, z, func(c *dns.Config) { c.Timeout = scale * 500 * time.Millisecond })
		budget := scale * time.Second
		ctx := dns.WithBudget(t.Context(), dns.NewBudget(100, budget))
		begin := time.Now()
		var mu sync.Mutex
		answered := 0
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				_, err := r.A(ctx, fmt.Sprintf("n%d.example.com", i))
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					answered++
				} else if e := dnsError(t, err); !e.IsTemporary || e.IsNotFound {
					t.Errorf("%d: %+v", i, e)
				}
			})
		}
		wg.Wait()
		if took := time.Since(begin); took > budget+scale*500*time.Millisecond || answered < 3 || answered == 10 {
			t.Errorf("%d answered in %v", answered, took)
		}
	})
}

// F2: what nobody answered is remembered for five seconds: a thousand lookups of one name
// cost the questions of one.
func TestF2SilenceIsRemembered(t *testing.T) {
	r, srv, clk := resolver(t, mailtest.Zone{"dark.example.com": {"!silent"}, "example.com": {"A 192.0.2.1"}}, impatient)
	ask := func() {
		t.Helper()
		if _, err := r.A(t.Context(), "dark.example.com"); !dnsError(t, err).IsTemporary {
			t.Error(err)
		}
	}
	ask()
	first := srv.Count("dark.example.com")
	for range 1000 {
		ask()
	}
	if n := srv.Count("dark.example.com"); n != first {
		t.Errorf("%d questions more within the five seconds", n-first)
	}
	clk.forward(4900 * time.Millisecond)
	ask()
	if n := srv.Count("dark.example.com"); n != first {
		t.Error("forgotten too early")
	}
	clk.forward(200 * time.Millisecond)
	ask()
	if n := srv.Count("dark.example.com"); n == first {
		t.Error("never asked again")
	}
}
