-- Publishes one run: consecutive publications of a channel and source.
--
-- KEYS  1 head  2 history
-- ARGV  1 generation  2 offset of the first publication  3 pub/sub channel
--       4 HISTORY_LENGTH  5 HISTORY_BYTES  6 HISTORY_TTL_MS  7 refresh the expiry: 1 or 0
--       8 PUBLISH, or SPUBLISH in a cluster  9 … the publications
-- Answers how many were new, or -1 when a higher generation has published.
--
-- Redis does not roll scripts back. So the head comes first (what fails after it is a repeat when
-- it comes again, and a hole that gateways see), the history is only ever contiguous up to the head
-- or absent, and the message comes last.
local call, pcall = redis.call, redis.pcall
local head_key, history_key = KEYS[1], KEYS[2]
local generation, first, count = tonumber(ARGV[1]), tonumber(ARGV[2]), #ARGV - 8

-- What is there. Under an absent, unreadable or older head nothing is known of the history.
local known, bytes, repeats = false, 0, 0
local head = pcall('GET', head_key)
if type(head) == 'string' then
  local g, o, b = string.match(head, '^(%d+):(%d+):(%d+)$')
  g = tonumber(g)
  if g and g > generation then return -1 end
  if g == generation then
    repeats, bytes = tonumber(o) - first + 1, tonumber(b)
    if repeats >= count then return 0 end
    known = repeats >= 0
  end
end
if not known then
  call('UNLINK', history_key)
  bytes, repeats = 0, math.max(repeats, 0)
end
for i = 9 + repeats, #ARGV do bytes = bytes + #ARGV[i] + 64 end

-- The head outlives the history; `bytes` bounds from above what the history takes.
local refresh = not known or ARGV[7] == '1'
head = ARGV[1] .. ':' .. first + count - 1
if refresh then
  call('SET', head_key, head .. ':' .. bytes, 'PX', 2 * ARGV[6])
else
  call('SET', head_key, head .. ':' .. bytes, 'KEEPTTL')
end

-- The history. It may be gone, expired or evicted, or be in the way: then it begins here. Numbers
-- are written in full up to 10^14, which no offset reaches. Trimming once per run is enough.
local i = 9 + repeats
local id = first + repeats .. '-0'
local added = known
  and pcall('XADD', history_key, 'NOMKSTREAM', 'MAXLEN', '~', ARGV[4], id, 'p', ARGV[i])
if type(added) ~= 'string' then
  refresh = true
  call('UNLINK', history_key)
  call('XADD', history_key, id, 'p', ARGV[i])
end
for later = i + 1, #ARGV do
  call('XADD', history_key, first + later - 9 .. '-0', 'p', ARGV[later])
end
if refresh then call('PEXPIRE', history_key, ARGV[6]) end

-- The bound is reached: measure, and leave half of it. One that cannot be made so small goes.
local bytes_max = tonumber(ARGV[5])
if bytes > bytes_max then
  bytes = pcall('MEMORY', 'USAGE', history_key, 'SAMPLES', 0)
  for _ = 1, 4 do
    if type(bytes) ~= 'number' or bytes < bytes_max * 3 / 4 then break end
    local keep = math.floor(call('XLEN', history_key) * bytes_max / 2 / bytes)
    call('XTRIM', history_key, 'MAXLEN', keep)
    bytes = pcall('MEMORY', 'USAGE', history_key, 'SAMPLES', 0)
  end
  if type(bytes) ~= 'number' then bytes = 0 end
  if bytes > bytes_max then
    call('UNLINK', history_key)
    bytes = 0
  end
  call('SET', head_key, head .. ':' .. bytes, 'KEEPTTL')
end

local message = ARGV[#ARGV]
if count - repeats > 1 then message = table.concat(ARGV, '\n', 9 + repeats) end
call(ARGV[8], ARGV[3], message)
return count - repeats
