-- Notes, before anything is published, how far a source may be published from now on.
--
-- KEYS  1 mark: the generation  2 published: EPOCH:SEQ
-- ARGV  1 generation  2 epoch  3 the highest seq that is about to be published
-- Answers 0, or -1 when a higher generation has the source: then nothing may be published.
local mark = redis.pcall('GET', KEYS[1])
if type(mark) == 'string' and (tonumber(mark) or 0) > tonumber(ARGV[1]) then return -1 end
local noted = redis.pcall('GET', KEYS[2])
if type(noted) == 'string' then
  local epoch, seq = string.match(noted, '^(%d+):(%d+)$')
  if epoch == ARGV[2] and tonumber(seq) >= tonumber(ARGV[3]) then return 0 end
end
redis.call('SET', KEYS[2], ARGV[2] .. ':' .. ARGV[3])
return 0
