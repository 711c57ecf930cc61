package holds

import (
	"postern/internal/store/redis/conn"
)

// Every script reads what it needs before it writes: a script that fails has done nothing. A
// state is changed only from the very bytes that were read, which are never written twice.

// commit writes a hold whose chunks were sent.
// KEYS: hold, body, chunks. ARGV: expected record and state ("" = none), record, state,
// generation, stored bytes, reference, whether a body of another generation gives way.
// It returns whether the body is new, and how many stored bytes gave way.
const commit conn.Script = `
local kind = redis.call('TYPE', KEYS[1])['ok']
local old = {false, false}
if kind == 'hash' then old = redis.call('HMGET', KEYS[1], 'r', 's') end
if old[1] == ARGV[3] and old[2] == ARGV[4] then return {0, 0} end
if (old[1] or '') ~= ARGV[1] or (old[2] or '') ~= ARGV[2] then return redis.error_reply('POSTERN taken') end
local fresh, gone = 1, 0
if #KEYS > 1 then
  local now = redis.pcall('HMGET', KEYS[2], 'g', 'z')
  if now['err'] then now = {'?', 0} end
  if now[1] == ARGV[5] then fresh = 0
  elseif now[1] and ARGV[8] == '0' then return redis.error_reply('POSTERN other')
  elseif now[1] then fresh, gone = 0, tonumber(now[2]) or 0 end
  for i = 3, #KEYS do
    if redis.call('EXISTS', KEYS[i]) == 0 then return redis.error_reply('POSTERN missing') end
  end
  for i = 3, #KEYS do redis.call('PERSIST', KEYS[i]) end
  if now[1] ~= ARGV[5] then
    redis.call('DEL', KEYS[2])
    redis.call('HSET', KEYS[2], 'g', ARGV[5], 'n', #KEYS - 2, 'z', ARGV[6])
  end
  if kind ~= 'hash' or redis.call('HGET', KEYS[1], 'b') ~= ARGV[7] then redis.call('HINCRBY', KEYS[2], 'c', 1) end
else
  fresh = 0
end
if kind ~= 'hash' then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'r', ARGV[3], 's', ARGV[4], 'o', 1)
if ARGV[7] ~= '' then redis.call('HSET', KEYS[1], 'b', ARGV[7]) end
return {fresh, gone}`

// confirm changes the states of holds of one message, all or none.
// KEYS: holds. ARGV: old and new state of each.
const confirm conn.Script = `
for i = 1, #KEYS do
  local now = redis.call('HGET', KEYS[i], 's')
  if not now then return redis.error_reply('POSTERN gone') end
  if now ~= ARGV[2 * i - 1] then return redis.error_reply('POSTERN changed') end
end
for i = 1, #KEYS do redis.call('HSET', KEYS[i], 's', ARGV[2 * i]) end
return #KEYS`

// change changes a state; at an end the body is given up.
// KEYS: hold, and at an end body and chunks. ARGV: old state, new state, whether it ends, reference,
// generation. It returns whether the body is gone with it.
const change conn.Script = `
local now = redis.call('HMGET', KEYS[1], 's', 'b')
if now[1] ~= ARGV[1] then return redis.error_reply('POSTERN changed') end
if ARGV[3] == '0' then redis.call('HSET', KEYS[1], 's', ARGV[2]) return 0 end
if (now[2] or '') ~= ARGV[4] then return redis.error_reply('POSTERN changed') end
local body = false
if #KEYS > 1 then body = redis.pcall('HGET', KEYS[2], 'g') == ARGV[5] end
redis.call('HSET', KEYS[1], 's', ARGV[2])
redis.call('HDEL', KEYS[1], 'b', 'o')
if not body or redis.call('HINCRBY', KEYS[2], 'c', -1) > 0 then return 0 end
for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
return 1`

// join adds an owner to a provisional hold. KEYS: hold. ARGV: state.
const join conn.Script = `
if redis.call('HGET', KEYS[1], 's') ~= ARGV[1] then return redis.error_reply('POSTERN changed') end
return redis.call('HINCRBY', KEYS[1], 'o', 1)`

// forgetBody takes away what a body is known by, if its chunks are gone: the next one that
// comes is stored anew. KEYS: body. ARGV: generation.
const forgetBody conn.Script = `
if redis.pcall('HGET', KEYS[1], 'g') == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`
