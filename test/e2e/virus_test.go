package e2e

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest"
	"postern/quarantine"
	"postern/test/world"
)

// withFile is a message with an attachment.
func withFile(subject, name string, content []byte) string {
	var b strings.Builder
	head, _, _ := strings.Cut(letter(subject, ""), "Content-Type:")
	b.WriteString(head + "Content-Type: multipart/mixed; boundary=\"=_e2e\"\r\n\r\n--=_e2e\r\nContent-Type: text/plain\r\n\r\nSee attached.\r\n")
	b.WriteString("--=_e2e\r\nContent-Type: application/octet-stream; name=\"" + name + "\"\r\nContent-Disposition: attachment; filename=\"" + name + "\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	text := base64.StdEncoding.EncodeToString(content)
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	b.WriteString(text + "\r\n--=_e2e--\r\n")
	return b.String()
}

func zipped(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestVirusIsRefusedAndKeptAsEvidence(t *testing.T) {
	t.Parallel()
	c := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	g, b := startBefore(t, mailtest.Script{}, plan{ClamAV: c.Endpoint})
	for name, raw := range map[string]string{
		"bare":   letter("Bare", string(mailtest.EICAR())),
		"in zip": withFile("Zipped", "invoice.zip", zipped(t, "invoice.com", mailtest.EICAR())),
	} {
		text := g.mustDeliver(t, 550, "ada@example.com", raw)
		if !strings.Contains(text, "virus") || !strings.Contains(text, "ref ") || strings.Contains(text, "Eicar") {
			t.Errorf("%s: the stranger reads %q", name, text)
		}
		found := false
		for _, h := range holds(t, g, "class:evidence") {
			found = found || h.SHA256 == sum(raw) && h.Class == quarantine.Evidence && strings.Contains(text, h.MessageID)
		}
		if !found {
			t.Errorf("%s: no evidence", name)
		}
	}
	g.mustDeliver(t, 250, "ada@example.com", withFile("Clean", "notes.zip", zipped(t, "notes.txt", []byte("notes"))))
	if n := len(b.Transactions()); n != 1 {
		t.Errorf("%d messages behind", n)
	}
	for _, h := range holds(t, g, "class:evidence") {
		if out := g.run(t, 1, "quarantine", "release", h.ID); !strings.Contains(out, "released") {
			t.Errorf("evidence was released? %s", out)
		}
	}
	if n := len(b.Transactions()); n != 1 {
		t.Errorf("%d messages behind after releases", n)
	}
}

func TestScannerAwayAndBack(t *testing.T) {
	t.Parallel()
	c := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	g, b := startBefore(t, mailtest.Script{}, plan{ClamAV: c.Endpoint})
	c.Stop()
	text := g.mustDeliver(t, 451, "ada@example.com", letter("one", "x"))
	if strings.Contains(text, "clam") {
		t.Errorf("the stranger reads %q", text)
	}
	g.mustDeliver(t, 250, "noscan@example.com", letter("two", "x"))
	world.Await(t, "not ready", 15*time.Second, func() bool { code, _ := g.ask(t, "/readyz"); return code == http.StatusServiceUnavailable })
	if code, _ := g.ask(t, "/healthz"); code != http.StatusOK {
		t.Errorf("healthz %d", code)
	}
	g.awaitLog(t, `"msg":"alert"`, "clamav")
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	world.Await(t, "mail flows again", 10*time.Second, func() bool {
		code, _ := g.deliver(t, "ada@example.com", letter("three", "x"))
		return code == 250
	})
	g.Ready()
	g.awaitLog(t, `"msg":"all clear"`, "clamav")
	if n := len(b.Transactions()); n != 2 {
		t.Errorf("%d messages behind", n)
	}
	g.mustDeliver(t, 550, "ada@example.com", letter("four", string(mailtest.EICAR())))
}

func TestHungScannerDefersInTime(t *testing.T) {
	t.Parallel()
	c := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	g, _ := startBefore(t, mailtest.Script{}, plan{More: "clamav: {addrs: [\"" + c.Endpoint + "\"], timeout: 2s}\n"})
	if err := c.Pause(); err != nil {
		t.Fatal(err)
	}
	g.mustDeliver(t, 451, "ada@example.com", letter("one", "x"))
	line := g.awaitLog(t, `"msg":"message"`, "clamav")
	if !strings.Contains(line, `"action":"defer"`) {
		t.Errorf("logged as %s", line)
	}
	if err := c.Resume(); err != nil {
		t.Fatal(err)
	}
	world.Await(t, "mail flows again", 10*time.Second, func() bool {
		code, _ := g.deliver(t, "ada@example.com", letter("two", "x"))
		return code == 250
	})
}

func TestMissingScannerServesButIsNotReady(t *testing.T) {
	t.Parallel()
	c, err := mailtest.NewRealClamd(t.TempDir(), mailtest.ClamdOptions{TCP: true})
	if err != nil {
		t.Fatal(err)
	}
	b := mailtest.NewBackend(t, mailtest.Script{})
	g := prepare(t, plan{Backend: b.Addr(), ClamAV: c.Endpoint})
	g.Start()
	g.awaitLog(t, `"msg":"alert"`, "clamav")
	if code, text := g.ask(t, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(text, "clamav has not found the test virus") {
		t.Errorf("readyz %d %s", code, text)
	}
	g.mustDeliver(t, 451, "ada@example.com", letter("one", "x"))
	g.mustDeliver(t, 250, "noscan@example.com", letter("two", "x"))
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	world.Await(t, "ready without a restart", 10*time.Second, func() bool { code, _ := g.ask(t, "/readyz"); return code == http.StatusOK })
	g.mustDeliver(t, 250, "ada@example.com", letter("three", "x"))
}
