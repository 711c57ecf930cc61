package conn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"time"

	"postern/internal/store/redis/conn/guard"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Options say where Redis is and who we are there.
type Options struct {
	Addrs    []string // host:port or unix:/path; of a single server, the sentinels, or some of the cluster
	Sentinel string   // name of the master that the sentinels at Addrs watch
	Cluster  bool     // Addrs are nodes of a cluster; taken for granted for more than one without Sentinel
	User     string
	Password string
	// SentinelUser and SentinelPassword are for the sentinels themselves.
	SentinelUser, SentinelPassword string
	TLS                            *tls.Config // nil: none
	Prefix                         string      // of every key and channel; "" = "postern"
	Pool                           int         // connections at most; 0 = 32
	Log                            *slog.Logger
	Now                            func() time.Time
	// Admit is asked before anything is done in the store, and again once it was away: whether it
	// is ours at all. nil: nobody is asked.
	Admit func(ctx context.Context, r redis.UniversalClient) error
}

// DefaultPrefix is in front of every key.
const DefaultPrefix = "postern"

// Times of the connection. A lookup that takes longer is not worth waiting for.
const (
	LookupTime = 50 * time.Millisecond
	WriteTime  = 10 * time.Second
	dialTime   = time.Second

	// sentinelTime is how long a sentinel may take: it knows the answer by heart, and another
	// one is asked after it.
	sentinelTime = 200 * time.Millisecond
)

func (o Options) filled() Options {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Pool <= 0 {
		o.Pool = 32
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// prefixes are what key names may begin with: braces would move keys to other slots, other
// signs mean something in the rights of the server.
var prefixes = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// client makes the client; nothing is dialled yet. Its own retries, notifications and log are
// off: they would hide a fault, prolong it or flood.
func (o Options) client() (redis.UniversalClient, error) {
	switch {
	case len(o.Addrs) == 0:
		return nil, errors.New("redis: no address")
	case !prefixes.MatchString(o.Prefix):
		return nil, fmt.Errorf("redis: prefix %q: want 1 to 64 letters, digits, \".\", \"_\" or \"-\"", o.Prefix)
	case o.Cluster && o.Sentinel != "":
		return nil, errors.New("redis: either a cluster or sentinels")
	}
	logging.Disable()
	addrs := make([]string, len(o.Addrs))
	for i, a := range o.Addrs {
		addrs[i] = strings.TrimPrefix(a, "unix:")
	}
	u := &redis.UniversalOptions{
		Addrs: addrs, MasterName: o.Sentinel,
		Username: o.User, Password: o.Password, SentinelUsername: o.SentinelUser, SentinelPassword: o.SentinelPassword,
		Protocol: 2, DisableIdentity: true, TLSConfig: o.TLS, Dialer: o.dial,
		ContextTimeoutEnabled: true, MaxRetries: -1, MinRetryBackoff: 5 * time.Millisecond, MaxRetryBackoff: 50 * time.Millisecond,
		DialTimeout: dialTime, DialerRetries: 1, ReadTimeout: WriteTime, WriteTimeout: WriteTime,
		PoolSize: o.Pool, PipelinePoolSize: -1, PoolTimeout: WriteTime, ConnMaxIdleTime: 5 * time.Minute,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	switch {
	case o.Sentinel != "":
		f := u.Failover()
		f.ReadTimeout, f.WriteTimeout = sentinelTime, sentinelTime
		return redis.NewFailoverClient(f).WithTimeout(WriteTime), nil
	case o.Cluster || len(addrs) > 1:
		l := u.Cluster()
		l.DisableRoutingPolicies = true // they ask a node for all its commands, for 5 s, whatever time the call has
		return redis.NewClusterClient(l), nil
	}
	return redis.NewClient(u.Simple()), nil
}

// dial makes a connection within the time of the context, TLS and all.
func (o Options) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{KeepAlive: 30 * time.Second}
	c, err := d.DialContext(ctx, network, addr)
	if err != nil || o.TLS == nil {
		if err != nil {
			return nil, err
		}
		return guard.Conn(c), nil
	}
	config := o.TLS
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			host = addr
		}
		config = config.Clone()
		config.ServerName = host
	}
	t := tls.Client(c, config)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return guard.Conn(t), nil
}
