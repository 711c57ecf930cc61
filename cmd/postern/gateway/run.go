package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"postern/cmd/postern/gateway/ports"
	"postern/cmd/postern/gateway/watch"
	"postern/internal/stamp/keys"
)

// DrainTime is how long transactions past their final dot may take after the end was asked
// for.
const DrainTime = 25 * time.Second

// Addrs are where a running gateway listens: by listener name, and "admin".
type Addrs map[string]net.Addr

// Run listens, says where through ready, and serves until ctx ends; then it drains. The
// error is what kept it from listening, or a listener that broke.
func (g *Gateway) Run(ctx context.Context, ready func(Addrs)) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	files, err := g.watchFiles()
	if err != nil {
		return err
	}
	defer files.Close()
	handlers, web, err := g.Handlers()
	if err != nil {
		return err
	}
	listeners, addrs, err := g.listen(ctx)
	if err != nil {
		return err
	}
	beside, err := ports.Open(ctx, ports.Parts{Config: g.cfg.Load(), Socket: Socket, Connectors: g.desk.Connectors, Log: g.log, Certificate: g.certificate}, addrs)
	if err != nil {
		closeAll(listeners)
		return err
	}
	var wg sync.WaitGroup
	broke := make(chan error, len(listeners)+32)
	background := func(name string, f func(context.Context) error) {
		wg.Go(func() {
			if err := f(work); err != nil && !errors.Is(err, context.Canceled) {
				broke <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	beside.Serve(handlers, background)
	background("sessions", web.Run)
	for name, loop := range g.desk.Loops(beside.Around) {
		background(name, loop)
	}
	background("store work", g.care.Run)
	background("reload", files.Run)
	g.startLoops(ctx, background)
	var serving sync.WaitGroup
	for _, l := range listeners {
		serving.Go(func() {
			if err := g.smtp.Serve(work, l.listener, l.Listener); err != nil {
				broke <- fmt.Errorf("listener %s: %w", l.listener.Name, err)
			}
		})
	}
	g.service.Doors(addrs)
	ready(addrs)
	select {
	case <-ctx.Done():
		err = nil
	case err = <-broke:
	}
	g.log.Info("draining")
	g.drain(work)
	serving.Wait()
	stop()
	wg.Wait()
	return err
}

func (g *Gateway) watchFiles() (*watch.Watch, error) {
	return watch.New(watch.Parts{
		Dirs: g.watched, Read: g.opt.Read, Log: g.log,
		Reload: func(ctx context.Context) { _ = g.Reload(ctx) }, // said and kept as an alert
	})
}

func (g *Gateway) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, DrainTime)
	defer cancel()
	if err := g.smtp.Drain(ctx); err != nil {
		g.log.Warn("sessions were cut off at the end of the drain", "err", err)
	}
}

// startLoops starts what runs on its own clock.
func (g *Gateway) startLoops(ctx context.Context, background func(string, func(context.Context) error)) {
	if g.scanner != nil {
		background("clamav", g.scanner.Run)
	}
	for name, loop := range g.checks.Loops() {
		background(name, loop)
	}
	for name, loop := range g.home.Loops {
		background(name, loop)
	}
	g.pools.Warm(ctx)
	background("backends", func(ctx context.Context) error { g.pools.Run(ctx); return nil })
	background("outbox", func(ctx context.Context) error { g.outbox.Run(ctx); return nil })
	background("quarantine", g.tend)
	background("trace keys", g.outbound.Run)
	background("dkim keys", g.keyWatch().Run)
	background("report counts", g.reports.Count)
	background("reports", g.reports.Send)
	background("backups", g.backups.Run)
	background("service", g.service.Loop)
	background("credits", g.service.Owe)
	background("figures", g.figures.Book.Loop)
	background("rules", g.ruling.Run)
	background("test inbox", g.inbox.Run)
	background("refused looks", g.door.Looks.Run)
}

// keyWatch sees when the record of a new key is in the DNS.
func (g *Gateway) keyWatch() *keys.Watch {
	return &keys.Watch{Store: g.keys, Resolver: g.resolver, Alert: g.event, Log: g.log, Changed: func(ctx context.Context, c keys.Change) error {
		return g.dkim().Changed(ctx, "postern", "its record is in the DNS", c)
	}}
}
