// Package packaging reads what people install with, strictly, and runs it: docker-compose.yml
// and the Dockerfile with Debian's programs in place of images, and the Debian package.
package packaging

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Compose is the part of the compose specification that we use; any other key is an error.
type Compose struct {
	Name     string             `yaml:"name"`
	Postern  any                `yaml:"x-postern"`
	Services map[string]Service `yaml:"services"`
	Networks map[string]Network `yaml:"networks"`
	Volumes  map[string]Volume  `yaml:"volumes"`
	Secrets  map[string]Secret  `yaml:"secrets"`
}

// Service is one container.
type Service struct {
	Image       string                `yaml:"image"`
	Build       Build                 `yaml:"build"`
	Entrypoint  []string              `yaml:"entrypoint"`
	Command     []string              `yaml:"command"`
	User        string                `yaml:"user"`
	Init        bool                  `yaml:"init"`
	Environment map[string]string     `yaml:"environment"`
	Profiles    []string              `yaml:"profiles"`
	Ports       []string              `yaml:"ports"`
	Networks    []string              `yaml:"networks"`
	Volumes     []string              `yaml:"volumes"`
	Secrets     []string              `yaml:"secrets"`
	DependsOn   map[string]Dependency `yaml:"depends_on"`
	Health      Health                `yaml:"healthcheck"`
	StopSignal  string                `yaml:"stop_signal"`
	Grace       string                `yaml:"stop_grace_period"`
	Restart     string                `yaml:"restart"`
	ReadOnly    bool                  `yaml:"read_only"`
	Tmpfs       []string              `yaml:"tmpfs"`
	CapDrop     []string              `yaml:"cap_drop"`
	SecurityOpt []string              `yaml:"security_opt"`
	Ulimits     map[string]Ulimit     `yaml:"ulimits"`
	Pids        int                   `yaml:"pids_limit"`
	Memory      string                `yaml:"mem_limit"`
	Logging     Logging               `yaml:"logging"`
}

// Build says how an image is made.
type Build struct {
	Context    string `yaml:"context"`
	Dockerfile string `yaml:"dockerfile"`
}

// Dependency says what must be true of another service before one starts.
type Dependency struct {
	Condition string `yaml:"condition"`
}

// Health is a health check.
type Health struct {
	Test     []string `yaml:"test"`
	Interval string   `yaml:"interval"`
	Timeout  string   `yaml:"timeout"`
	Start    string   `yaml:"start_period"`
	Retries  int      `yaml:"retries"`
	Disable  bool     `yaml:"disable"`
}

// Ulimit is a limit of the kernel.
type Ulimit struct {
	Soft int `yaml:"soft"`
	Hard int `yaml:"hard"`
}

// Logging is where output goes.
type Logging struct {
	Driver  string            `yaml:"driver"`
	Options map[string]string `yaml:"options"`
}

// Network is a network of the stack's own.
type Network struct {
	Internal bool `yaml:"internal"`
}

// Volume is a named volume with no options of ours.
type Volume struct{}

// Secret is a file.
type Secret struct {
	File string `yaml:"file"`
}

// ReadCompose reads and checks a file.
func ReadCompose(path string) (*Compose, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ParseCompose(src)
}

// ParseCompose reads text and checks that all names lead somewhere.
func ParseCompose(src []byte) (*Compose, error) {
	var c Compose
	if err := yaml.UnmarshalWithOptions(src, &c, yaml.Strict()); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		if err := c.check(c.Services[name]); err != nil {
			return nil, fmt.Errorf("service %s: %w", name, err)
		}
	}
	return &c, nil
}

var (
	tagged = regexp.MustCompile(`^[a-z0-9./-]+:[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	memory = regexp.MustCompile(`^[0-9]+[kmg]$`)
	port   = regexp.MustCompile(`^(?:[0-9.]+:)?[0-9]+:[0-9]+$`)
)

func (c *Compose) check(s Service) error {
	if !tagged.MatchString(s.Image) || strings.HasSuffix(s.Image, ":latest") {
		return fmt.Errorf("image %q has no tag of its own", s.Image)
	}
	if err := s.checkValues(); err != nil {
		return err
	}
	for _, n := range s.Networks {
		if _, ok := c.Networks[n]; !ok {
			return fmt.Errorf("no network %s", n)
		}
	}
	for _, n := range s.Secrets {
		if _, ok := c.Secrets[n]; !ok {
			return fmt.Errorf("no secret %s", n)
		}
	}
	for n, d := range s.DependsOn {
		other, ok := c.Services[n]
		switch {
		case !ok:
			return fmt.Errorf("depends on %s, which is no service", n)
		case d.Condition != "service_healthy" && d.Condition != "service_started":
			return fmt.Errorf("condition %q", d.Condition)
		case d.Condition == "service_healthy" && len(other.Health.Test) == 0:
			return fmt.Errorf("waits for the health of %s, which has no check", n)
		}
	}
	for _, v := range s.Volumes {
		m, err := parseMount(v)
		if err != nil {
			return err
		}
		if _, named := c.Volumes[m.From]; !named && !strings.HasPrefix(m.From, "./") {
			return fmt.Errorf("no volume %s", m.From)
		}
	}
	return nil
}

func (s Service) checkValues() error {
	for _, d := range []string{s.Grace, s.Health.Interval, s.Health.Timeout, s.Health.Start} {
		if d == "" {
			continue
		}
		if _, err := time.ParseDuration(d); err != nil {
			return err
		}
	}
	if len(s.Health.Test) > 0 && s.Health.Test[0] != "CMD" {
		return fmt.Errorf("health check %q: only CMD needs no shell", s.Health.Test[0])
	}
	if s.Memory != "" && !memory.MatchString(s.Memory) {
		return fmt.Errorf("mem_limit %q", s.Memory)
	}
	if !slices.Contains([]string{"", "no", "always", "on-failure", "unless-stopped"}, s.Restart) {
		return fmt.Errorf("restart %q", s.Restart)
	}
	for _, p := range s.Ports {
		if !port.MatchString(p) {
			return fmt.Errorf("port %q", p)
		}
	}
	return nil
}

// mount is one line of volumes.
type mount struct {
	From, To string
	ReadOnly bool
}

func parseMount(text string) (mount, error) {
	parts := strings.Split(text, ":")
	ro := len(parts) == 3 && parts[2] == "ro"
	if len(parts) < 2 || len(parts) > 3 || len(parts) == 3 && !ro || !filepath.IsAbs(parts[1]) {
		return mount{}, fmt.Errorf("volume %q", text)
	}
	return mount{parts[0], parts[1], ro}, nil
}

// Enabled are the services of a profile in the order in which they start: each after those it
// depends on.
func (c *Compose) Enabled(profile string) ([]string, error) {
	var order []string
	state := map[string]int{} // 1 = on the way, 2 = placed
	var place func(string) error
	place = func(name string) error {
		switch state[name] {
		case 1:
			return fmt.Errorf("%s depends on itself", name)
		case 2:
			return nil
		}
		state[name] = 1
		for _, d := range slices.Sorted(maps.Keys(c.Services[name].DependsOn)) {
			if err := place(d); err != nil {
				return err
			}
		}
		state[name] = 2
		order = append(order, name)
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		if p := c.Services[name].Profiles; len(p) > 0 && !slices.Contains(p, profile) {
			continue
		}
		if err := place(name); err != nil {
			return nil, err
		}
	}
	return order, nil
}
