package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The sender's mails go straight to the server behind: all arrive, with dots as they were.
func TestSendToTheSink(t *testing.T) {
	dir := t.TempDir()
	index := ""
	for _, id := range []string{"a", "b", "c"} {
		text := "X-Bench-Id: " + id + "\r\nSubject: x\r\n\r\n.\r\n..two\r\nend\r\n"
		if err := os.WriteFile(filepath.Join(dir, id), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		index += `{"id":"` + id + `","file":"` + id + `","from":"a@b.test"}` + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "index.jsonl"), []byte(index), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := readMails(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(all[0].data); !strings.HasSuffix(got, "\r\n\r\n..\r\n...two\r\nend\r\n.\r\n") {
		t.Errorf("framed as %q", got)
	}
	box, err := newSink("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := send(task{Name: "x", Addr: box.addr(), C: 2, Wait: 10 * time.Second}, all, box)
	if r.Accepted != 3 || r.Arrived != 3 || r.Errors != 0 || r.P50 <= 0 {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(box.heads["b"], "Subject: x") {
		t.Errorf("heads %v", box.heads)
	}
	box.reset()
	if r := send(task{Addr: "127.0.0.1:1", C: 1}, all[:1], box); r.Errors != 1 || len(r.Examples) != 1 {
		t.Errorf("nobody listens, yet %+v", r)
	}
}
