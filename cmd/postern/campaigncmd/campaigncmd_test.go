package campaigncmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"postern/cmd/postern/app"
	"postern/cmd/postern/campaigncmd"
	"postern/cmd/postern/campaigns"
	"postern/cmd/postern/gateway"
	"postern/filter/campaign"
	"postern/filter/campaign/opinion"
	"postern/internal/control"
)

func noon() time.Time { return time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC) }

// serve answers the calls and returns the path of a configuration that leads to them.
func serve(t *testing.T, list func(campaigns.List), mark func(campaigns.Mark)) string {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "postern.yaml")
	text := "hostname: mx.example.com\nstate: " + dir + "\nlisteners: [{name: mx, addr: \"127.0.0.1:2525\", kind: inbound}]\nbackends: {b: [{addr: \"127.0.0.1:2526\"}]}\nroutes: {example.com: {backend: b}}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	one := campaigns.Campaign{Print: "00000000000000ff", First: noon(), Last: noon(), Messages: 3, Delivered: 2, Sources: 3, Subject: "Mail\x1b[31m limit", Senders: []string{"bulk.example"}}
	said := one
	said.Said = &opinion.Opinion{Print: 255, Word: "bad", By: "ann", Why: "phishing", At: noon()}
	shown := campaigns.Shown{Campaign: said, Copies: []campaign.Copy{{Print: 255, ID: "id1", At: noon(), From: "a@bulk.example", Source: "198.18.1.0/24", To: []string{"bob@example.com"}, More: 4, State: "delivered", Subject: "Mail limit"}}}
	s := control.NewServer()
	control.Handle(s, "campaign.list", func(_ context.Context, p campaigns.List) (campaigns.Listed, error) {
		list(p)
		return campaigns.Listed{Campaigns: []campaigns.Campaign{one, said}, More: true}, nil
	})
	control.Handle(s, "campaign.show", func(_ context.Context, p campaigns.Show) (campaigns.Shown, error) {
		if p.Print != one.Print {
			return campaigns.Shown{}, control.Refuse(control.NotFound, "campaign.nothing-is-kept-of", "nothing is kept of campaign %s", "print", p.Print)
		}
		return shown, nil
	})
	control.Handle(s, "campaign.mark", func(_ context.Context, p campaigns.Mark) (campaigns.Shown, error) {
		mark(p)
		return shown, nil
	})
	l, err := net.Listen("unix", filepath.Join(dir, gateway.Socket))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done })
	return config
}

func run(t *testing.T, config string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	var cli struct {
		Campaign campaigncmd.Campaign `cmd:""`
	}
	p, err := kong.New(&cli, kong.Exit(func(int) {}), kong.Writers(&out, &out))
	if err != nil {
		t.Fatal(err)
	}
	k, err := p.Parse(append([]string{"campaign"}, args...))
	if err != nil {
		return "", err
	}
	a := &app.App{Ctx: t.Context(), Stdout: &out, Stderr: &out, Now: noon, Config: config, Command: k.Command()}
	err = k.Run(a)
	return out.String(), err
}

func TestCommands(t *testing.T) {
	var asked campaigns.List
	var marked campaigns.Mark
	config := serve(t, func(p campaigns.List) { asked = p }, func(p campaigns.Mark) { marked = p })
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"list", "--since", "24h", "--word", "bad", "--copies", "5"}, []string{"00000000000000ff", "bulk.example", "bad", "there are more"}},
		{[]string{"show", "00000000000000ff"}, []string{"3 copies, 2 delivered, from 3 sources", "bad, says ann", "phishing", "id1", "bob@example.com and 4 more"}},
		{[]string{"mark", "00000000000000ff", "bad", "--reason", "phishing"}, []string{"nothing is taken back"}},
	} {
		out, err := run(t, config, c.args...)
		if err != nil {
			t.Fatalf("%v: %v", c.args, err)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%v says nothing of %q:\n%s", c.args, want, out)
			}
		}
		if strings.Contains(out, "\x1b") {
			t.Errorf("%v hands a terminal what strangers wrote", c.args)
		}
	}
	if want := (campaigns.List{Since: noon().Add(-24 * time.Hour), Copies: 5, Word: "bad", Limit: 50}); asked != want {
		t.Errorf("asked for %+v", asked)
	}
	if want := (campaigns.Mark{Print: "00000000000000ff", Word: "bad", Reason: "phishing"}); marked != want {
		t.Errorf("marked %+v", marked)
	}
}

func TestJSON(t *testing.T) {
	config := serve(t, func(campaigns.List) {}, func(campaigns.Mark) {})
	out, err := run(t, config, "show", "00000000000000ff", "--json")
	var got campaigns.Shown
	if err != nil || json.Unmarshal([]byte(out), &got) != nil || got.Copies[0].ID != "id1" {
		t.Errorf("%s, %v", out, err)
	}
}

func TestWrongCalls(t *testing.T) {
	config := serve(t, func(campaigns.List) {}, func(campaigns.Mark) {})
	for _, args := range [][]string{{"mark", "00000000000000ff", "ugly", "--reason", "r"}, {"mark", "00000000000000ff", "bad"}, {"list", "--word", "ugly"}, {"show"}, {"show", "x"}} {
		if out, err := run(t, config, args...); err == nil {
			t.Errorf("%v: %s", args, out)
		}
	}
}
