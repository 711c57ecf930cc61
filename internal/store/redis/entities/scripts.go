package entities

import "postern/internal/store/redis/conn"

// headLen is how many octets of a stored record tell it from every other: its seal.
const headLen = 20

// swap writes a record over the one that was read, or takes it away.
// KEYS: record, mark. ARGV: head of what was read ("" = nothing), what is written ("" = nothing),
// a mark, how long it stays (ms).
const swap conn.Script = `
local now = redis.pcall('GET', KEYS[1])
if type(now) == 'table' then now = '?' end
now = string.sub(now or '', 1, 20)
if ARGV[2] ~= '' and now == string.sub(ARGV[2], 1, 20) then return 1 end
if now ~= ARGV[1] then return redis.error_reply('POSTERN changed') end
if now == '?' then redis.call('DEL', KEYS[1]) end
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2]) else redis.call('DEL', KEYS[1]) end
if ARGV[3] ~= '' then redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4]) end
return 1`

// grow raises a revision, beyond whatever it was before a store was emptied or went back.
const grow conn.Script = `
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
local old = redis.pcall('GET', KEYS[1])
if type(old) == 'table' then redis.call('DEL', KEYS[1]) old = '0' end
old = tonumber(old or '0') or 0
if not (old >= 0 and old < 9000000000000000) then old = 0 end -- 'inf' and 'nan' are numbers too
redis.call('SET', KEYS[1], string.format('%.0f', math.max(old + 1, now)))
return 1`
