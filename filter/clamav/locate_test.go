package clamav_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/filter"
	"postern/filter/clamav"
	"postern/internal/mailtest"
	"postern/internal/mime"
)

// letter is a message of these parts, each with a header of its own.
func letter(parts ...string) *filter.Message {
	text := "From: a@example.com\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	for _, p := range parts {
		text += "--b\r\n" + p + "\r\n"
	}
	raw := []byte(text + "--b--\r\n")
	return &filter.Message{
		ID: "x", Body: bytes.NewReader(raw), Size: int64(len(raw)), SHA256: "hash",
		Parts: func() (*mime.Tree, error) { return mime.Bytes(raw, mime.Limits{}), nil },
	}
}

const clean = "Content-Type: text/plain\r\n\r\nhello"

func evil(encoding string) string {
	text := string(mailtest.EICAR())
	if encoding == "base64" {
		text = base64.StdEncoding.EncodeToString([]byte(text))
	}
	return "Content-Type: application/octet-stream; name=e.com\r\nContent-Transfer-Encoding: " + encoding + "\r\n\r\n" + text
}

// where are the parts of the findings, "-" for one that names none.
func where(t testing.TB, found []filter.Finding, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range found {
		if f.Symbol != clamav.Virus || f.Detail == "" {
			t.Errorf("%+v", f)
		}
		if f.Part == "" {
			f.Part = "-"
		}
		out = append(out, f.Part)
	}
	return strings.Join(out, " ")
}

func TestLocate(t *testing.T) {
	fake := mailtest.StartClamd(t, "unix")
	w := ready(t, clamav.Config{Endpoints: []string{fake.Endpoint}})
	uuencoded := "Content-Type: text/plain\r\n\r\nlook:\r\nbegin 644 e.com\r\n"
	for line := range slices.Chunk(mailtest.EICAR(), 45) {
		uuencoded += string(uuline(line)) + "\r\n"
	}
	uuencoded += "`\r\nend\r\n"
	inner := "Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n" + evil("7bit")
	for name, c := range map[string]struct {
		m    *filter.Message
		want string
	}{
		"one part":        {letter(clean, evil("7bit")), "1.2"},
		"two parts":       {letter(evil("7bit"), clean, evil("base64")), "1.1 1.3"},
		"a message":       {letter(clean, inner), "1.2.1"},
		"a single part":   {single(string(mailtest.EICAR())), "1"},
		"in the header":   {letter("X-Evil: " + string(mailtest.EICAR()) + "\r\n" + clean), "-"},
		"in the preamble": {preamble(string(mailtest.EICAR())), "-"},
		"embedded":        {letter(clean, uuencoded), "1.2"},
		"text and file":   {letter(clean, strings.Replace(uuencoded, "look:", string(mailtest.EICAR()), 1)), "1.2"},
		"other reading":   {letter(clean, strings.Replace(evil("base64"), "Content-T", "Content-Transfer-Encoding: 7bit\r\nContent-T", 1)), "1.2"},
		"other part":      {preamble(evil("base64")), "-"},
		"no walk":         {mail(string(mailtest.EICAR())), "-"},
	} {
		found, err := w.Check(t.Context(), c.m)
		if got := where(t, found, err); got != c.want {
			t.Errorf("%s: in %q, want %q (%+v)", name, got, c.want, found)
		}
	}
	before := fake.Scans()
	if got := w.check(t, letter(clean, clean, clean)); got != "clean" || fake.Scans() != before+1 {
		t.Errorf("clean mail: %s, %d scans", got, fake.Scans()-before)
	}
}

func single(body string) *filter.Message {
	m := mail(body)
	m.Parts = func() (*mime.Tree, error) { return mime.Walk(m.Body, m.Size, mime.Limits{}) }
	return m
}

func preamble(text string) *filter.Message {
	m := letter(clean)
	raw := make([]byte, m.Size)
	_, _ = m.Body.ReadAt(raw, 0)
	raw = bytes.Replace(raw, []byte("\r\n\r\n"), []byte("\r\n\r\n"+text+"\r\n"), 1)
	m.Body, m.Size = bytes.NewReader(raw), int64(len(raw))
	m.Parts = func() (*mime.Tree, error) { return mime.Bytes(raw, mime.Limits{}), nil }
	return m
}

// uuline is one line of uuencode.
func uuline(b []byte) []byte {
	out := []byte{byte(' ' + len(b))}
	for chunk := range slices.Chunk(b, 3) {
		var c [3]byte
		copy(c[:], chunk)
		for _, v := range []byte{c[0] >> 2, c[0]<<4&0x30 | c[1]>>4, c[1]<<2&0x3c | c[2]>>6, c[2] & 0x3f} {
			if v == 0 {
				v = '`' - ' '
			}
			out = append(out, ' '+v)
		}
	}
	return out
}

// proxy stands before a clamd; once left is used up it does what the test says with each
// connection.
func proxy(t testing.TB, endpoint string, then func(net.Conn)) (string, *atomic.Int64) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var left atomic.Int64
	left.Store(1 << 30)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if left.Add(-1) < 0 {
				then(conn)
				continue
			}
			pipe(conn, strings.TrimPrefix(endpoint, "unix:"))
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return ln.Addr().String(), &left
}

// pipe carries one connection to the socket and back.
func pipe(conn net.Conn, socket string) {
	defer conn.Close()
	up, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer up.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		buf := make([]byte, 64<<10)
		for {
			n, err := conn.Read(buf)
			if _, werr := up.Write(buf[:n]); err != nil || werr != nil {
				return
			}
		}
	}()
	buf := make([]byte, 4096)
	for {
		n, err := up.Read(buf)
		_, _ = conn.Write(buf[:n])
		if err != nil {
			break
		}
	}
	conn.Close()
	<-sent
}

// A clamd that fails while parts are located leaves a finding without a part, in time for the
// step, and never a clean message.
func TestLocateFails(t *testing.T) {
	for name, then := range map[string]func(net.Conn){
		"dies":  func(c net.Conn) { c.Close() },
		"hangs": func(c net.Conn) { time.AfterFunc(time.Minute, func() { c.Close() }) },
		"lies":  func(c net.Conn) { fmt.Fprint(c, "stream: OK ERROR\x00"); c.Close() },
	} {
		for answers, want := range []string{1: "-", 2: "1.1 -", 3: "1.1 -", 4: "1.1 1.3"} {
			if answers == 0 {
				continue
			}
			t.Run(fmt.Sprint(name, answers), func(t *testing.T) {
				mailtest.Steady(t, 100*time.Millisecond, func(t testing.TB, scale time.Duration) {
					fake := mailtest.StartClamd(t, "unix")
					address, left := proxy(t, fake.Endpoint, then)
					w := ready(t, clamav.Config{Endpoints: []string{address}, Timeout: scale * 10 * time.Second})
					left.Store(int64(answers))
					p := filter.Pipeline{Steps: []filter.Step{{Name: clamav.Step, Stage: filter.OnData, Check: w, Timeout: scale * time.Second, OnError: filter.Accept}}}
					r := p.Run(context.Background(), filter.OnData, letter(evil("7bit"), clean, evil("7bit")))
					if got := where(t, r.Findings, nil); got != want || len(r.Failures) != 0 {
						t.Errorf("%q, want %q (%+v)", got, want, r)
					}
				})
			})
		}
	}
}

func TestRealClamdLocates(t *testing.T) {
	real := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	w := ready(t, clamav.Config{Endpoints: []string{real.Endpoint}, StreamMax: 25e6})
	attached := func(name string, content []byte) string {
		_, entity, _ := strings.Cut(wrapped(name, content), "MIME-Version: 1.0\r\n")
		return entity
	}
	packed := zipped(t, "e.com", mailtest.EICAR())
	for name, c := range map[string]struct {
		m    *filter.Message
		want string
	}{
		"zip":        {letter(clean, attached("e.zip", packed)), "1.2"},
		"zip in zip": {letter(attached("e.zip", zipped(t, "f.zip", packed)), attached("a.txt", []byte("good"))), "1.1"},
		"two":        {letter(attached("e.zip", packed), clean, attached("e.com", mailtest.EICAR())), "1.1 1.3"},
		"nested":     {letter(clean, "Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n"+attached("e.zip", packed)), "1.2.1"},
		"header":     {letter("X-Evil: " + string(mailtest.EICAR()) + "\r\n" + clean), "-"},
	} {
		found, err := w.Check(t.Context(), c.m)
		if got := where(t, found, err); got != c.want {
			t.Errorf("%s: in %q, want %q (%+v)", name, got, c.want, found)
		}
	}
}
