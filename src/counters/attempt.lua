-- Counts an attempt to name a password, before it is verified. Atomic, and in the time of the server.
-- KEYS: the buckets of client and account, of the client, and of the account, each with how many attempts it holds and when that was
-- so, in microseconds, and `r` if it has refused an attempt since it was full; and the clients that have signed in to the account.
-- ARGV: of each bucket its size, the time in microseconds in which one attempt is forgotten, and how many the gateway has counted
-- alone; then the client, whether the gateway knows that it has signed in, and whether the first bucket holds only what the gateway
-- has counted alone, because the password was right since; then how many such clients are remembered, and for how many milliseconds.
-- Returns which bucket is full, or 0; whether the client has signed in to the account; how many attempts each bucket holds;
-- whether no gateway has refused an attempt before since the bucket was full; and `foreign`.
local time = redis.call('TIME')
local now = (tonumber(time[1]) - 1700000000) * 1000000 + tonumber(time[2])
local known = tonumber(ARGV[11])
local signed_in = ask('ZSCORE', KEYS[4], ARGV[10])
if known == 1 then
  redis.call('ZADD', KEYS[4], 'NX', now, ARGV[10])
  redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -1 - tonumber(ARGV[13]))
  redis.call('PEXPIRE', KEYS[4], ARGV[14])
elseif signed_in then
  known = 1
end
local levels, refused, full = {}, {}, 0
for i = 1, 3 do
  local burst, every, alone = tonumber(ARGV[i * 3 - 2]), tonumber(ARGV[i * 3 - 1]), tonumber(ARGV[i * 3])
  local level = 0
  local was, at, mark = numbers(KEYS[i], '^(%d[%d.e-]*) (-?%d+)( ?r?)$')
  if was and not (i == 1 and ARGV[12] == '1') then
    -- No bucket is larger.
    level = math.max(math.min(was, 1000) - math.max(now - at, 0) / every, 0)
  end
  levels[i] = math.max(level, alone)
  local over = levels[i] + 1 > burst
  refused[i] = over and mark == ' r'
  if full == 0 and over and not (i == 3 and known == 1) then
    full = i
  end
end
local newly = 0
local waits = full > 0 and levels[full] + 1 - tonumber(ARGV[14 + full]) <= tonumber(ARGV[full * 3 - 2])
if full > 0 and not refused[full] and not waits then
  newly, refused[full] = 1, true
end
for i = 1, 3 do
  if full == 0 and not (i == 3 and known == 1) then
    levels[i] = levels[i] + 1
  end
  if levels[i] > 0 then
    -- It expires when it is empty.
    local ttl = math.ceil(levels[i] * tonumber(ARGV[i * 3 - 1]) / 1000) + 1
    local value = string.format('%.17g %.0f%s', levels[i], now, refused[i] and ' r' or '')
    redis.call('SET', KEYS[i], value, 'PX', string.format('%.0f', ttl))
  else
    redis.call('DEL', KEYS[i])
  end
  levels[i] = string.format('%.17g', levels[i])
end
return { full, known, levels[1], levels[2], levels[3], newly, foreign }
