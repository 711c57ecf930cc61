package mailtest

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// EICAR is the harmless test file every scanner knows. It is put together here so that no
// source file holds it in one piece.
func EICAR() []byte {
	head, tail := `X5O!P%@AP[4\PZX54(P^)7CC)7}$`, `-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`
	return append(append([]byte(head), "EICAR"...), tail...)
}

// ClamdAnswer is how the scripted clamd treats one stream. The zero value reads all of it
// and answers as a real one would: EICAR in it is found, anything else is OK.
type ClamdAnswer struct {
	Reply      string          // sent as it is, with its terminator if it is to have one
	Silent     bool            // nothing is sent; the connection is closed
	CloseAfter int             // closes after that many chunks without a word; 0 = never
	HangAfter  int             // after that many chunks neither reads nor answers; 0 = never
	SizeLimit  int64           // over it: "INSTREAM size limit exceeded. ERROR", then closed
	Wait       <-chan struct{} // answers only when it is closed
	KeepOpen   bool            // the connection is not closed after the reply
}

// Clamd is a scripted clamd on a socket of its own.
type Clamd struct {
	Endpoint string // "unix:/path" or "127.0.0.1:port"

	ln   net.Listener
	stop chan struct{}
	wg   sync.WaitGroup

	mu      sync.Mutex
	mail    ClamdAnswer
	canary  ClamdAnswer
	version string
	conns   map[net.Conn]bool
	streams [][]byte
	scans   int
}

// StartClamd starts a scripted clamd on network "unix" or "tcp"; it ends with the test.
func StartClamd(t testing.TB, network string) *Clamd {
	t.Helper()
	addr, prefix := "127.0.0.1:0", ""
	if network == "unix" {
		addr, prefix = filepath.Join(t.TempDir(), "s"), "unix:"
	}
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	c := &Clamd{Endpoint: prefix + ln.Addr().String(), ln: ln, stop: make(chan struct{}), conns: map[net.Conn]bool{},
		version: "ClamAV 1.4.6/27000/Sun Nov 22 08:00:00 2026"}
	c.wg.Go(c.accept)
	t.Cleanup(c.Stop)
	return c
}

// Stop closes the listener and every connection and waits for them.
func (c *Clamd) Stop() {
	c.mu.Lock()
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
	_ = c.ln.Close()
	for conn := range c.conns {
		conn.Close()
	}
	c.mu.Unlock()
	c.wg.Wait()
}

// Mail sets the answer to streams that do not hold EICAR, from the next one on.
func (c *Clamd) Mail(a ClamdAnswer) { c.mu.Lock(); c.mail = a; c.mu.Unlock() }

// Canary sets the answer to streams that hold EICAR in their first chunk.
func (c *Clamd) Canary(a ClamdAnswer) { c.mu.Lock(); c.canary = a; c.mu.Unlock() }

// SetVersion sets the reply to VERSION, without terminator.
func (c *Clamd) SetVersion(v string) { c.mu.Lock(); c.version = v; c.mu.Unlock() }

// Streams returns the streams read to their end that were not canaries.
func (c *Clamd) Streams() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([][]byte(nil), c.streams...)
}

// Scans counts the streams begun that were not canaries.
func (c *Clamd) Scans() int { c.mu.Lock(); defer c.mu.Unlock(); return c.scans }

func (c *Clamd) accept() {
	for {
		conn, err := c.ln.Accept()
		if err != nil {
			return
		}
		c.mu.Lock()
		c.conns[conn] = true
		c.mu.Unlock()
		c.wg.Go(func() {
			c.serve(conn)
			conn.Close()
			c.mu.Lock()
			delete(c.conns, conn)
			c.mu.Unlock()
		})
	}
}

func (c *Clamd) serve(conn net.Conn) {
	cmd, end, err := readCommand(conn)
	if err != nil {
		return
	}
	switch cmd {
	case "PING":
		_, _ = io.WriteString(conn, "PONG"+end)
	case "VERSION":
		c.mu.Lock()
		v := c.version
		c.mu.Unlock()
		_, _ = io.WriteString(conn, v+end)
	case "INSTREAM":
		c.instream(conn, end)
	default:
		_, _ = io.WriteString(conn, "UNKNOWN COMMAND"+end)
	}
}

// readCommand reads "zCMD\0" or "nCMD\n".
func readCommand(conn net.Conn) (cmd, end string, err error) {
	var b [1]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return "", "", err
	}
	end = "\x00"
	if b[0] == 'n' {
		end = "\n"
	}
	for {
		if _, err := io.ReadFull(conn, b[:]); err != nil {
			return "", "", err
		}
		if b[0] == end[0] {
			return cmd, end, nil
		}
		cmd += string(b[:])
	}
}

func (c *Clamd) instream(conn net.Conn, end string) {
	var body []byte
	var a ClamdAnswer
	for chunks := 0; ; {
		var size [4]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(size[:])
		chunk := make([]byte, n)
		if _, err := io.ReadFull(conn, chunk); err != nil {
			return
		}
		body = append(body, chunk...)
		if chunks++; chunks == 1 {
			a = c.pick(body)
		}
		switch {
		case a.CloseAfter > 0 && chunks >= a.CloseAfter:
			return
		case a.HangAfter > 0 && chunks >= a.HangAfter:
			<-c.stop
			return
		case a.SizeLimit > 0 && int64(len(body)) > a.SizeLimit:
			_, _ = io.WriteString(conn, "INSTREAM size limit exceeded. ERROR"+end)
			return
		}
		if n == 0 {
			break
		}
	}
	c.answer(conn, a, body, end)
}

func (c *Clamd) pick(first []byte) ClamdAnswer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes.Contains(first, EICAR()) {
		return c.canary
	}
	c.scans++
	return c.mail
}

func (c *Clamd) answer(conn net.Conn, a ClamdAnswer, body []byte, end string) {
	infected := bytes.Contains(body, EICAR())
	if !infected {
		c.mu.Lock()
		c.streams = append(c.streams, body)
		c.mu.Unlock()
	}
	if a.Wait != nil {
		select {
		case <-a.Wait:
		case <-c.stop:
			return
		}
	}
	switch {
	case a.Silent:
	case a.Reply != "":
		_, _ = io.WriteString(conn, a.Reply)
	case infected:
		_, _ = io.WriteString(conn, "stream: Eicar-Test-Signature FOUND"+end)
	default:
		_, _ = io.WriteString(conn, "stream: OK"+end)
	}
	if a.KeepOpen {
		select {
		case <-c.stop:
		case <-closed(conn):
		}
	}
}

// closed is closed when the other side has gone.
func closed(conn net.Conn) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn.SetReadDeadline(time.Time{})
		_, _ = io.Copy(io.Discard, conn)
	}()
	return done
}
