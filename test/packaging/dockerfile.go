package packaging

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// Dockerfile is a file of stages.
type Dockerfile struct {
	Stages []Stage
}

// Stage is what follows one FROM.
type Stage struct {
	From, Name string
	Run        []string
	Copy       []Copy
	User       string
	Env        map[string]string
	Entrypoint []string
	Cmd        []string
	Health     []string // the words of CMD
	StopSignal string
	Volumes    []string
	Expose     []string
}

// Copy is one COPY.
type Copy struct {
	Stage, Owner string
	From         []string
	To           string
}

// ReadDockerfile reads a file; an instruction that is not known here is an error.
func ReadDockerfile(path string) (*Dockerfile, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ParseDockerfile(string(src))
}

// ParseDockerfile reads text.
func ParseDockerfile(src string) (*Dockerfile, error) {
	var d Dockerfile
	joined := strings.ReplaceAll(src, "\\\n", " ")
	for n, line := range strings.Split(joined, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		if word == "FROM" {
			from, name, _ := strings.Cut(rest, " AS ")
			d.Stages = append(d.Stages, Stage{From: from, Name: name, Env: map[string]string{}})
			continue
		}
		if len(d.Stages) == 0 {
			return nil, fmt.Errorf("instruction %d: %s before FROM", n, word)
		}
		if err := d.Stages[len(d.Stages)-1].add(word, rest); err != nil {
			return nil, fmt.Errorf("instruction %d: %w", n, err)
		}
	}
	return &d, nil
}

func (s *Stage) add(word, rest string) (err error) {
	switch word {
	case "RUN":
		s.Run = append(s.Run, rest)
	case "COPY":
		err = s.addCopy(rest)
	case "USER":
		s.User = rest
	case "ENV":
		k, v, ok := strings.Cut(rest, "=")
		if !ok {
			return fmt.Errorf("ENV %s", rest)
		}
		s.Env[k] = v
	case "ENTRYPOINT":
		err = json.Unmarshal([]byte(rest), &s.Entrypoint)
	case "CMD":
		err = json.Unmarshal([]byte(rest), &s.Cmd)
	case "HEALTHCHECK":
		_, list, ok := strings.Cut(rest, " CMD ")
		if !ok {
			return fmt.Errorf("HEALTHCHECK %s", rest)
		}
		err = json.Unmarshal([]byte(list), &s.Health)
	case "STOPSIGNAL":
		s.StopSignal = rest
	case "VOLUME":
		s.Volumes = append(s.Volumes, strings.Fields(rest)...)
	case "EXPOSE":
		s.Expose = append(s.Expose, strings.Fields(rest)...)
	case "WORKDIR", "LABEL":
	default:
		return fmt.Errorf("unknown instruction %s", word)
	}
	return err
}

func (s *Stage) addCopy(rest string) error {
	var c Copy
	words := strings.Fields(rest)
	for len(words) > 0 && strings.HasPrefix(words[0], "--") {
		flag, value, _ := strings.Cut(words[0], "=")
		switch flag {
		case "--from":
			c.Stage = value
		case "--chown":
			c.Owner = value
		default:
			return fmt.Errorf("COPY %s", flag)
		}
		words = words[1:]
	}
	if len(words) < 2 {
		return fmt.Errorf("COPY %s", rest)
	}
	c.From, c.To = words[:len(words)-1], words[len(words)-1]
	s.Copy = append(s.Copy, c)
	return nil
}

// Final is the stage that becomes the image.
func (d *Dockerfile) Final() Stage { return d.Stages[len(d.Stages)-1] }
