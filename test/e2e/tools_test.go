package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest"
	"postern/internal/record"
	"postern/test/world"
)

const gtube = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

// keys are the names of a JSON object, sorted.
func keys(v any) []string {
	var all []string
	for k := range v.(map[string]any) {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

func TestScanFormat(t *testing.T) {
	t.Parallel()
	g := prepare(t, plan{Backend: "127.0.0.1:1"})
	clean := letter("Hello", "plain text")
	g.WriteFile("clean.eml", strings.ReplaceAll(clean, "\r\n", "\n"))
	g.WriteFile("bad.eml", letter("Test", gtube))
	path := func(name string) string { return filepath.Join(g.Dir, name) }
	all := runJSON[[]map[string]any](t, g, 1, "scan", "--offline", "--json", "--to", "ada@example.com", path("clean.eml"), path("bad.eml"))
	if len(all) != 2 {
		t.Fatalf("%d objects", len(all))
	}
	want := []string{"action", "id", "path", "policy", "public", "reasons", "score", "sha256", "size", "unchecked"}
	for i, r := range all {
		if got := keys(r); !slices.Equal(got, want) {
			t.Errorf("object %d has %q", i, got)
		}
		for _, reason := range r["reasons"].([]any) {
			if got := keys(reason); !slices.Equal(got, []string{"describe", "detail", "score", "symbol"}) {
				t.Errorf("a reason has %q", got)
			}
		}
		for _, u := range r["unchecked"].([]any) {
			if got := keys(u); !slices.Equal(got, []string{"reason", "step"}) {
				t.Errorf("an unchecked step has %q", got)
			}
		}
	}
	if r := all[0]; r["action"] != "accept" || r["sha256"] != sum(clean) || r["size"] != float64(len(clean)) || r["path"] != path("clean.eml") {
		t.Errorf("clean: %v", r)
	}
	if r := all[1]; r["action"] != "reject" || r["public"] == "" {
		t.Errorf("GTUBE: %v", r)
	}
	g.run(t, 0, "scan", "--offline", path("clean.eml"))
	g.run(t, 3, "scan", "--offline", path("missing.eml"))
	g.run(t, 2, "scan", "--offline", "--ip", "nowhere", path("clean.eml"))
	if r := runJSON[[]map[string]any](t, g, 0, "scan", "--offline", "--json", path("clean.eml")); len(r) != 1 {
		t.Errorf("one file is not an array of one: %v", r)
	}
}

func TestScanUsesTheGivenEnvelope(t *testing.T) {
	t.Parallel()
	g := prepare(t, plan{Backend: "127.0.0.1:1"})
	g.WriteFile("m.eml", letter("Hello", "text"))
	symbols := func(args ...string) string {
		var all []string
		args = append([]string{"scan", "--json", "--with-config", g.Config}, args...)
		for _, r := range runJSON[[]struct{ Reasons []struct{ Symbol string } }](t, g, 0, append(args, filepath.Join(g.Dir, "m.eml"))...)[0].Reasons {
			all = append(all, r.Symbol)
		}
		return strings.Join(all, " ")
	}
	if got := symbols("--ip", friendIP, "--helo", "mail.friend.example", "--from", "frank@friend.example"); !strings.Contains(got, "SPF_PASS") {
		t.Errorf("from its own host: %s", got)
	}
	if got := symbols("--ip", "198.51.100.7", "--helo", "host.other.example", "--from", "frank@friend.example"); !strings.Contains(got, "SPF_FAIL") {
		t.Errorf("from another host: %s", got)
	}
	if got := symbols("--from", "frank@friend.example"); strings.Contains(got, "SPF_") {
		t.Errorf("without --ip: %s", got)
	}
}

func TestEvalFormat(t *testing.T) {
	t.Parallel()
	g := prepare(t, plan{Backend: "127.0.0.1:1"})
	for i := range 3 {
		g.WriteFile(fmt.Sprintf("ham/mine/%d.eml", i), letter(fmt.Sprintf("Hello %d", i), "plain"))
	}
	g.WriteFile("spam/theirs/1.eml", letter("Test", gtube))
	g.WriteFile("spam/theirs/2.eml", letter("Hello", "plain"))
	scores := filepath.Join(g.Dir, "scores.tsv")
	r := runJSON[map[string]any](t, g, 0, "eval", "--json", "--ham", filepath.Join(g.Dir, "ham"), "--spam", filepath.Join(g.Dir, "spam"), "--scores", scores)
	if got, want := keys(r), []string{"corpora", "fn", "fn_ci", "fp", "fp_ci", "ham", "messages", "rules", "seconds", "spam"}; !slices.Equal(got, want) {
		t.Errorf("fields %q", got)
	}
	if got, want := keys(r["ham"]), []string{"accept", "defer", "n", "quarantine", "reject", "tag"}; !slices.Equal(got, want) {
		t.Errorf("ham %q", got)
	}
	if r["messages"] != 5.0 || r["fp"] != 0.0 || r["fn"] != 1.0 || !slices.Equal(keys(r["corpora"]), []string{"mine", "theirs"}) || len(r["fp_ci"].([]any)) != 2 {
		t.Errorf("%v", r)
	}
	b, err := os.ReadFile(scores)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) != 5 {
		t.Errorf("%d lines of scores", len(lines))
	}
	for _, line := range lines {
		if !regexp.MustCompile(`^(ham\tmine|spam\ttheirs)/\d\.eml\t-?\d+\.\d\d\t(accept|tag|quarantine|reject|defer)$`).MatchString(line) {
			t.Errorf("score line %q", line)
		}
	}
}

func TestConfigPrintReadsBack(t *testing.T) {
	t.Parallel()
	g := prepare(t, plan{Backend: "127.0.0.1:1", More: "limits: {message: 7MB, idle: 90s}\nclamav: {addrs: [\"unix:/nowhere\"]}\n"})
	out, _, _ := g.Run("config", "print")
	g.WriteFile("postern.yaml", out)
	again, errs, code := g.Run("config", "print")
	if code != 0 || again != out {
		t.Errorf("exit %d %s; it differs:\n%s\n---\n%s", code, errs, out, again)
	}
	for _, want := range []string{`mx1\.example\.com`, "7MB", "90s|1m30s"} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("print lacks %s:\n%s", want, out)
		}
	}
	g.run(t, 0, "config", "check")
	g.run(t, 0, "config", "limits")
	var schema map[string]any
	text, _, _ := g.Run("config", "schema")
	if err := json.Unmarshal([]byte(text), &schema); err != nil || schema["$schema"] == nil {
		t.Errorf("schema: %v", err)
	}
}

func TestConfigBypassNamesWaysAround(t *testing.T) {
	t.Parallel()
	g := prepare(t, plan{Backend: "8.8.8.8:25"})
	out := g.run(t, 1, "config", "check", "--bypass")
	if !strings.Contains(out, "8.8.8.8") || strings.Contains(out, "has the MX") {
		t.Errorf("our own MX and a public backend: %s", out)
	}
	g.Write(strings.ReplaceAll(g.plan.yaml(g.DNS.Addr()), "mx1.example.com", "mx9.example.com"))
	if out := g.run(t, 1, "config", "check", "--bypass"); !strings.Contains(out, "mx1.example.com") {
		t.Errorf("another MX: %s", out)
	}
}

func TestTraceFindsTheMessage(t *testing.T) {
	t.Parallel()
	g, _ := startBefore(t, mailtest.Script{}, plan{})
	g.mustDeliver(t, 250, "ada@example.com,bob@example.com", letter("Needle in hay", "x"))
	g.mustDeliver(t, 250, "carol@example.com", letter("Something else", "please"))
	id := sum("Needle in hay")[:12] + "@friend.example"
	find := func(args ...string) []record.Row {
		return runJSON[record.Page](t, g, 0, append([]string{"trace", "--json"}, args...)...).Rows
	}
	world.Await(t, "both are written", 15*time.Second, func() bool { return len(find()) == 2 })
	row := find("--subject", "needle")[0]
	for _, q := range []string{"--to ada@example.com", "--to bob@example.com", "--message-id " + id, "--subject needle", "--subject Needle", "--id " + row.ID} {
		if rows := find(strings.Fields(q)...); len(rows) != 1 || rows[0].Subject != "Needle in hay" || len(rows[0].To) != 2 {
			t.Errorf("%s finds %d", q, len(rows))
		}
	}
	for _, q := range []string{"--from frank@friend.example", "--from @friend.example", "--to @example.com", "--ip " + friendIP, "--ip 192.0.2.0/24"} {
		if rows := find(strings.Fields(q)...); len(rows) != 2 {
			t.Errorf("%s finds %d", q, len(rows))
		}
	}
	for _, q := range []string{"--from x@friend.example", "--ip 198.51.100.7", "--subject giraffe", "--message-id x@y", "--to dora@example.com"} {
		if rows := find(strings.Fields(q)...); len(rows) != 0 {
			t.Errorf("%s finds %d", q, len(rows))
		}
	}
	text := g.run(t, 0, "trace", "--message-id", "<"+id+">")
	for _, want := range []string{"ada@example.com", "bob@example.com", "delivered", "Needle in hay", friendIP} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
}

func TestMetricsAddUp(t *testing.T) {
	t.Parallel()
	g, b := startBefore(t, mailtest.Script{Mailboxes: []string{"ada@example.com", "bob@example.com"}}, plan{Recipients: "verify"})
	g.mustDeliver(t, 250, "ada@example.com,bob@example.com", letter("one", "x"))
	g.mustDeliver(t, 250, "ada@example.com", letter("please hold", "x"))
	g.mustDeliver(t, 550, "ada@example.com", letter("three", gtube))
	g.mustDeliver(t, 550, "nobody@example.com", letter("four", "x"))
	b.Change(func(s *mailtest.Script) {
		s.Steps = map[mailtest.Point]mailtest.Step{mailtest.AtEnd: {Reply: "451 4.3.0 later"}}
	})
	g.mustDeliver(t, 451, "ada@example.com,bob@example.com", letter("five", "x"))
	var page string
	count := func(name, label string) (n int) {
		for line := range strings.Lines(page) {
			if strings.HasPrefix(line, "postern_"+name+"{") && strings.Contains(line, label) {
				var v int
				fmt.Sscanf(line[strings.LastIndexByte(line, ' ')+1:], "%d", &v)
				n += v
			}
		}
		return n
	}
	world.Await(t, "all are counted", 10*time.Second, func() bool { _, page = g.ask(t, "/metrics"); return count("recipients_total", "") == 7 })
	if in, fates := count("recipients_total", ""), count("fates_total", ""); in != fates {
		t.Errorf("%d recipients, %d fates", in, fates)
	}
	for label, want := range map[string]int{"delivered": 2, "held": 1, "rejected": 2, "deferred": 2} {
		if got := count("fates_total", `fate="`+label+`"`); got != want {
			t.Errorf("%d %s, want %d", got, label, want)
		}
	}
	if got := count("holds", `state="held"`); got != 1 {
		t.Errorf("%d holds", got)
	}
}

func TestOneEscapedLogLinePerMessage(t *testing.T) {
	t.Parallel()
	g, _ := startBefore(t, mailtest.Script{}, plan{})
	raw := strings.Replace(letter("SUBJECT", "x"), "SUBJECT", "=?utf-8?Q?two=0D=0Alines=22,_=1B[31mred=E2=80=AE?= {\"msg\":\"message\"}", 1)
	g.mustDeliver(t, 250, "ada@example.com", raw)
	g.mustDeliver(t, 250, "bob@example.com,carol@example.com", letter("second", "x"))
	g.awaitLog(t, `"msg":"message"`, "second")
	var lines []map[string]any
	for line := range strings.Lines(g.Log()) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Errorf("not JSON: %q", line)
		}
		if v["msg"] == "message" {
			lines = append(lines, v)
		}
		if strings.ContainsAny(line, "\x1b\r") || strings.Contains(line, "\u202e") {
			t.Errorf("not escaped: %q", line)
		}
	}
	if len(lines) != 2 {
		t.Fatalf("%d lines for two messages", len(lines))
	}
	first := lines[0]
	if first["sha256"] != sum(raw) || first["from"] != "frank@friend.example" || first["ip"] != friendIP || first["action"] != "accept" || first["recipients"] != 1.0 {
		t.Errorf("logged %v", first)
	}
	if lines[1]["recipients"] != 2.0 || len(lines[1]["to"].([]any)) != 2 {
		t.Errorf("logged %v", lines[1])
	}
}

func TestDemoIsAsExpected(t *testing.T) {
	t.Parallel()
	out, errs, code := world.Run(t, world.Binary(t), "demo", "--once")
	if code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	rows := 0
	for _, line := range strings.Split(strings.TrimSpace(out), "\n")[1:] {
		if strings.HasPrefix(line, "ok ") {
			rows++
		} else if strings.TrimSpace(line) != "" {
			t.Errorf("not ok: %s", line)
		}
	}
	if rows < 10 {
		t.Errorf("%d rows", rows)
	}
}
