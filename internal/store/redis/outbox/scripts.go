package outbox

import (
	"postern/internal/store/redis/chunks"
	"postern/internal/store/redis/conn"
)

// A script may be sent again when its answer was lost on the way: each finds out that it was done
// before and then says so, instead of that it came too late.

// commit writes an entry: KEYS entity, pieces; ARGV version, r, s, version that may be replaced.
const commit conn.Script = chunks.Keep + `
local h = {false, false}
if redis.call('TYPE', KEYS[1])['ok'] == 'hash' then h = redis.call('HMGET', KEYS[1], 'v', 'r') end
if h[2] and h[2] == ARGV[2] then return 1 end
if h[1] and h[1] ~= ARGV[4] and (tonumber(h[1]) or 0) >= tonumber(ARGV[1]) then return redis.error_reply('POSTERN taken') end
if not keep(2) then return redis.error_reply('POSTERN torn') end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'r', ARGV[2], 's', ARGV[3], 'v', ARGV[1], 'l', '0', 'u', '0', 'n', '', 't', '', 'c', '0')
return 1
`

// free is for the front of scripts that need the time: free(l, u, now, shared) returns the time by
// which leases end, or nothing while the lease lasts by either clock.
const free = `
local function free(l, u, now, shared)
  local at = tonumber(shared)
  if not at then
    local t = redis.call('TIME')
    at = t[1] * 1000 + t[2] / 1000
  end
  if (tonumber(l) or 0) > tonumber(now) or (tonumber(u) or 0) > at then return nil end
  return at
end
local function text(n) return string.format('%.0f', n) end
`

// claim takes an entry and returns its new version: ARGV version, now, lease, shared time, node,
// token. The time in microseconds is a floor for versions, so that a claim from before the store
// lost its data is none on an entry that was pushed and claimed since.
const claim conn.Script = free + `
local h = redis.call('HMGET', KEYS[1], 'v', 'l', 'u', 't')
if not h[1] then return redis.error_reply('POSTERN lost') end
if h[4] == ARGV[6] then return h[1] end
local at = free(h[2], h[3], ARGV[2], ARGV[4])
if h[1] ~= ARGV[1] or not at then return redis.error_reply('POSTERN lost') end
local version = text(math.max(h[1] + 1, math.floor(at * 1000)))
redis.call('HSET', KEYS[1], 'v', version, 'l', text(ARGV[2] + ARGV[3]), 'u', text(at + ARGV[3]), 'n', ARGV[5], 't', ARGV[6], 'c', '0')
return version
`

// give gives a claimed entry back: ARGV version, s.
const give conn.Script = `
local h = redis.call('HMGET', KEYS[1], 'v', 'l', 's')
if not h[1] then return redis.error_reply('POSTERN lost') end
if h[2] == '0' and h[3] == ARGV[2] then return 1 end
if h[1] ~= ARGV[1] or h[2] == '0' then return redis.error_reply('POSTERN lost') end
redis.call('HSET', KEYS[1], 's', ARGV[2], 'v', string.format('%.0f', h[1] + 1), 'l', '0', 'u', '0', 'c', '0')
return 1
`

// hurry makes an entry due that nobody has: ARGV version, s, now, shared time.
const hurry conn.Script = free + `
local h = redis.call('HMGET', KEYS[1], 'v', 'l', 'u', 's')
if h[4] and h[4] == ARGV[2] then return 1 end
if h[1] ~= ARGV[1] or not free(h[2], h[3], ARGV[3], ARGV[4]) then return redis.error_reply('POSTERN lost') end
redis.call('HSET', KEYS[1], 's', ARGV[2], 'v', text(h[1] + 1))
return 1
`

// end removes a claimed entry: KEYS entity, pieces; ARGV version. For a minute it remembers which
// claim ended it.
const end conn.Script = `
local h = redis.call('HMGET', KEYS[1], 'v', 'l', 'x')
if h[3] and h[3] == ARGV[1] then return 1 end
if h[1] ~= ARGV[1] or h[2] == '0' then return redis.error_reply('POSTERN lost') end
for i = 1, #KEYS do redis.call('UNLINK', KEYS[i]) end
redis.pcall('HSET', KEYS[1], 'x', ARGV[1])
redis.pcall('PEXPIRE', KEYS[1], 60000)
return 1
`

// void takes a claim away: ARGV version, node.
const void conn.Script = `
local h = redis.call('HMGET', KEYS[1], 'v', 'l', 'n')
if h[1] ~= ARGV[1] or h[2] == '0' or h[3] ~= ARGV[2] then return redis.error_reply('POSTERN lost') end
redis.call('HSET', KEYS[1], 'v', string.format('%.0f', h[1] + 1), 'l', '0', 'u', '0', 'c', '1')
return 1
`

// enlist writes the indexes of an entry: KEYS due, ids, size; ARGV ID, due in ms or "" for gone,
// bytes. The field "*" of size is the sum of the others.
const enlist conn.Script = `
local old = tonumber(redis.call('HGET', KEYS[3], ARGV[1]) or '0') or 0
local new = tonumber(ARGV[3])
if ARGV[2] == '' then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('HDEL', KEYS[3], ARGV[1])
  new = 0
else
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
  redis.call('ZADD', KEYS[2], 0, ARGV[1])
  redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
end
redis.call('HINCRBY', KEYS[3], '*', string.format('%.0f', new - old))
return 1
`
