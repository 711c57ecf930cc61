package ledger

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Load is a load client: it sends messages, many at a time, several over one connection, and
// comes again with the same bytes when it is asked to or gets no answer, as a real sender
// does.
type Load struct {
	Addr       string
	From       string
	Recipients []string // each message goes to one to five of them
	Messages   int
	Parallel   int           // connections at once; 0 = 10
	PerConn    int           // messages over one connection; 0 = 10
	MaxSize    int           // of a body, about; 0 = 200 kB
	Seed       uint64        // makes the messages; names them too
	Tries      int           // of each message; 0 = 1
	Pause      time.Duration // between two tries; 0 = 100 ms
	Timeout    time.Duration // of one read or write; 0 = 400 s
	Helo       string        // "" = load.example
	Ledger     *Ledger
	Dial       func(ctx context.Context, addr string) (net.Conn, error) // nil = TCP
	Make       func(n int) Message                                      // nil = Make of Seed, From, Recipients, MaxSize
	Until      <-chan struct{}                                          // once closed no new message is begun
	Told       func(m Message, reply string, wait time.Duration)        // told each answer to a final dot
}

// Result is how a load went. P50, P99 and Max are waits for the answer to a final dot,
// Slowest is the longest wait for any answer before one.
type Result struct {
	Messages      int
	Tries         int
	Elapsed       time.Duration
	P50, P99, Max time.Duration
	Slowest       time.Duration
	Unanswered    int // messages given up without a 2xx or 5xx
}

// String is the result in one line.
func (r Result) String() string {
	return fmt.Sprintf("%d messages in %d tries, %.1f s, %.0f a second, final dot p50 %v p99 %v max %v, before it max %v, %d given up",
		r.Messages, r.Tries, r.Elapsed.Seconds(), float64(r.Messages)/r.Elapsed.Seconds(), r.P50.Round(time.Millisecond), r.P99.Round(time.Millisecond),
		r.Max.Round(time.Millisecond), r.Slowest.Round(time.Millisecond), r.Unanswered)
}

// run is one Run.
type run struct {
	Load
	next, tries, unanswered atomic.Int64
	mu                      sync.Mutex
	latencies               []time.Duration
	slowest                 time.Duration
}

// Run sends the load until every message has an answer for good, its tries are used up, or
// ctx ends, which is its only error.
func (l Load) Run(ctx context.Context) (Result, error) {
	r := &run{Load: l}
	defaults(&r.Parallel, 10)
	defaults(&r.PerConn, 10)
	defaults(&r.MaxSize, 200<<10)
	defaults(&r.Tries, 1)
	defaults(&r.Pause, 100*time.Millisecond)
	defaults(&r.Timeout, 400*time.Second)
	if r.Helo == "" {
		r.Helo = "load.example"
	}
	if r.Make == nil {
		r.Make = func(n int) Message { return Make(r.Seed, n, r.From, r.Recipients, r.MaxSize) }
	}
	if r.Dial == nil {
		r.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		}
	}
	start := time.Now()
	var wg sync.WaitGroup
	for range r.Parallel {
		wg.Go(func() { r.worker(ctx) })
	}
	wg.Wait()
	res := Result{Messages: min(int(r.next.Load()), l.Messages), Tries: int(r.tries.Load()), Elapsed: time.Since(start), Unanswered: int(r.unanswered.Load())}
	slices.Sort(r.latencies)
	if n := len(r.latencies); n > 0 {
		res.P50, res.P99, res.Max = r.latencies[n/2], r.latencies[n*99/100], r.latencies[n-1]
	}
	res.Slowest = r.slowest
	return res, ctx.Err()
}

func defaults[T int | time.Duration](v *T, byDefault T) {
	if *v <= 0 {
		*v = byDefault
	}
}

// worker sends messages one after the other, over connections it makes anew now and then.
func (r *run) worker(ctx context.Context) {
	var c *session
	defer func() {
		if c != nil {
			c.quit()
		}
	}()
	for ctx.Err() == nil {
		select {
		case <-r.Until:
			return
		default:
		}
		n := int(r.next.Add(1)) - 1
		if n >= r.Messages {
			return
		}
		m := r.Make(n)
		r.Ledger.Send(m)
		c = r.deliver(ctx, c, m)
	}
}

// deliver tries a message until it has an answer for good, over c while that lasts, and
// returns the connection to go on with.
func (r *run) deliver(ctx context.Context, c *session, m Message) *session {
	left := m.To
	for try := 0; len(left) > 0; try++ {
		if try == r.Tries || ctx.Err() != nil {
			r.unanswered.Add(1)
			break
		}
		if try > 0 {
			wait(ctx, r.Pause/2+rand.N(r.Pause))
		}
		if c != nil && (c.broken || c.used >= r.PerConn) {
			c.quit()
			c = nil
		}
		if c == nil {
			c, _ = r.connect(ctx) // a server that is away is tried again
		}
		r.tries.Add(1)
		if c != nil {
			left = c.send(m, left)
		}
	}
	return c
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// session is one connection.
type session struct {
	r      *run
	conn   net.Conn
	in     *bufio.Reader
	used   int
	broken bool
	stop   func() bool
}

func (r *run) connect(ctx context.Context) (*session, error) {
	conn, err := r.Dial(ctx, r.Addr)
	if err != nil {
		return nil, err
	}
	c := &session{r: r, conn: conn, in: bufio.NewReader(conn)}
	c.stop = context.AfterFunc(ctx, func() { conn.Close() })
	if code, _, err := c.reply(); err != nil || code[0] != '2' {
		c.close()
		return nil, errors.Join(err, fmt.Errorf("banner %s", code))
	}
	if code, _, err := c.command("EHLO " + r.Helo); err != nil || code[0] != '2' {
		c.close()
		return nil, errors.Join(err, fmt.Errorf("EHLO %s", code))
	}
	return c, nil
}

func (c *session) close() {
	c.stop()
	c.conn.Close()
}

// quit says good-bye where that can be said.
func (c *session) quit() {
	if !c.broken {
		_, _, _ = c.command("QUIT")
	}
	c.close()
}

// reply reads one answer: its code and its last line.
func (c *session) reply() (code, last string, err error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(c.r.Timeout)); err != nil {
		return "000", "", err
	}
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.broken = true
			return "000", "", err
		}
		line = strings.TrimRight(line, "\r\n")
		if len(line) < 3 {
			c.broken = true
			return "000", "", fmt.Errorf("no reply: %q", line)
		}
		if len(line) == 3 || line[3] != '-' {
			return line[:3], line, nil
		}
	}
}

func (c *session) write(p []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.r.Timeout)); err != nil {
		return err
	}
	_, err := c.conn.Write(p)
	if err != nil {
		c.broken = true
	}
	return err
}

func (c *session) command(line string) (code, last string, err error) {
	start := time.Now()
	if err := c.write([]byte(line + "\r\n")); err != nil {
		return "000", "", err
	}
	code, last, err = c.reply()
	c.r.mu.Lock()
	c.r.slowest = max(c.r.slowest, time.Since(start))
	c.r.mu.Unlock()
	return code, last, err
}

// send tries once and returns the recipients that have no answer for good yet.
func (c *session) send(m Message, to []string) (left []string) {
	c.used++
	code, last, err := c.command("MAIL FROM:<" + m.From + "> BODY=8BITMIME")
	if err != nil || code[0] != '2' {
		return c.early(m, to, last)
	}
	var taken []string
	for _, r := range to {
		code, last, err := c.command("RCPT TO:<" + r + ">")
		switch {
		case err != nil:
			return to
		case code[0] == '2':
			taken = append(taken, r)
		default:
			left = append(left, c.early(m, []string{r}, last)...)
		}
	}
	if len(taken) == 0 {
		c.reset()
		return left
	}
	if code, last, err := c.command("DATA"); err != nil || code != "354" {
		return append(left, c.early(m, taken, last)...)
	}
	return append(left, c.body(m, taken)...)
}

// body sends the message and notes the answer to its final dot.
func (c *session) body(m Message, taken []string) (left []string) {
	var out bytes.Buffer
	stuff(&out, m.Body)
	text := out.Bytes()
	if err := c.write(text); err != nil {
		return taken // the final dot was not sent
	}
	start := time.Now()
	if err := c.write([]byte(".\r\n")); err != nil {
		c.r.Ledger.Answer(m.ID, taken, "")
		return taken
	}
	code, last, err := c.reply()
	if err != nil {
		c.r.Ledger.Answer(m.ID, taken, "")
		return taken
	}
	c.r.Ledger.Answer(m.ID, taken, last)
	took := time.Since(start)
	if c.r.Told != nil {
		c.r.Told(m, last, took)
	}
	c.r.mu.Lock()
	c.r.latencies = append(c.r.latencies, took)
	c.r.mu.Unlock()
	if code == "421" {
		c.broken = true
	}
	if code[0] == '2' || code[0] == '5' {
		return nil
	}
	return taken
}

// stuff doubles dots at the beginning of lines (RFC 5321 section 4.5.2).
func stuff(w io.Writer, body []byte) {
	for l := range bytes.SplitAfterSeq(body, []byte("\n")) {
		if bytes.HasPrefix(l, []byte(".")) {
			_, _ = w.Write([]byte("."))
		}
		_, _ = w.Write(l)
	}
}

// early notes a refusal before the final dot and returns who is to be tried again.
func (c *session) early(m Message, to []string, last string) (left []string) {
	c.r.Ledger.Refuse(m.ID, to, last)
	if last == "" || strings.HasPrefix(last, "421") {
		c.broken = true
		return to
	}
	if last[0] == '5' {
		left = nil
	} else {
		left = to
	}
	return left
}

func (c *session) reset() {
	if !c.broken {
		_, _, _ = c.command("RSET")
	}
}
