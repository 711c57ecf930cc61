package packaging

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/gateway"
	"postern/internal/config"
	"postern/internal/mailtest"
)

func compose(t *testing.T) *Compose {
	t.Helper()
	c, err := ReadCompose(filepath.Join(mailtest.ModuleRoot(t), "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryServiceIsConfined(t *testing.T) {
	c := compose(t)
	for name, s := range c.Services {
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s is not confined: read_only %t, cap_drop %v, security_opt %v", name, s.ReadOnly, s.CapDrop, s.SecurityOpt)
		}
		if s.User == "" || strings.HasPrefix(s.User, "root") || strings.HasPrefix(s.User, "0") {
			t.Errorf("%s runs as %q", name, s.User)
		}
		if s.Restart == "" || s.Memory == "" || s.Logging.Options["max-size"] == "" {
			t.Errorf("%s has no restart, memory or log bound", name)
		}
		if len(s.Health.Test) == 0 && !s.Health.Disable {
			t.Errorf("%s has no health check", name)
		}
		for k := range s.Environment {
			if strings.Contains(strings.ToLower(k), "pass") || strings.Contains(strings.ToLower(k), "key") {
				t.Errorf("%s has a secret in its environment: %s", name, k)
			}
		}
	}
	if !c.Networks["inner"].Internal {
		t.Error("the inner network leads outside")
	}
	for _, name := range []string{"redis", "clamav"} {
		if s := c.Services[name]; len(s.Ports) > 0 || !slices.Equal(s.Networks, []string{"inner"}) {
			t.Errorf("%s can be reached from outside", name)
		}
	}
}

func TestProfiles(t *testing.T) {
	c := compose(t)
	for profile, want := range map[string]string{
		"one": "clamav freshclam redis postern", "two": "clamav freshclam redis postern-1 postern-2", "": "clamav freshclam redis",
	} {
		got, err := c.Enabled(profile)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("profile %q: %v %v", profile, got, err)
		}
	}
	one, two := c.Services["postern-1"], c.Services["postern-2"]
	if slices.Equal(one.Volumes, two.Volumes) || slices.Equal(one.Ports, two.Ports) {
		t.Error("the two nodes share state or ports")
	}
}

// Nodes of one store are told apart by their names, and by nothing else.
func TestTheNodesDifferInNameAlone(t *testing.T) {
	dir := filepath.Join(mailtest.ModuleRoot(t), "deploy/compose")
	one, err := config.Load(filepath.Join(dir, "postern.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := config.Load(filepath.Join(dir, "postern-2.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if one.Hostname == two.Hostname {
		t.Error("both nodes have one name")
	}
	var a, b strings.Builder
	if err := errors.Join(one.Print(&a), two.Print(&b)); err != nil {
		t.Fatal(err)
	}
	if strings.ReplaceAll(a.String(), one.Hostname, two.Hostname) != b.String() {
		t.Errorf("the nodes differ:\n%s\n%s", a.String(), b.String())
	}
	c := compose(t)
	if slices.Equal(c.Services["postern-1"].Volumes[1:2], c.Services["postern-2"].Volumes[1:2]) {
		t.Error("both nodes have one configuration")
	}
}

func TestGraceIsLongerThanTheDrain(t *testing.T) {
	for name, s := range compose(t).Services {
		if s.Build.Dockerfile == "" {
			continue
		}
		grace, err := time.ParseDuration(s.Grace)
		if err != nil || grace < gateway.DrainTime+5*time.Second+5*time.Second {
			t.Errorf("%s: stop_grace_period %s, the drain takes %s", name, s.Grace, gateway.DrainTime)
		}
	}
}

func TestRedisKeepsEverything(t *testing.T) {
	words := compose(t).Services["redis"].Command
	for flag, want := range map[string]string{
		"--appendonly": "yes", "--appendfsync": "always", "--no-appendfsync-on-rewrite": "no", "--maxmemory-policy": "noeviction",
	} {
		if i := slices.Index(words, flag); i < 0 || words[i+1] != want {
			t.Errorf("redis: %s is not %s", flag, want)
		}
	}
}

// The caps of bodies must stay below the memory of the store, or it is full before they are.
func TestTheConfigurationFitsTheServices(t *testing.T) {
	c := compose(t)
	cfg, err := config.Load(filepath.Join(mailtest.ModuleRoot(t), "deploy/compose/postern.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	words := c.Services["redis"].Command
	var most config.Size
	if err := most.UnmarshalText([]byte(strings.ToUpper(words[slices.Index(words, "--maxmemory")+1]))); err != nil {
		t.Fatal(err)
	}
	caps := cfg.Store.Caps
	if sum := caps.Holds + caps.Evidence + caps.Outbox + caps.Traffic; float64(sum) > 0.85*float64(most) {
		t.Errorf("the caps sum up to %v, and Redis has %v", sum, most)
	}
	for _, path := range []string{cfg.Store.Password, cfg.Store.KeyFile} {
		if name, ok := strings.CutPrefix(path, "/run/secrets/"); !ok || !slices.Contains(c.Services["postern"].Secrets, name) {
			t.Errorf("%s is no secret of the service", path)
		}
	}
	for _, name := range []string{"postern", "postern-1", "postern-2"} {
		found := false
		for _, v := range c.Services[name].Volumes {
			m, err := parseMount(v)
			found = found || err == nil && m.To == cfg.State && !m.ReadOnly
		}
		if !found {
			t.Errorf("%s: the state folder %s is no volume", name, cfg.State)
		}
	}
}

func TestBadComposeFilesAreRefused(t *testing.T) {
	good := "services:\n  a:\n    image: x:1\n"
	if _, err := ParseCompose([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"an unknown key":       good + "    privilged: true\n",
		"no tag":               "services: {a: {image: x}}",
		"latest":               "services: {a: {image: 'x:latest'}}",
		"an unknown network":   good + "    networks: [n]\n",
		"an unknown volume":    good + "    volumes: ['v:/v']\n",
		"an unknown secret":    good + "    secrets: [s]\n",
		"an unknown service":   good + "    depends_on: {b: {condition: service_healthy}}\n",
		"health without check": good + "    depends_on: {b: {condition: service_healthy}}\n  b: {image: 'x:1'}\n",
		"a bad duration":       good + "    stop_grace_period: soon\n",
		"a shell":              good + "    healthcheck: {test: [CMD-SHELL, 'true']}\n",
		"a bad port":           good + "    ports: ['smtp']\n",
		"a twice named key":    good + "    image: y:1\n",
	} {
		if _, err := ParseCompose([]byte(text)); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestCirclesAreRefused(t *testing.T) {
	c, err := ParseCompose([]byte(`services:
  a: {image: 'x:1', depends_on: {b: {condition: service_started}}}
  b: {image: 'x:1', depends_on: {a: {condition: service_started}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Enabled(""); err == nil {
		t.Error("a circle has an order")
	}
}

func TestDockerfile(t *testing.T) {
	d, err := ReadDockerfile(filepath.Join(mailtest.ModuleRoot(t), "deploy/Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	f, svc := d.Final(), compose(t).Services["postern"]
	if f.User != svc.User || !slices.Equal(f.Health, svc.Health.Test[1:]) || f.StopSignal != svc.StopSignal || !slices.Equal(f.Cmd, svc.Command) {
		t.Errorf("the Dockerfile and docker-compose.yml differ: %+v %+v", f, svc)
	}
	if !maps.Equal(f.Env, svc.Environment) {
		t.Errorf("environment: %v %v", f.Env, svc.Environment)
	}
	for _, p := range svc.Ports {
		if inside := p[strings.LastIndex(p, ":")+1:]; !slices.Contains(f.Expose, inside) {
			t.Errorf("port %s is not exposed", inside)
		}
	}
	for _, bad := range []string{"RUN x", "FROM x\nADD a b", "FROM x\nCMD serve", "FROM x\nCOPY --link a b", "FROM x\nCOPY a"} {
		if _, err := ParseDockerfile(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}
