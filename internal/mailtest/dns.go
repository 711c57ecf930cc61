package mailtest

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// DNS is a name server on loopback, UDP and TCP on one port, that answers from a Zone as a
// recursive resolver would (CNAMEs followed) and misbehaves on demand. Names it does not
// know do not exist.
type DNS struct {
	addr string
	udp  net.PacketConn
	tcp  net.Listener
	done chan struct{}
	wg   sync.WaitGroup

	mu      sync.Mutex
	records map[string][]dns.RR // by wire name
	faults  map[string][]DNSFault
	silent  bool
	log     []Query
	ttl     uint32
	conns   map[net.Conn]bool
}

// Query is one question the server was asked.
type Query struct {
	Name string // lower case, no final dot
	Type string // "A", "TXT", ...
	TCP  bool
}

// NewDNS starts a server for the time of a test.
func NewDNS(t testing.TB, z Zone) *DNS {
	t.Helper()
	d, err := StartDNS(z)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// StartDNS starts a server on a free loopback port.
func StartDNS(z Zone) (*DNS, error) {
	d := &DNS{done: make(chan struct{}), records: map[string][]dns.RR{}, faults: map[string][]DNSFault{}, ttl: 300, conns: map[net.Conn]bool{}}
	if err := d.load(z); err != nil {
		return nil, err
	}
	if err := d.listen(); err != nil {
		return nil, err
	}
	d.wg.Go(d.serveUDP)
	d.wg.Go(d.serveTCP)
	return d, nil
}

// listen finds a port that is free for both protocols.
func (d *DNS) listen() error {
	var err error
	for range 20 {
		if d.tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return err
		}
		d.addr = d.tcp.Addr().String()
		if d.udp, err = net.ListenPacket("udp", d.addr); err == nil {
			return nil
		}
		_ = d.tcp.Close()
	}
	return fmt.Errorf("fake DNS: no port is free for UDP and TCP: %w", err)
}

// Addr is "127.0.0.1:port".
func (d *DNS) Addr() string { return d.addr }

// Close ends the server and waits for it.
func (d *DNS) Close() {
	d.mu.Lock()
	select {
	case <-d.done:
	default:
		close(d.done)
	}
	for c := range d.conns {
		c.Close()
	}
	d.mu.Unlock()
	_ = d.udp.Close()
	_ = d.tcp.Close()
	d.wg.Wait()
}

func (d *DNS) load(z Zone) error {
	for name, records := range z {
		for _, text := range records {
			e, err := parseEntry(name, text)
			if err != nil {
				return err
			}
			w := wireName(name)
			if e.fault != nil {
				d.faults[w] = append(d.faults[w], *e.fault)
				continue
			}
			d.records[w] = append(d.records[w], e.rr)
		}
		if w := wireName(name); d.records[w] == nil && d.faults[w] == nil {
			d.records[w] = []dns.RR{} // the name exists without records
		}
	}
	return nil
}

// Set replaces all records and faults of a name; without records it no longer exists.
func (d *DNS) Set(name string, records ...string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.records, wireName(name))
	delete(d.faults, wireName(name))
	if len(records) == 0 {
		return nil
	}
	return d.load(Zone{name: records})
}

// Fault sets the faults of a name, none to heal it; "*" strikes every name.
func (d *DNS) Fault(name string, faults ...DNSFault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults[wireName(name)] = faults
}

// SetSilent makes the whole server deaf, or lets it hear again.
func (d *DNS) SetSilent(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.silent = on
}

// SetTTL sets the time to live of all answers, in seconds; 300 at the start.
func (d *DNS) SetTTL(seconds uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ttl = seconds
}

// Queries returns the log of all questions so far, those that got no answer too.
func (d *DNS) Queries() []Query {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Query(nil), d.log...)
}

// Count is how often a name was asked for, with any type.
func (d *DNS) Count(name string) int {
	n := 0
	for _, q := range d.Queries() {
		if strings.EqualFold(q.Name, strings.TrimSuffix(name, ".")) {
			n++
		}
	}
	return n
}

// Forget empties the query log.
func (d *DNS) Forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = nil
}

func (d *DNS) serveUDP() {
	buf := make([]byte, 4096)
	for {
		n, from, err := d.udp.ReadFrom(buf)
		if err != nil {
			return
		}
		packet := append([]byte(nil), buf[:n]...)
		d.wg.Go(func() {
			for _, out := range d.answer(packet, false) {
				_, _ = d.udp.WriteTo(out, from)
			}
		})
	}
}

func (d *DNS) serveTCP() {
	for {
		c, err := d.tcp.Accept()
		if err != nil {
			return
		}
		if !d.track(c, true) {
			c.Close()
			return
		}
		d.wg.Go(func() {
			defer d.track(c, false)
			defer c.Close()
			d.tcpConn(c)
		})
	}
}

// track keeps the open connections so that Close ends them; false says it is too late.
func (d *DNS) track(c net.Conn, open bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !open {
		delete(d.conns, c)
		return true
	}
	select {
	case <-d.done:
		return false
	default:
		d.conns[c] = true
		return true
	}
}

func (d *DNS) tcpConn(c net.Conn) {
	conn := &dns.Conn{Conn: c}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	for {
		packet, err := conn.ReadMsgHeader(nil)
		if err != nil {
			return
		}
		out := d.answer(packet, true)
		if len(out) == 0 {
			return
		}
		for _, o := range out {
			frame := binary.BigEndian.AppendUint16(nil, uint16(len(o)))
			if _, err := c.Write(append(frame, o...)); err != nil {
				return
			}
		}
	}
}
