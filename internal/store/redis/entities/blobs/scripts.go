package blobs

import "postern/internal/store/redis/conn"

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
