package mailtest_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest"
)

// say opens a connection, sends the text and returns all that comes back.
func say(t testing.TB, endpoint string, text []byte) string {
	t.Helper()
	network, addr := "tcp", endpoint
	if path, ok := strings.CutPrefix(endpoint, "unix:"); ok {
		network, addr = "unix", path
	}
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := conn.Write(text); err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(conn)
	return string(b)
}

func instream(bodies ...[]byte) []byte {
	b := []byte("zINSTREAM\x00")
	for _, body := range bodies {
		b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
		b = append(b, body...)
	}
	return append(b, 0, 0, 0, 0)
}

func TestScriptedClamd(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		c := mailtest.StartClamd(t, network)
		for text, want := range map[string]string{
			"zPING\x00":    "PONG\x00",
			"nPING\n":      "PONG\n",
			"zVERSION\x00": "ClamAV 1.4.6/27000/Sun Nov 22 08:00:00 2026\x00",
			"zNOSUCH\x00":  "UNKNOWN COMMAND\x00",
		} {
			if got := say(t, c.Endpoint, []byte(text)); got != want {
				t.Errorf("%q: %q", text, got)
			}
		}
		if got := say(t, c.Endpoint, instream([]byte("harm"), []byte("less"))); got != "stream: OK\x00" {
			t.Error(got)
		}
		if s := c.Streams(); len(s) != 1 || string(s[0]) != "harmless" {
			t.Errorf("%q", s)
		}
		if got := say(t, c.Endpoint, instream(mailtest.EICAR())); got != "stream: Eicar-Test-Signature FOUND\x00" {
			t.Error(got)
		}
		c.Mail(mailtest.ClamdAnswer{SizeLimit: 3})
		if got := say(t, c.Endpoint, instream([]byte("harmless"))); got != "INSTREAM size limit exceeded. ERROR\x00" {
			t.Error(got)
		}
		c.Mail(mailtest.ClamdAnswer{Silent: true})
		if got := say(t, c.Endpoint, instream([]byte("x"))); got != "" {
			t.Error(got)
		}
		if c.Scans() != 3 {
			t.Errorf("%d scans", c.Scans())
		}
	}
}

// The scripted daemon speaks like the real one.
func TestRealClamdAnswersAlike(t *testing.T) {
	for _, o := range []mailtest.ClamdOptions{{}, {TCP: true, Version: 27000}, {Hash: true}} {
		real := mailtest.StartRealClamd(t, o)
		version := say(t, real.Endpoint, []byte("zVERSION\x00"))
		if !strings.HasPrefix(version, "ClamAV ") || strings.Contains(version, "/27000/") != (o.Version > 0) {
			t.Errorf("%+v: %q", o, version)
		}
		if got := say(t, real.Endpoint, instream([]byte("harmless"))); got != "stream: OK\x00" {
			t.Errorf("%+v: %q", o, got)
		}
		if got := say(t, real.Endpoint, instream(mailtest.EICAR())); !strings.HasPrefix(got, "stream: Test.Eicar") || !strings.HasSuffix(got, " FOUND\x00") {
			t.Errorf("%+v: %q", o, got)
		}
		within := say(t, real.Endpoint, instream(bytes.Join([][]byte{[]byte("x"), mailtest.EICAR()}, nil)))
		if strings.HasSuffix(within, "FOUND\x00") == o.Hash {
			t.Errorf("%+v, inside other bytes: %q", o, within)
		}
	}
}
