// Command drive is the world around a gateway that is measured: it sends the mails, is the
// server behind that takes them, and is the name server that all of them ask. It reads one
// JSON task a line and writes one JSON result a line.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"
)

// task is one run over all mails.
type task struct {
	Name    string        `json:"name"`
	Addr    string        `json:"addr"`  // the gateway
	Count   int           `json:"count"` // mails; 0 = all
	C       int           `json:"c"`     // connections at once
	XClient bool          `json:"xclient"`
	Wait    time.Duration `json:"wait"` // for the last arrival, in ns
	Heads   string        `json:"heads"`
}

// result is what a run gave. Times are in milliseconds.
type result struct {
	Name      string         `json:"name"`
	C         int            `json:"c"`
	Sent      int            `json:"sent"`
	Accepted  int            `json:"accepted"`
	Arrived   int            `json:"arrived"`
	Errors    int            `json:"errors"`
	Examples  []string       `json:"examples,omitempty"` // of errors
	Bytes     int64          `json:"bytes"`
	Seconds   float64        `json:"seconds"`
	P50       float64        `json:"p50"`
	P95       float64        `json:"p95"`
	P99       float64        `json:"p99"`
	Questions int64          `json:"questions"` // that the name server got
	Kinds     map[string]int `json:"kinds"`     // the same by record type
}

func main() {
	mails := flag.String("mails", "", "folder of index.jsonl and its files")
	sinkAddr := flag.String("sink", "127.0.0.1:0", "where the server behind listens")
	dnsAddr := flag.String("dns", "127.0.0.1:0", "where the name server listens")
	keys := flag.String("keys", "", "file of TXT records: name, tab, text")
	flag.Parse()
	if err := run(*mails, *sinkAddr, *dnsAddr, *keys); err != nil {
		fmt.Fprintln(os.Stderr, "drive:", err)
		os.Exit(1)
	}
}

func run(folder, sinkAddr, dnsAddr, keys string) error {
	all, err := readMails(folder)
	if err != nil {
		return err
	}
	box, err := newSink(sinkAddr)
	if err != nil {
		return err
	}
	names, err := newNames(dnsAddr, keys)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(map[string]any{"sink": box.addr(), "dns": names.addr(), "mails": len(all)}); err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var t task
		if err := json.Unmarshal(in.Bytes(), &t); err != nil {
			return err
		}
		names.reset()
		box.reset()
		r := send(t, all, box)
		r.Questions, r.Kinds = names.count()
		if t.Heads != "" {
			if err := box.write(t.Heads); err != nil {
				return err
			}
		}
		if err := out.Encode(r); err != nil {
			return err
		}
	}
	return in.Err()
}
