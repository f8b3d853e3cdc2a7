-- The registry of nodes. One script, because the clock that counts is that of Redis, and because
-- a node must not come back between the judgement that it is gone and the removal of its traces.
--
-- KEYS  1 leases: sorted set, node → end of its lease, ms
-- ARGV  1 operation  2 what precedes the names of a node's keys  3 node  4 lease, ms
--       5 …  topics whose keys are told when a node is reaped
local operation, prefix, node = ARGV[1], ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function forget(gone)
  local topics = prefix .. 'topics:' .. gone
  for _, topic in ipairs(redis.call('SMEMBERS', topics)) do
    redis.call('UNLINK', prefix .. 'on:' .. topic .. ':' .. gone)
  end
  redis.call('UNLINK', topics)
  redis.call('ZREM', KEYS[1], gone)
end

if operation == 'renew' then
  local known = redis.call('ZSCORE', KEYS[1], node)
  redis.call('ZADD', KEYS[1], now + ARGV[4], node)
  return known and 1 or 0
elseif operation == 'live' then
  return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')
elseif operation == 'forget' then
  forget(node)
  return 1
elseif operation == 'reap' then
  local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)
  local told = {}
  for _, one in ipairs(gone) do
    local said = {}
    for at = 5, #ARGV do
      said[#said + 1] = redis.call('HKEYS', prefix .. 'on:' .. ARGV[at] .. ':' .. one)
    end
    told[#told + 1] = {one, said}
    forget(one)
  end
  return told
end
