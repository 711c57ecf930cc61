package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/abuse/service/exclusion"
	"postern/abuse/service/month"
	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/test/rig"
	"postern/test/world"
)

// homes are the lines of a configuration by home.
func homes(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"seal.key": strings.Repeat("ab", 32), "redis.pw": redisd.Password} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := redisd.Start(t, redisd.Options{ACL: rig.ACL()})
	born := server.Client() // one that was emptied just now takes nothing for half a minute
	defer born.Close()
	if err := born.Set(t.Context(), conn.DefaultPrefix+":born", time.Now().Add(-time.Hour).UnixMilli(), 0).Err(); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"embedded": "",
		"redis":    fmt.Sprintf("store: {home: redis, addrs: [%q], user: %s, password_file: %[3]s/redis.pw, key_file: %[3]s/seal.key}\n", server.Addr, rig.User, dir),
	}
}

// door is one that answers as SMTP does until it is shut.
func door(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = fmt.Fprint(c, "220 door ESMTP\r\n250 door\r\n221 bye\r\n")
				_, _ = c.Read(make([]byte, 200))
				_, _ = c.Read(make([]byte, 200))
			}()
		}
	}()
	return l
}

func figure(t *testing.T, r month.Report, id string) month.Figure {
	t.Helper()
	for _, f := range r.Figures {
		if f.ID == id {
			return f
		}
	}
	t.Fatalf("there is no figure %s", id)
	return month.Figure{}
}

// report reads the report of this month; false: the store does not answer just now.
func (g *gateway) report(t *testing.T, r *month.Report) bool {
	t.Helper()
	out, errs, code := g.Run("service", "report", here(), "--json")
	if code != 0 {
		t.Log(errs)
		return false
	}
	*r = month.Report{}
	if err := json.Unmarshal([]byte(out), r); err != nil {
		t.Fatal(err)
	}
	return true
}

// here is the month now, as the report asks for it.
func here() string { return time.Now().UTC().Format("2006-01") }

// monthLeft is how much of a month must be left for a test that asks for the figures of one.
const monthLeft = 4 * time.Minute

// wholeMonth waits for the next month where this one is about to end.
func wholeMonth(t *testing.T) {
	t.Helper()
	now := time.Now().UTC()
	next := time.Date(now.Year(), now.Month()+1, 1, 0, 0, 1, 0, time.UTC)
	if next.Sub(now) > monthLeft {
		return
	}
	t.Logf("the month ends: waiting for %s", next)
	select {
	case <-time.After(next.Sub(now)):
	case <-t.Context().Done():
	}
}

// asUser makes a call over HTTP as a user of the gateway.
func (g *gateway) asUser(t *testing.T, token, call string, params, result any) int {
	t.Helper()
	body, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+g.Addrs["api"]+"/api/v1/calls/"+call, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		err = json.NewDecoder(res.Body).Decode(result)
	}
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

// The doors are looked at and mail is measured; a door that is shut is a failed minute until
// two persons have left it out. Both homes.
func TestFiguresOfTheService(t *testing.T) {
	t.Parallel()
	for home, store := range homes(t) {
		t.Run(home, func(t *testing.T) {
			t.Parallel()
			figuresOf(t, store)
		})
	}
}

func figuresOf(t *testing.T, store string) {
	t.Helper()
	wholeMonth(t)
	shut := door(t)
	g, egress, mx := outgoingWith(t, store+fmt.Sprintf(`api: {addr: "127.0.0.1:0"}
public: {addr: "127.0.0.1:0"}
abuse: {service: {probe: 1s, also: [{group: smtp-in, addr: %q}]}}
`, shut.Addr()))
	g.mustDeliver(t, 250, "ann@example.com", letter("Measured", "hello"))
	mx.WaitTransactions(t, 1)
	c := dial(t, g.Addrs["submission"])
	c.logIn("ada@example.com", "ada-pw")
	if code, text := c.transaction("ada@example.com", []string{"x@far.example"}, letterFrom("Ada <ada@example.com>", "Out", "hello")); code != 250 {
		t.Fatalf("%d %s", code, text)
	}
	egress.WaitTransactions(t, 1)
	var r month.Report
	world.Await(t, "mail and doors in the figures", 60*time.Second, func() bool {
		return g.report(t, &r) && r.Groups["smtp-in"].Observed > 0 && r.Groups["web"].Observed > 0 && figure(t, r, "receive-delay-mean").Value != nil && figure(t, r, "send-delay-mean").Value != nil
	})
	for _, group := range []string{"smtp-in", "submission", "smarthost", "smtp-out", "web", month.Behind} {
		if n := r.Groups[group]; n.Observed == 0 || n.Failed > 0 {
			t.Errorf("%s: %+v %v", group, n, r.Outages)
		}
	}
	if f := figure(t, r, "unreached-minutes"); f.Value == nil || *f.Value != 0 || f.State == month.Broken {
		t.Errorf("%+v", f)
	}
	if f := figure(t, r, "billing-error"); f.Value != nil || f.State != month.NoData {
		t.Errorf("%+v", f)
	}
	if len(r.Tenants) != 2 || r.Tenants[0].Domain != "example.com" || r.Tenants[0].Delay.Count != 1 {
		t.Errorf("%+v", r.Tenants)
	}
	_ = shut.Close()
	world.Await(t, "a failed minute", 60*time.Second, func() bool {
		return g.report(t, &r) && *figure(t, r, "unreached-minutes").Value >= 1
	})
	if o := r.Outages[0]; o.Group != "smtp-in" || !o.Counted || !strings.Contains(o.Why, shut.Addr().String()) {
		t.Errorf("%+v", o)
	}
	page := g.run(t, 0, "service", "report", here(), "--format", "html", "--language", "zh")
	if !strings.Contains(page, "不可达分钟数") || !strings.Contains(page, "</html>") || !strings.Contains(g.run(t, 0, "service", "report", here(), "--format", "csv"), "billing-error,3,,") {
		t.Errorf("%s", page)
	}
	if rows := g.run(t, 0, "service", "rows", "outages", here()); !strings.Contains(rows, "smtp-in,") {
		t.Errorf("%s", rows)
	}
	leaveOut(t, g)
	world.Await(t, "the exclusion in the figures", 30*time.Second, func() bool {
		return g.report(t, &r) && *figure(t, r, "unreached-minutes").Value == 0 && r.Groups["smtp-in"].Excluded >= 1
	})
}

// leaveOut leaves out the hours around now: one proposes, another approves.
func leaveOut(t *testing.T, g *gateway) {
	t.Helper()
	tokens := map[string]string{}
	for _, name := range []string{"lea", "lee"} {
		g.run(t, 0, "user", "add", name, "--role", "abuse-lead")
		tokens[name] = runJSON[struct{ Secret string }](t, g, 0, "token", "add", name, "--json").Secret
	}
	now := time.Now()
	proposal := exclusion.Exclusion{Class: "c", From: now.Add(-2 * time.Hour), To: now.Add(2 * time.Hour), Reason: "a flood at the site", Groups: []string{"smtp-in"}}
	var e exclusion.Exclusion
	if code := g.asUser(t, tokens["lea"], "service.exclude", proposal, &e); code != http.StatusOK || e.State != exclusion.Proposed || e.By != "lea" {
		t.Fatalf("%d %+v", code, e)
	}
	if code := g.asUser(t, tokens["lea"], "service.approve", map[string]string{"id": e.ID}, &e); code != http.StatusConflict {
		t.Errorf("her own: %d", code)
	}
	if code := g.asUser(t, tokens["lee"], "service.approve", map[string]string{"id": e.ID, "why": "seen"}, &e); code != http.StatusOK || e.State != exclusion.Approved {
		t.Errorf("%d %+v", code, e)
	}
	if out := g.run(t, 0, "service", "exclusions", here()); !strings.Contains(out, "approved") || !strings.Contains(out, "lee") {
		t.Errorf("%s", out)
	}
	if out := g.run(t, 0, "audit", "list"); !strings.Contains(out, "exclusion-approve") {
		t.Errorf("%s", out)
	}
}
