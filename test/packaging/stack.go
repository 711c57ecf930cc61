package packaging

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"postern/internal/mailtest"
)

// Stack is what docker compose up would start, on loopback.
type Stack struct {
	Compose    *Compose
	Containers map[string]*Container
	Order      []string

	root    string // of the checkout
	dir     string
	secrets string
	image   Image
	ports   map[string]int // service:port -> ours
	files   func(text string) string
	volumes map[string]bool
}

// Root fails or skips where no namespaces can be made: it needs to be root.
func Root(t testing.TB) {
	t.Helper()
	err := exec.Command("unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/mnt").Run()
	if err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("mount namespaces are needed: %v", err)
	}
	t.Skipf("containers were NOT tried: mount namespaces need root: %v", err)
}

// NewStack prepares a profile; files changes configuration files further.
func NewStack(t testing.TB, profile string, image Image, files func(string) string) *Stack {
	t.Helper()
	root := mailtest.ModuleRoot(t)
	c, err := ReadCompose(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "stack")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &Stack{
		Compose: c, Containers: map[string]*Container{}, root: root, dir: dir, secrets: filepath.Join(dir, "secrets"), image: image,
		ports: map[string]int{}, files: files, volumes: map[string]bool{},
	}
	if out, err := exec.Command(filepath.Join(root, "deploy/compose/secrets.sh"), s.secrets).CombinedOutput(); err != nil {
		t.Fatalf("secrets.sh: %v: %s", err, out)
	}
	if s.Order, err = c.Enabled(profile); err != nil {
		t.Fatal(err)
	}
	for _, name := range s.Order {
		if err := s.prepare(name); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return s
}

// Start starts the services in their order, each when what it waits for is healthy, and waits
// until all are.
func (s *Stack) Start(t testing.TB) {
	t.Helper()
	for _, name := range s.Order {
		for d, how := range s.Compose.Services[name].DependsOn {
			if how.Condition == "service_healthy" {
				s.Containers[d].Healthy(t)
			}
		}
		s.Containers[name].Run(t)
	}
	for _, name := range s.Order {
		if len(s.Containers[name].health) > 0 {
			s.Containers[name].Healthy(t)
		}
	}
}

// Addr is where a port of a container is reached.
func (s *Stack) Addr(service, port string) string {
	return "127.0.0.1:" + strconv.Itoa(s.ports[service+":"+port])
}

// Volume is the folder of a named volume.
func (s *Stack) Volume(name string) string { return filepath.Join(s.dir, "volumes", name) }

var ownPort = regexp.MustCompile(`"?:?\b(1025|1587|9925|6379|3310)\b"?`)

// words changes addresses in text of a service to where they are on this machine.
func (s *Stack) words(service, text string) string {
	for _, other := range []string{"redis:6379", "clamav:3310"} {
		name, port, _ := strings.Cut(other, ":")
		text = strings.ReplaceAll(text, other, "127.0.0.1:"+s.port(name, port))
	}
	text = ownPort.ReplaceAllStringFunc(text, func(m string) string {
		bare := strings.Trim(m, `":`)
		if ours := s.port(service, bare); strings.Contains(m, ":") {
			return `"127.0.0.1:` + ours + `"`
		} else {
			return strings.Replace(m, bare, ours, 1)
		}
	})
	return strings.ReplaceAll(text, "0.0.0.0", "127.0.0.1")
}

func (s *Stack) port(service, port string) string {
	key := service + ":" + port
	if s.ports[key] == 0 {
		p, err := mailtest.FreePort()
		if err != nil {
			return port // it will not be reached, which the test says
		}
		s.ports[key] = p
	}
	return strconv.Itoa(s.ports[key])
}

func (s *Stack) prepare(name string) error {
	svc := s.Compose.Services[name]
	c := &Container{Name: name, svc: svc, root: filepath.Join(s.dir, "roots", name), env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}
	if err := os.MkdirAll(c.root, 0o755); err != nil {
		return err
	}
	entry, command, health, who := svc.Entrypoint, svc.Command, svc.Health.Test, svc.User
	if svc.Build.Dockerfile != "" {
		c.image = s.image
		for k, v := range s.image.Stage.Env {
			c.env = append(c.env, k+"="+v)
		}
		if entry == nil {
			entry = s.image.Stage.Entrypoint
		}
	}
	for _, k := range slices.Sorted(maps.Keys(svc.Environment)) {
		c.env = append(c.env, k+"="+svc.Environment[k])
	}
	if err := c.owner(who); err != nil {
		return err
	}
	for _, w := range append(slices.Clone(entry), command...) {
		c.Words = append(c.Words, s.words(name, w))
	}
	if len(health) > 0 {
		for _, w := range health[1:] {
			c.health = append(c.health, s.words(name, w))
		}
	}
	s.Containers[name] = c
	return s.mounts(c)
}

func (s *Stack) mounts(c *Container) error {
	for _, text := range c.svc.Tmpfs {
		at, options, _ := strings.Cut(text, ":")
		c.mounts = append(c.mounts, "tmpfs "+at+" "+options)
	}
	for _, text := range c.svc.Volumes {
		m, err := parseMount(text)
		if err != nil {
			return err
		}
		from, how := s.Volume(m.From), "rw"
		if strings.HasPrefix(m.From, "./") {
			from, err = s.file(c.Name, m.From)
		} else {
			err = s.volume(c, m)
		}
		if err != nil {
			return err
		}
		if m.ReadOnly {
			how = "ro"
		}
		c.mounts = append(c.mounts, fmt.Sprintf("bind %s %s %s", from, m.To, how))
	}
	for _, name := range c.svc.Secrets {
		from := filepath.Join(s.secrets, filepath.Base(s.Compose.Secrets[name].File))
		c.mounts = append(c.mounts, fmt.Sprintf("bind %s /run/secrets/%s ro", from, name))
	}
	return nil
}

// file copies a file or folder of the checkout with its addresses changed.
func (s *Stack) file(service, from string) (string, error) {
	to := filepath.Join(s.dir, "files", service, filepath.Base(from))
	src := filepath.Join(s.root, from)
	info, err := os.Stat(src)
	if err != nil {
		return "", err
	}
	if info.IsDir() {
		return to, os.MkdirAll(to, 0o755)
	}
	text, err := os.ReadFile(src)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return "", err
	}
	return to, os.WriteFile(to, []byte(s.files(s.words(service, string(text)))), 0o644)
}

// volume makes a named volume. A new one takes owner and mode of the image's folder; Debian's
// stand-ins belong to the user of the service, as in the images they stand for.
func (s *Stack) volume(c *Container, m mount) error {
	dir := s.Volume(m.From)
	if s.volumes[m.From] {
		return nil
	}
	s.volumes[m.From] = true
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if c.image.Dir != "" {
		out, err := exec.Command("cp", "-a", filepath.Join(c.image.Dir, m.To), dir).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Chown(dir, c.UID, c.GID)
}
