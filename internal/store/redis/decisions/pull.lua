local n = tonumber(redis.call('HGET', KEYS[2], 'n') or '0')
local size = redis.call('HLEN', KEYS[1])
local seen = tonumber(ARGV[1])
local wrote = tonumber(ARGV[4])
if n < seen or (seen > 0 and redis.call('HGET', KEYS[4], ARGV[1]) ~= ARGV[2])
  or (wrote > seen and redis.call('HGET', KEYS[4], ARGV[4]) ~= ARGV[5]) then
  return {n, '', size, 0}
end
local found = {n, '', size, 1}
local log = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, tonumber(ARGV[3]))
for i = 1, #log, 2 do
  found[#found+1] = log[i]
  found[#found+1] = redis.call('HGET', KEYS[1], log[i]) or ''
end
if #log > 0 and #log == 2 * tonumber(ARGV[3]) then found[1] = tonumber(log[#log]) end
found[2] = redis.call('HGET', KEYS[4], found[1]) or ''
return found
