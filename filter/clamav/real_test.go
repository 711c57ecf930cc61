package clamav_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/filter/clamav"
	"postern/internal/mailtest"
)

// wrapped is content attached to a mail in base64.
func wrapped(name string, content []byte) string {
	var b strings.Builder
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: application/octet-stream; name=\"" + name + "\"\r\n" +
		"Content-Disposition: attachment; filename=\"" + name + "\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	text := base64.StdEncoding.EncodeToString(content)
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	return "From: a@example.com\r\nSubject: x\r\n" + b.String() + text + "\r\n"
}

func zipped(t testing.TB, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(name)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func scanOne(t testing.TB, w *world, body []byte) clamav.Result {
	t.Helper()
	r, err := w.Scan(t.Context(), bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRealClamd(t *testing.T) {
	for _, o := range []mailtest.ClamdOptions{{}, {TCP: true}} {
		real := mailtest.StartRealClamd(t, o)
		w := ready(t, clamav.Config{Endpoints: []string{real.Endpoint}, StreamMax: 25e6})
		for name, body := range map[string][]byte{
			"bare": mailtest.EICAR(), "in a mail": []byte(wrapped("e.com", mailtest.EICAR())),
			"zip": zipped(t, "e.com", mailtest.EICAR()), "zip in a mail": []byte(wrapped("e.zip", zipped(t, "e.com", mailtest.EICAR()))),
			"zip in zip": zipped(t, "e.zip", zipped(t, "e.com", mailtest.EICAR())),
		} {
			if r := scanOne(t, w, body); !strings.HasPrefix(r.Signature, "Test.Eicar") || strings.Contains(r.Signature, ":") {
				t.Errorf("%s: %+v", name, r)
			}
		}
		if r := scanOne(t, w, []byte(wrapped("a.txt", []byte("hello")))); !r.Clean() {
			t.Errorf("%+v", r)
		}
		if v := w.Version(); !strings.HasPrefix(v, "ClamAV ") || !strings.HasSuffix(v, "/unknown/unknown") {
			t.Error(v)
		}
		if h := w.Health()[0]; h.Limit < 24e6 || len(w.events) != 0 {
			t.Errorf("%+v, %d events", h, len(w.events))
		}
	}
}

// The age of the signatures comes from VERSION of a clamd with a versioned database; the
// clock is ours.
func TestSignatureAge(t *testing.T) {
	real := mailtest.StartRealClamd(t, mailtest.ClamdOptions{Version: 27000})
	now := time.Now()
	events := make(chan clamav.Event, 100)
	var mu sync.Mutex
	s, err := clamav.New(clamav.Config{Endpoints: []string{real.Endpoint}, StreamMax: 1 << 20}, clamav.Parts{
		Now:   func() time.Time { mu.Lock(); defer mu.Unlock(); return now },
		Alert: func(e clamav.Event) { events <- e },
	})
	if err != nil {
		t.Fatal(err)
	}
	probe := func(later time.Duration) []clamav.Event {
		mu.Lock()
		now = time.Now().Add(later)
		mu.Unlock()
		if err := s.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
		var all []clamav.Event
		for len(events) > 0 {
			all = append(all, <-events)
		}
		return all
	}
	if e := probe(0); len(e) != 0 {
		t.Error(e)
	}
	if v, want := s.Version(), "/27000/"+time.Now().Format(time.DateOnly); !strings.HasSuffix(v, want) {
		t.Error(v, want)
	}
	if e := probe(26 * time.Hour); len(e) != 1 || !strings.HasPrefix(e[0].Key, "clamav/age") {
		t.Error(e)
	}
	if e := probe(30 * time.Hour); len(e) != 0 {
		t.Error("said twice", e)
	}
	if e := probe(8 * 24 * time.Hour); len(e) != 1 || !strings.HasPrefix(e[0].Key, "clamav/breach") {
		t.Error(e)
	}
	if e := probe(0); len(e) != 2 || !e[0].Over || !e[1].Over {
		t.Error(e)
	}
	if age, ok := s.Age(); !ok || age > 2*time.Hour {
		t.Error(age, ok)
	}
}

// clamd says "OK" to files above its MaxFileSize. The limit is measured, so such a mail is
// UNSCANNABLE whatever the configuration promises.
func TestOKAboveClamdsLimitsIsUnscannable(t *testing.T) {
	for name, c := range map[string]struct {
		config map[string]string
		event  string
	}{
		"MaxFileSize":     {map[string]string{"MaxFileSize": "200K"}, "clamav/limits"},
		"AlertExceedsMax": {map[string]string{"MaxFileSize": "200K", "AlertExceedsMax": "yes"}, "clamav/limits"},
		"StreamMaxLength": {map[string]string{"StreamMaxLength": "200K"}, "clamav/limits"},
	} {
		t.Run(name, func(t *testing.T) {
			real := mailtest.StartRealClamd(t, mailtest.ClamdOptions{Config: c.config})
			w := ready(t, clamav.Config{Endpoints: []string{real.Endpoint}, StreamMax: 1 << 20})
			w.hear(t, c.event, false)
			if h := w.Health()[0]; h.Limit < 100<<10 || h.Limit > 200<<10 {
				t.Errorf("measured %d", h.Limit)
			}
			body := append(mailtest.EICAR(), make([]byte, 300<<10)...)
			if r := scanOne(t, w, body); r.Unscannable == "" {
				t.Errorf("%+v", r)
			}
			if r := scanOne(t, w, body[:100<<10]); r.Signature == "" {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestClamdThatIgnoresArchivesIsSaid(t *testing.T) {
	real := mailtest.StartRealClamd(t, mailtest.ClamdOptions{Hash: true, Config: map[string]string{"ScanArchive": "no"}})
	w := ready(t, clamav.Config{Endpoints: []string{real.Endpoint}})
	if e := w.hear(t, "clamav/limits", false); !strings.Contains(e.Text, "archives") {
		t.Error(e)
	}
}

// The public EICAR samples that hold the test file as a file; the office samples hold
// programs that would write it, which is for real signatures to know.
func TestEicarFiles(t *testing.T) {
	dir := mailtest.Suites(t, "av/eicar")
	real := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	w := ready(t, clamav.Config{Endpoints: []string{real.Endpoint}})
	for _, name := range []string{"eicar-com.com", "eicar-test.txt", "eicar-zip.zip", "eicar-zip2.zip", "eicar-adobe-acrobat-attachment.pdf"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if r := scanOne(t, w, content); r.Signature == "" {
			t.Errorf("%s: %+v", name, r)
		}
		if r := scanOne(t, w, []byte(wrapped(name, content))); r.Signature == "" {
			t.Errorf("%s in a mail: %+v", name, r)
		}
	}
}

// Over clamd's StreamMaxLength the reply waits behind a broken pipe.
func TestRealStreamMaxLength(t *testing.T) {
	real := mailtest.StartRealClamd(t, mailtest.ClamdOptions{Config: map[string]string{"StreamMaxLength": "1M"}})
	fresh, err := clamav.New(clamav.Config{Endpoints: []string{real.Endpoint}, StreamMax: 25e6}, clamav.Parts{})
	if err != nil {
		t.Fatal(err)
	}
	if err := fresh.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 8<<20)
	if r, err := fresh.Scan(t.Context(), bytes.NewReader(body), int64(len(body))); err != nil || r.Unscannable == "" {
		t.Errorf("%+v %v", r, err)
	}
}

func TestPausedClamd(t *testing.T) {
	mailtest.Steady(t, 50*time.Millisecond, func(t testing.TB, scale time.Duration) {
		real := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
		w := running(t, clamav.Config{Endpoints: []string{real.Endpoint}, Timeout: scale * 500 * time.Millisecond, Beat: scale * 50 * time.Millisecond})
		if err := real.Pause(); err != nil {
			t.Fatal(err)
		}
		if got := w.check(t, mail("x")); got != "could not: timed out" && got != "could not: clamd is not ready" {
			t.Error(got)
		}
		w.hear(t, "clamav/down", false)
		if got := w.check(t, mail("x")); got != "could not: clamd is not ready" {
			t.Error(got)
		}
		if err := real.Resume(); err != nil {
			t.Fatal(err)
		}
		w.hear(t, "clamav/down", true)
		if got := w.check(t, mail("x")); got != "clean" {
			t.Error(got)
		}
	})
}

func TestKilledAndRestartedClamd(t *testing.T) {
	real := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	w := running(t, clamav.Config{Endpoints: []string{real.Endpoint}, Beat: 50 * time.Millisecond})
	real.Stop()
	w.hear(t, "clamav/down", false)
	if got := w.check(t, mail("x")); got != "could not: clamd is not ready" {
		t.Error(got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := real.Start(ctx); err != nil {
		t.Fatal(err)
	}
	w.hear(t, "clamav/down", true)
	if got := w.check(t, mail("x")); got != "clean" {
		t.Error(got)
	}
}

// Signature reloads under load: never a wrong answer. A clamd that does not reload
// concurrently may stall for longer than a message waits, then it is "could not tell".
func TestReloadLoop(t *testing.T) {
	for _, concurrent := range []string{"no", "yes"} {
		real := mailtest.StartRealClamd(t, mailtest.ClamdOptions{Config: map[string]string{"ConcurrentDatabaseReload": concurrent}})
		w := running(t, clamav.Config{Endpoints: []string{real.Endpoint}})
		stop := make(chan struct{})
		var load, reloads sync.WaitGroup
		reloads.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(200 * time.Millisecond):
					_ = real.Reload()
				}
			}
		})
		for worker := range 4 {
			load.Go(func() {
				for i := range 25 {
					m, want := mail(fmt.Sprint(worker, i)), "clean"
					if i%2 == 0 {
						m, want = mail(string(mailtest.EICAR())), "VIRUS"
					}
					got := w.check(t, m)
					if concurrent == "no" && strings.HasPrefix(got, "could not: ") {
						continue
					}
					if got != want {
						t.Errorf("concurrent %s: %s instead of %s", concurrent, got, want)
					}
				}
			})
		}
		load.Wait()
		close(stop)
		reloads.Wait()
		for !w.Ready() {
			w.hear(t, "clamav/down", true)
		}
		if got := w.check(t, mail("after")); got != "clean" {
			t.Errorf("concurrent %s: %s after the last reload", concurrent, got)
		}
	}
}

// clamd's own test files: each packs the same little program in another way.
func TestClamavTestfiles(t *testing.T) {
	dir := mailtest.Suites(t, "av/clamav-testfiles")
	exe, err := os.ReadFile(filepath.Join(dir, "clam.exe"))
	if err != nil {
		t.Fatal(err)
	}
	real := mailtest.StartRealClamd(t, mailtest.ClamdOptions{HDB: []string{fmt.Sprintf("%x:%d:Clam.Test", md5.Sum(exe), len(exe))}})
	w := ready(t, clamav.Config{Endpoints: []string{real.Endpoint}, StreamMax: 25e6})
	files, err := filepath.Glob(filepath.Join(dir, "clam*"))
	if err != nil {
		t.Fatal(err)
	}
	bare, inMail := 0, []string{}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if scanOne(t, w, content).Signature != "" {
			bare++
		} else {
			t.Errorf("%s is not found", filepath.Base(f))
		}
		if scanOne(t, w, []byte(wrapped(filepath.Base(f), content))).Signature == "" {
			inMail = append(inMail, filepath.Base(f))
		}
	}
	t.Logf("bare %d/%d, in a mail %d, not found there: %v", bare, len(files), len(files)-len(inMail), inMail)
	if len(files) != 44 || bare != 44 || len(inMail) != 1 || inMail[0] != "clam_cache_emax.tgz" {
		t.Errorf("bare %d of %d, in a mail all but %v", bare, len(files), inMail)
	}
}

func BenchmarkCheck(b *testing.B) {
	fake := mailtest.StartClamd(b, "unix")
	w := ready(b, clamav.Config{Endpoints: []string{fake.Endpoint}})
	m := mail(strings.Repeat("benign text\r\n", 1600))
	b.ReportAllocs()
	for b.Loop() {
		if got := w.check(b, m); got != "clean" {
			b.Fatal(got)
		}
	}
}
