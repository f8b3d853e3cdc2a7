-- Adds a sample of an agent's health behind the last one that the caller has seen, so that of two
-- nodes that judge the same agent one does not pass over what the other has added.
--
-- KEYS  1 list of samples, oldest first
-- ARGV  1 the last sample that was seen, '' for none  2 the sample  3 the most samples  4 their life, ms
if (redis.call('LINDEX', KEYS[1], -1) or '') ~= ARGV[1] then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[2])
redis.call('LTRIM', KEYS[1], -ARGV[3], -1)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
