package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postern/internal/config"
)

func example(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "deploy", "postern.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTheExampleIsTheShape(t *testing.T) {
	c, err := config.Parse("postern.yaml", example(t))
	if err != nil {
		t.Fatal(err)
	}
	if c.Listeners[0].Framing != "refuse" || c.Listeners[2].Framing != "normalize" || c.Auth.AuthservID != "mx1.example.com" ||
		c.Backends["mail"][0].Protocol != "smtp" || c.Limits.Message != 50e6 || c.Routes["*.example.com"].Recipients != "any" {
		t.Errorf("%+v", c)
	}
	w := strings.Join(c.Warnings(), "\n")
	if !strings.Contains(w, "stream_max") || strings.Contains(w, "alerts go") {
		t.Errorf("warnings: %s", w)
	}
}

func TestPrintReadsBackToTheSame(t *testing.T) {
	c, err := config.Parse("postern.yaml", example(t))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	again, err := config.Parse("printed", b.Bytes())
	if err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	cmpPrefix := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	if d := cmp.Diff(c, again, cmpPrefix, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
}

func TestEveryMistakeIsNamedWithItsPlace(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"unknown key":      {"per_ip: 50", "per_pi: 50", `:33:3: unknown key "per_pi"; did you mean "per_ip"?`},
		"no host":          {"hostname: mx1.example.com", "hostname: \"\"", "hostname is missing"},
		"bad host":         {"hostname: mx1.example.com", "hostname: \"a b\"", `:3:11: "a b" is no host name`},
		"home":             {"{home: local}", "{home: disk}", `"disk" is not one of local`},
		"kind":             {"kind: inbound", "kind: mx", `"mx" is not one of inbound, submission, smarthost`},
		"port":             {`addr: ":25"`, `addr: ":smtp"`, `":smtp" is no address with a port`},
		"twice":            {`addr: ":587"`, `addr: ":25"`, "two listeners on :25"},
		"same name":        {"name: submission", "name: mx", `a second listener named "mx"`},
		"half a cert":      {"cert: /etc/postern/mx.pem, key: /etc/postern/mx.key}\n    proxy", "cert: /etc/postern/mx.pem}\n    proxy", "cert and key go together"},
		"clear submission": {"{addr: \"10.0.0.5:587\", tls: required}", "{addr: \"10.0.0.5:587\"}", "passwords are replayed"},
		"open relay":       {"networks: [10.0.0.0/24]", "networks: [0.0.0.0/0]", "that would be an open relay"},
		"anybody":          {"networks: [10.0.0.0/24]", "networks: []", "anybody could relay"},
		"bits behind":      {"10.0.0.0/24", "10.0.0.1/24", "has bits set behind its length; write 10.0.0.0/24"},
		"no egress":        {"egress: out", "", "needs egress"},
		"egress":           {"egress: out", "egress: nowhere", `there is no backend "nowhere"`},
		"route":            {"backend: mail, recipients: verify", "backend: male, recipients: verify", `there is no backend "male"`},
		"mode":             {"recipients: verify", "recipients: check", `"check" is not one of verify, file, any`},
		"file":             {"recipients: verify", "recipients: file", "recipients: file and file: PATH go together"},
		"upper case":       {"  example.com: {", "  Example.com: {", "lower case"},
		"duration":         {"idle: 60s", "idle: 60", `"60" is no duration`},
		"size":             {"message: 50MB", "message: 50 MB", `"50 MB" is no size`},
		"small flight":     {"in_flight: 512MB", "in_flight: 1MB", "smaller than one message"},
		"zero":             {"errors: 10", "errors: 0", "errors must be larger than 0"},
		"recipients":       {"recipients: 200", "recipients: 50", "at least 100 recipients"},
		"rate":             {"account: {hour", "acount: {hour", "rates are by ip"},
		"password":         {`tls: required, auth:`, `auth:`, "a password goes only over tls: required"},
		"protocol":         {"protocol: smtp", "protocol: uucp", `"uucp" is not one of smtp, lmtp`},
		"dns":              {"servers: []", "servers: [resolver]", `"resolver" is no address`},
		"socket":           {"unix:/run", "unix:run", "a Unix socket is written unix:/path"},
		"on error":         {"on_error: defer", "on_error: reject", `"reject" is not one of accept, tag`},
		"error answer":     {"127.0.0.2: RBL_SBL", "127.255.255.254: RBL_SBL", "is an error answer, never a listing"},
		"not a code":       {"127.0.0.2: RBL_SBL", "10.0.0.1: RBL_SBL", "is no answer of a list"},
		"symbol":           {"RBL_SBL", "sbl", `"sbl" is no symbol`},
		"alert":            {"[postmaster@example.com]", "[postmaster]", ""},
		"alert address":    {"[postmaster@example.com]", "[\"a b@c\"]", `"a b@c" is no address`},
		"level":            {"level: info", "level: loud", `"loud" is not one of debug`},
		"sealing":          {"arc_seal: false", "arc_seal: true", ""},
		"seal key":         {"arc_seal: false", "arc_seal: false, arc_domain: \"a b\"", `"a b" is no domain`},
		"author":           {"arc_seal: false", "arc_seal: false, trusted_sealers: {\"@x\": [a.example]}", `"@x" is no domain (or *)`},
		"sealer":           {"arc_seal: false", "arc_seal: false, trusted_sealers: {\"*\": [\"*\"]}", `"*" is no domain`},
		"forwarder":        {"arc_seal: false", "arc_seal: false, forwarders: [{name: uni}]", "a forwarder needs networks or hosts"},
		"any forwarder":    {"arc_seal: false", "arc_seal: false, forwarders: [{name: uni, networks: [0.0.0.0/0]}]", "0.0.0.0/0 is everybody"},
		"forwarding host":  {"arc_seal: false", "arc_seal: false, forwarders: [{name: uni, hosts: [\"*.org\"]}]", `"*.org" is no host`},
		"forwarded":        {"arc_seal: false", "arc_seal: false, forwarders: [{name: uni, hosts: [a.example], for: [\"@\"]}]", "neither an address nor a domain"},
		"no octet":         {"127.0.0.2: RBL_SBL", "127.0.0.300: RBL_SBL", "is no answer of a list"},
		"no bits":          {"127.0.0.2: RBL_SBL", "\"127.0.0.&0\": RBL_SBL", "is no answer of a list"},
		"long prefix":      {"127.0.0.2: RBL_SBL", "127.0.0.0/33: RBL_SBL", "is no answer of a list"},
		"private zone":     {"zone: zen.spamhaus.org", "zone: \"{key}.zen.spamhaus.org\"\n    key_file: /k", ""},
		"zone wants a key": {"zone: zen.spamhaus.org", "zone: \"{key}.zen.spamhaus.org\"", "{key} in the zone needs a key_file"},
		"key elsewhere":    {"zone: zen.spamhaus.org", "zone: \"zen.{key}.spamhaus.org\"", "is no zone"},
		"mask":             {"127.0.0.2: RBL_SBL", "\"127.0.0.&6\": RBL_SBL", ""},
		"stranger's own":   {"greet_pause: 0s", "greet_pause: 0s\n    senders: own", "senders belongs to submission"},
		"senders":          {"networks: [10.0.0.0/24]", "networks: [10.0.0.0/24]\n    senders: all", `"all" is not one of own, hosted, any`},
		"senders allow":    {"trusted_relays: []", "senders: {allow: {\"sales@example.com\": []}}", `nobody may write as "sales@example.com"`},
		"bare senders":     {"trusted_relays: []", "senders: {allow: {sales: [bob]}}", "neither an address nor @domain"},
		"senders key":      {"trusted_relays: []", "senders: {allow: {\"@@\": [bob]}}", "neither an address nor @domain"},
		"greylist":         {"retry_within: 48h", "retry_within: 1m", "retry_within larger than wait"},
		"reports":          {"trusted_relays: []", "reports: {send: true}", "reports that are sent need a From"},
		"report from":      {"trusted_relays: []", "reports: {from: dmarc}", `"dmarc" is no address`},
		"reports in":       {"trusted_relays: []", "reports: {receive: [dmarc]}", `"dmarc" is no address`},
		"cap":              {"cap: 20GB", "cap: 0", "cap must be larger"},
	} {
		t.Run(name, func(t *testing.T) {
			src := strings.Replace(string(example(t)), c.old, c.new, 1)
			if src == string(example(t)) {
				t.Fatalf("%q is not in the example", c.old)
			}
			_, err := config.Parse("postern.yaml", []byte(src))
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "postern.yaml") {
				t.Errorf("got %v\nwant %q", err, c.want)
			}
		})
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	_, err := config.Parse("p.yaml", []byte("hostnam: x\nlimits: {idle: x, errors: -1}\nroutes: {a.example: {backend: no}}\n"))
	if err == nil || strings.Count(err.Error(), "\n") < 4 {
		t.Errorf("%v", err)
	}
}

// A reload takes a file whole or not at all, so no mutation may crash or be half read.
func TestMutatedFiles(t *testing.T) {
	src := example(t)
	rng := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for i := range 300 {
		b := bytes.Clone(src)
		switch i % 3 {
		case 0:
			b = b[:rng.IntN(len(b))]
		case 1:
			b[rng.IntN(len(b))] = byte(rng.IntN(256))
		default:
			at := rng.IntN(len(b))
			b = append(b[:at:at], append([]byte("\n{[\"\t:"), b[at:]...)...)
		}
		c, err := config.Parse("m.yaml", b)
		if (c == nil) == (err == nil) {
			t.Fatalf("neither whole nor refused: %v", err)
		}
		if err != nil {
			refused++
			if !strings.HasPrefix(err.Error(), "m.yaml") {
				t.Errorf("no place: %v", err)
			}
		}
	}
	if refused < 150 {
		t.Errorf("only %d of 300 damaged files were refused", refused)
	}
}

func TestLoad(t *testing.T) {
	if _, err := config.Load(filepath.Join(t.TempDir(), "gone.yaml")); err == nil || !strings.Contains(err.Error(), "gone.yaml") {
		t.Errorf("%v", err)
	}
	path := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(path, bytes.Repeat([]byte("# 100 MB of nothing\n"), 5_000_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(path); err == nil || !strings.Contains(err.Error(), "at most 4194304 are read") {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(path, example(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(path); err != nil {
		t.Error(err)
	}
}

func TestSchemaNamesEveryKey(t *testing.T) {
	b, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"hostname", "greet_pause", "trusted_relays", "xclient_from", "per_64", "keep_days"} {
		if got := bytes.Contains(b, []byte(fmt.Sprintf("%q", key))); got != (key != "keep_days") {
			t.Errorf("%s in the schema: %v", key, got)
		}
	}
}

func TestValues(t *testing.T) {
	for in, want := range map[string]string{"90s": "1m30s", "24h": "1d", "7d": "7d", "5m": "5m", "12h": "12h", "0s": "0s"} {
		var d config.Duration
		if err := d.UnmarshalText([]byte(in)); err != nil || d.String() != want {
			t.Errorf("%s: %s %v", in, d, err)
		}
	}
	for in, want := range map[string]string{"64kB": "64kB", "1500": "1500", "2000000": "2MB", "20GB": "20GB", "0": "0"} {
		var s config.Size
		if err := s.UnmarshalText([]byte(in)); err != nil || s.String() != want {
			t.Errorf("%s: %s %v", in, s, err)
		}
	}
	for _, bad := range []string{"-1", "1.5MB", "x", "9999999999TB", ""} {
		var s config.Size
		if s.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("%q is read as %s", bad, s)
		}
	}
	var p config.Prefix
	if err := p.UnmarshalText([]byte("::ffff:10.0.0.1")); err != nil || p.String() != "10.0.0.1/32" {
		t.Errorf("%s %v", p, err)
	}
	if got := config.Prefixes([]config.Prefix{p}); len(got) != 1 || got[0] != p.Prefix {
		t.Error(got)
	}
}

func TestReadSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, []byte("hush\nmore"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := config.ReadSecret(path); err != nil || s != "hush" {
		t.Errorf("%q %v", s, err)
	}
	if err := os.WriteFile(path, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.ReadSecret(path); err == nil {
		t.Error("an empty secret")
	}
}
