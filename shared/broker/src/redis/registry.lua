-- The registry of nodes. One script, because the clock that counts is that of Redis, and because
-- a node must not come back between the judgement that it is gone and the removal of its traces.
--
-- KEYS  1 leases: sorted set, node → end of its lease, ms
--       remove: 2 the topics that the node speaks of  3 … what it says on each
-- ARGV  1 operation  2 lease, ms  3 node
--       remove: 4 whether it is gone for sure: 1 or 0  5 of how many keys from the third on to tell
local operation, lease, node = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if operation == 'renew' then
  -- Nobody has renewed for longer than any living node waits: Redis itself was away, and nobody is
  -- gone for that. Everybody gets a lease more to come back in.
  local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
  if newest and now - (tonumber(newest) - lease) > lease * 0.6 then
    for _, known in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
      redis.call('ZADD', KEYS[1], 'GT', now + lease, known)
    end
  end
  local known = redis.call('ZSCORE', KEYS[1], node)
  redis.call('ZADD', KEYS[1], now + lease, node)
  return known and 1 or 0
elseif operation == 'live' then
  return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')
elseif operation == 'expired' then
  return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)
elseif operation == 'remove' then
  local ends = tonumber(redis.call('ZSCORE', KEYS[1], node))
  if ARGV[4] == '0' and (not ends or ends > now) then return false end
  local said = {}
  for at = 3, 2 + ARGV[5] do said[#said + 1] = redis.call('HKEYS', KEYS[at]) end
  for at = 2, #KEYS do redis.call('UNLINK', KEYS[at]) end
  redis.call('ZREM', KEYS[1], node)
  return said
end
