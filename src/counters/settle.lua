-- Takes attempts back: the password was right, or was not verified after all.
-- KEYS: as for an attempt.
-- ARGV: of each bucket the time in microseconds in which one attempt is forgotten, and how many to take back; then the client,
-- whether the password was right, and for the clients that have signed in, how many are remembered and for how many milliseconds.
-- Returns `foreign`.
local time = redis.call('TIME')
local now = (tonumber(time[1]) - 1700000000) * 1000000 + tonumber(time[2])
for i = 1, 3 do
  local every, back = tonumber(ARGV[i * 2 - 1]), tonumber(ARGV[i * 2])
  local was, at = numbers(KEYS[i], '^(%d[%d.e-]*) (-?%d+) ?r?$')
  if back > 0 or i == 1 then
    local level = 0
    if was then
      level = was - math.max(now - at, 0) / every - back
    end
    if level > 0 and not (i == 1 and ARGV[8] == '1') then
      local ttl = math.ceil(level * every / 1000) + 1
      redis.call('SET', KEYS[i], string.format('%.17g %.0f', level, now), 'PX', string.format('%.0f', ttl))
    else
      redis.call('DEL', KEYS[i])
    end
  end
end
if ARGV[8] == '1' then
  ask('ZADD', KEYS[4], now, ARGV[7])
  redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -1 - tonumber(ARGV[9]))
  redis.call('PEXPIRE', KEYS[4], ARGV[10])
end
return foreign
