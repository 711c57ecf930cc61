package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// letter is one mail and how it came.
type letter struct {
	ID   string `json:"id"` // stands in the field X-Bench-Id
	File string `json:"file"`
	From string `json:"from"`
	IP   string `json:"ip"`
	Helo string `json:"helo"`
	Name string `json:"name"` // reverse name of the client

	data []byte // with dots doubled and the end
}

func readMails(folder string) ([]*letter, error) {
	f, err := os.Open(filepath.Join(folder, "index.jsonl"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []*letter
	for in := bufio.NewScanner(f); in.Scan(); {
		l := &letter{}
		if err := json.Unmarshal(in.Bytes(), l); err != nil {
			return nil, err
		}
		raw, err := os.ReadFile(filepath.Join(folder, l.File))
		if err != nil {
			return nil, err
		}
		l.data = append(bytes.ReplaceAll(append([]byte("\r\n"), raw...), []byte("\r\n."), []byte("\r\n.."))[2:], ".\r\n"...)
		all = append(all, l)
	}
	return all, nil
}

// send sends the mails over c connections at once, one connection a mail, and waits until
// as many arrived as were accepted.
func send(t task, all []*letter, box *sink) result {
	if t.Count > 0 {
		all = all[:min(t.Count, len(all))]
	}
	r := result{Name: t.Name, C: t.C, Sent: len(all)}
	work := make(chan *letter)
	var mu sync.Mutex
	var times []float64
	var wg sync.WaitGroup
	begin := time.Now()
	for range t.C {
		wg.Go(func() {
			for l := range work {
				at := time.Now()
				err := deliver(t, l)
				took := float64(time.Since(at).Microseconds()) / 1000
				mu.Lock()
				times = append(times, took)
				r.Bytes += int64(len(l.data))
				if err == nil {
					r.Accepted++
				} else if r.Errors++; len(r.Examples) < 3 {
					r.Examples = append(r.Examples, l.ID+": "+err.Error())
				}
				mu.Unlock()
			}
		})
	}
	for _, l := range all {
		work <- l
	}
	close(work)
	wg.Wait()
	r.Arrived = box.await(r.Accepted, t.Wait)
	r.Seconds = time.Since(begin).Seconds()
	slices.Sort(times)
	r.P50, r.P95, r.P99 = quantile(times, .5), quantile(times, .95), quantile(times, .99)
	return r
}

func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// deliver sends one mail; nil means 250 to its end.
func deliver(t task, l *letter) error {
	conn, err := net.DialTimeout("tcp", t.Addr, 10*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return err
	}
	c := &dialog{r: bufio.NewReader(conn), w: conn}
	c.want(220, "")
	helo := "bench.test"
	if t.XClient {
		c.want(250, "EHLO "+helo+"\r\n")
		c.want(220, fmt.Sprintf("XCLIENT ADDR=%s NAME=%s HELO=%s\r\n", l.IP, l.Name, l.Helo))
		helo = l.Helo
	}
	c.want(250, "EHLO "+helo+"\r\n")
	c.want(250, "MAIL FROM:<"+l.From+">\r\n")
	c.want(250, "RCPT TO:<user@inside.test>\r\n")
	c.want(354, "DATA\r\n")
	c.want(250, string(l.data))
	if c.err == nil {
		_, _ = conn.Write([]byte("QUIT\r\n"))
	}
	return c.err
}

// dialog keeps the first error of an SMTP session.
type dialog struct {
	r   *bufio.Reader
	w   net.Conn
	err error
}

func (d *dialog) want(code int, say string) {
	if d.err != nil {
		return
	}
	if say != "" {
		if _, d.err = d.w.Write([]byte(say)); d.err != nil {
			return
		}
	}
	for {
		line, err := d.r.ReadString('\n')
		if err != nil {
			d.err = err
			return
		}
		if len(line) < 4 {
			d.err = errors.New("short answer " + strconv.Quote(line))
			return
		}
		if line[3] == '-' {
			continue
		}
		if !strings.HasPrefix(line, strconv.Itoa(code)) {
			d.err = errors.New(strings.TrimSpace(line))
		}
		return
	}
}
