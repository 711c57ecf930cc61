package conn

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// Hash makes a key part of what strangers wrote: 32 hex digits over the fields and their
// lengths, so that no two lists of fields are alike.
func Hash(fields ...string) string {
	buf := make([]byte, 0, 128)
	for _, f := range fields {
		buf = binary.AppendUvarint(buf, uint64(len(f)))
		buf = append(buf, f...)
	}
	sum := sha256.Sum256(buf)
	return hex.EncodeToString(sum[:16])
}

// Commands are what our user must be allowed; Rule makes a line for an ACL file of them.
var Commands = []string{
	"ping", "hello", "auth", "info", "config|get", "time", "cluster|slots", "asking",
	"get", "set", "setnx", "del", "unlink", "exists", "expire", "pexpire", "pexpireat", "persist", "ttl", "pttl", "type", "mget", "strlen", "incrby", "incr", "scan",
	"hget", "hset", "hdel", "hgetall", "hmget", "hincrby", "hlen", "hexists", "hscan", "hsetnx",
	"zadd", "zrem", "zcard", "zscore", "zrange", "zrangebyscore", "zrangebylex", "zrevrange", "zrevrangebyscore", "zrevrangebylex", "zremrangebyscore", "zcount", "zincrby", "zscan",
	"rpush", "lrange", "llen", "lindex", "ltrim", "sadd", "srem", "smembers", "sscan",
	"eval", "publish", "subscribe", "unsubscribe", "multi", "exec", "watch", "unwatch", "memory|usage", "dbsize",
}

// Rule is the line of an ACL file for our user: just these commands on just these keys. The
// password is in it as a hash.
func Rule(user, password, prefix string) string {
	var line strings.Builder
	fmt.Fprintf(&line, "user %s reset on #%x ~%s:* &%s:*", user, sha256.Sum256([]byte(password)), prefix, prefix)
	for _, c := range Commands {
		line.WriteString(" +" + c)
	}
	return line.String()
}
