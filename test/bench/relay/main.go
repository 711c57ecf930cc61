// Command relay is the least a gateway can be: go-smtp takes a message into memory, a
// go-smtp client hands it to the server behind, and that server's answer is ours. What
// anything else costs is measured against it.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/emersion/go-smtp"
)

type backend struct{ sink string }

// NewSession implements smtp.Backend.
func (b backend) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{sink: b.sink}, nil }

type session struct {
	sink, from string
	to         []string
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error { s.from = from; return nil }
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error   { s.to = append(s.to, to); return nil }
func (s *session) Reset()                                      { s.from, s.to = "", nil }
func (s *session) Logout() error                               { return nil }

func (s *session) Data(r io.Reader) error {
	var body bytes.Buffer
	if _, err := body.ReadFrom(r); err != nil {
		return err
	}
	c, err := smtp.Dial(s.sink)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.SendMail(s.from, s.to, &body); err != nil {
		return err
	}
	return c.Quit()
}

func main() {
	addr := flag.String("addr", "127.0.0.1:10100", "where to listen")
	sink := flag.String("sink", "127.0.0.1:10025", "the server behind")
	flag.Parse()
	srv := smtp.NewServer(backend{*sink})
	srv.Addr, srv.Domain = *addr, "relay.bench.test"
	srv.ReadTimeout, srv.WriteTimeout = time.Minute, time.Minute
	srv.MaxMessageBytes, srv.MaxRecipients, srv.MaxLineLength = 64<<20, 100, 1<<20
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, os.Interrupt)
	go func() { <-end; _ = srv.Close() }()
	if err := srv.ListenAndServe(); err != nil && !errors.Is(err, smtp.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}
