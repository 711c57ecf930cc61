package entities

import "postern/internal/store/redis/conn"

// headLen is how many octets of a stored record tell it from every other: its seal.
const headLen = 20

// foreign is what a key of another type than ours is taken for.
const foreign = "?"

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

// commitBlob makes a blob of chunks that were sent.
// KEYS: blob, chunks. ARGV: generation that is expected ("" = none), generation, size, stored
// bytes, time, chunks.
const commitBlob conn.Script = `
local now = redis.pcall('HGET', KEYS[1], 'g')
if type(now) == 'table' then now = '?' end
now = now or ''
if now == ARGV[2] then return 0 end
if now ~= ARGV[1] then return redis.error_reply('POSTERN changed') end
for i = 2, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then return redis.error_reply('POSTERN missing') end
end
for i = 2, #KEYS do redis.call('PERSIST', KEYS[i]) end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'g', ARGV[2], 's', ARGV[3], 'z', ARGV[4], 'a', ARGV[5], 'n', ARGV[6])
return 1`

// removeBlob takes a blob away. KEYS: blob, mark, chunks. ARGV: generation, mark, how long it
// stays.
const removeBlob conn.Script = `
local now = redis.pcall('HGET', KEYS[1], 'g')
if type(now) == 'table' then now = '?' end
if (now or '') ~= ARGV[1] then return redis.error_reply('POSTERN changed') end
redis.call('UNLINK', KEYS[1])
for i = 3, #KEYS do redis.call('UNLINK', KEYS[i]) end
if ARGV[2] ~= '' then redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) end
return 1`
