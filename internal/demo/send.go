package demo

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/textproto"
	"time"

	"postern/internal/mailtest"
)

// Answer is the last word of the gateway to a sample.
type Answer struct {
	Code int
	Text string
}

// Delivered is a message that a server behind or outside took.
type Delivered = mailtest.Transaction

// Send sends a sample to the listener at addr and returns the answer that decided: the first
// refusal, or that to the end of the message. The error is that of the connection.
func Send(addr string, s Sample) (Answer, error) {
	time.Sleep(s.Pause)
	if s.Make != nil {
		body, err := s.Make()
		if err != nil {
			return Answer{}, err
		}
		s.Body = body
	}
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return Answer{}, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	c := &dialogue{text: textproto.NewConn(conn)}
	c.expect("")
	if s.Login != "" {
		c.logIn(conn, s.Login)
	} else {
		c.expect("EHLO demo.example")
		c.expect(fmt.Sprintf("XCLIENT ADDR=%s NAME=%s", s.Client, s.ClientID))
		c.expect("EHLO " + s.ClientID)
	}
	mail := "MAIL FROM:<" + s.From + ">"
	if s.Size > 0 {
		mail += fmt.Sprintf(" SIZE=%d", s.Size)
	}
	c.expect(mail)
	for _, to := range s.To {
		c.expect("RCPT TO:<" + to + ">")
	}
	c.expect("DATA")
	c.body(s.Body)
	if c.err != nil {
		return Answer{}, c.err
	}
	_ = c.text.PrintfLine("QUIT")
	return c.last, nil
}

// dialogue stops at the first refusal or fault.
type dialogue struct {
	text *textproto.Conn
	last Answer
	err  error
}

func (c *dialogue) over() bool { return c.err != nil || c.last.Code >= 400 }

func (c *dialogue) expect(command string) {
	if c.over() {
		return
	}
	if command != "" {
		if c.err = c.text.PrintfLine("%s", command); c.err != nil {
			return
		}
	}
	c.last.Code, c.last.Text, c.err = c.text.ReadResponse(0)
}

func (c *dialogue) logIn(conn net.Conn, account string) {
	c.expect("EHLO laptop.example.com")
	c.expect("STARTTLS")
	if c.over() {
		return
	}
	// The certificate is the demo's own, made a moment ago.
	enc := tls.Client(conn, &tls.Config{ServerName: "localhost", InsecureSkipVerify: true})
	if c.err = enc.Handshake(); c.err != nil {
		return
	}
	c.text = textproto.NewConn(enc)
	c.expect("EHLO laptop.example.com")
	c.expect("AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+account+"\x00"+Password)))
}

func (c *dialogue) body(b []byte) {
	if c.over() {
		return
	}
	w := c.text.DotWriter()
	if _, c.err = bytes.NewReader(b).WriteTo(w); c.err != nil {
		return
	}
	if c.err = w.Close(); c.err != nil {
		return
	}
	c.last.Code, c.last.Text, c.err = c.text.ReadResponse(0)
}
