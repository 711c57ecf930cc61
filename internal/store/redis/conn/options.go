package conn

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
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
}

// DefaultPrefix is in front of every key.
const DefaultPrefix = "postern"

// Times of the connection. A lookup that takes longer is not worth waiting for.
const (
	LookupTime = 50 * time.Millisecond
	WriteTime  = 10 * time.Second
	dialTime   = 500 * time.Millisecond
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

// client makes the client; nothing is dialled yet. Its own retries and notifications are off
// where they would hide a fault or prolong it.
func (o Options) client() (redis.UniversalClient, error) {
	if len(o.Addrs) == 0 {
		return nil, errors.New("redis: no address")
	}
	addrs := make([]string, len(o.Addrs))
	for i, a := range o.Addrs {
		addrs[i] = strings.TrimPrefix(a, "unix:")
	}
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: addrs, MasterName: o.Sentinel, IsClusterMode: o.Cluster,
		Username: o.User, Password: o.Password, SentinelUsername: o.SentinelUser, SentinelPassword: o.SentinelPassword,
		Protocol: 2, DisableIdentity: true, TLSConfig: o.TLS,
		ContextTimeoutEnabled: true, MaxRetries: 1, MinRetryBackoff: 5 * time.Millisecond, MaxRetryBackoff: 50 * time.Millisecond,
		DialTimeout: dialTime, DialerRetries: 1, ReadTimeout: WriteTime, WriteTimeout: WriteTime,
		PoolSize: o.Pool, PoolTimeout: WriteTime, ConnMaxIdleTime: 5 * time.Minute,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}), nil
}
