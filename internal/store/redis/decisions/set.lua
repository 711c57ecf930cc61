local known = 1
if tonumber(ARGV[2]) > 0 and redis.call('HGET', KEYS[4], ARGV[2]) ~= ARGV[3] then known = 0 end
local done = {0, known}
for i = 4, #ARGV, 3 do
  local field, old, new = ARGV[i], ARGV[i+1], ARGV[i+2]
  if (redis.call('HGET', KEYS[1], field) or '') ~= old then
    done[#done+1] = 0
  else
    done[#done+1] = 1
    if new == '' then
      redis.call('HDEL', KEYS[1], field)
      redis.call('ZREM', KEYS[3], field)
    else
      local n = redis.call('HINCRBY', KEYS[2], 'n', 1)
      done[1] = n
      redis.call('HSET', KEYS[1], field, new)
      redis.call('ZADD', KEYS[3], n, field)
      redis.call('HSET', KEYS[4], n, ARGV[1])
      redis.call('HDEL', KEYS[4], n - 10000)
    end
  end
end
return done
