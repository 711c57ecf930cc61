package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/setup"
	"postern/internal/config"
	"postern/internal/dns"
)

type configCmd struct {
	Check  configCheckCmd  `cmd:"" help:"Check the configuration and the rules."`
	Print  configPrintCmd  `cmd:"" help:"Print the configuration in effect."`
	Schema configSchemaCmd `cmd:"" help:"Print the JSON Schema."`
	Limits configLimitsCmd `cmd:"" help:"Print every limit."`
}

type configCheckCmd struct {
	File    string `arg:"" optional:"" help:"The file; by default that of --config."`
	Against string `placeholder:"FILE" help:"Name the keys that differ from this earlier file; by default from what the running gateway has."`
	Bypass  bool   `help:"Also look for ways around us: MX names that are not ours, backends on public addresses."`
}

// Run prints everything wrong; warnings alone are exit 0.
func (c *configCheckCmd) Run(a *app.App) error {
	path := a.Config
	if c.File != "" {
		path = c.File
	}
	cfg, err := config.Load(path)
	if err != nil {
		return &app.Exit{Code: app.Finding, Err: err}
	}
	set, err := app.LoadRules(cfg.Rules.Dir)
	if err != nil {
		return &app.Exit{Code: app.Finding, Err: err}
	}
	for _, w := range slices.Concat(cfg.Warnings(), setup.Beneath(cfg), setup.UnknownSymbols(cfg, set)) {
		fmt.Fprintln(a.Stdout, "warning:", w)
	}
	wrong := 0
	for _, err := range setup.Beside(cfg) {
		wrong++
		fmt.Fprintln(a.Stderr, app.Clean(err.Error()))
	}
	for _, p := range set.Check() {
		wrong++
		fmt.Fprintln(a.Stderr, app.Clean(p.Error()))
	}
	if c.Bypass {
		ways, err := bypass(a.Ctx, cfg)
		if err != nil {
			return err
		}
		for _, w := range ways {
			wrong++
			fmt.Fprintln(a.Stdout, "way around us:", app.Clean(w))
		}
	}
	if err := c.differ(a, path, cfg); err != nil {
		return err
	}
	if wrong > 0 {
		return app.Findf("%s: %d things are wrong", path, wrong)
	}
	fmt.Fprintf(a.Stdout, "%s is fine: %d listeners, %d backends, %d routes\n", path, len(cfg.Listeners), len(cfg.Backends), len(cfg.Routes))
	return nil
}

// bypass names the ways by which mail can reach the servers behind without passing here.
func bypass(ctx context.Context, cfg *config.Config) ([]string, error) {
	r, err := dns.New(setup.DNSConfig(cfg))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var ways []string
	for domain := range cfg.Routes {
		if strings.HasPrefix(domain, "*.") {
			continue
		}
		mxs, err := r.MX(ctx, domain)
		if err != nil {
			ways = append(ways, fmt.Sprintf("the MX of %s could not be asked: %v", domain, err))
			continue
		}
		for _, mx := range mxs {
			if host := strings.TrimSuffix(strings.ToLower(mx.Host), "."); host != strings.ToLower(cfg.Hostname) {
				ways = append(ways, fmt.Sprintf("%s has the MX %s, which is not %s: mail can arrive there unchecked unless that is another of our gateways", domain, host, cfg.Hostname))
			}
		}
	}
	for name, pool := range cfg.Backends {
		if name == cfg.Egress {
			continue
		}
		for _, b := range pool {
			ways = append(ways, publicAddresses(ctx, r, name, b.Addr)...)
		}
	}
	slices.Sort(ways)
	return ways, nil
}

func publicAddresses(ctx context.Context, r *dns.Resolver, name, addr string) []string {
	host := addr[:max(strings.LastIndexByte(addr, ':'), 0)]
	host = strings.Trim(host, "[]")
	var ips []netip.Addr
	if ip, err := netip.ParseAddr(host); err == nil {
		ips = []netip.Addr{ip}
	} else if ips, err = r.IPs(ctx, host); err != nil {
		return []string{fmt.Sprintf("backend %s: the address of %s could not be asked: %v", name, host, err)}
	}
	var ways []string
	for _, ip := range ips {
		if !ip.IsPrivate() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			ways = append(ways, fmt.Sprintf("backend %s (%s) has the public address %s: firewall its port 25 so that only we reach it", name, addr, ip))
		}
	}
	return ways
}

type configPrintCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run prints the effective configuration.
func (c *configPrintCmd) Run(a *app.App) error {
	cfg, err := config.Load(a.Config)
	if err != nil {
		return err
	}
	if c.JSON {
		return a.JSON(cfg)
	}
	return cfg.Print(a.Stdout)
}

type configSchemaCmd struct{}

// Run prints the schema.
func (c *configSchemaCmd) Run(a *app.App) error {
	b, err := config.Schema()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Stdout, "%s\n", b)
	return err
}
