package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"postern/cmd/postern/app"
)

// version is what this program calls itself; a build from a tagged module knows better.
const version = "0.1.0"

type versionCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
}

func thisVersion() versionInfo {
	v := versionInfo{Version: version, Go: runtime.Version()}
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, s := range b.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value
			}
		}
	}
	return v
}

// Run prints the version.
func (c *versionCmd) Run(a *app.App) error {
	v := thisVersion()
	if c.JSON {
		return a.JSON(v)
	}
	_, err := fmt.Fprintf(a.Stdout, "postern %s (%s)\n", v.Version, v.Go)
	return err
}
