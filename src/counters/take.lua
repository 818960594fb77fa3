-- Takes from a bucket (GCRA). Atomic, and in the time of the server, so that the clocks of gateways do not matter.
-- KEYS[1]: the bucket: when it is full, and the period that this was computed with, both in microseconds.
-- ARGV: period in microseconds, burst, cost, and what the gateway has taken alone, as the time to refill it.
-- Returns whether the bucket held enough; the time to refill it, in nanoseconds; and `foreign`.
local time = redis.call('TIME')
local now = (tonumber(time[1]) - 1700000000) * 1000000 + tonumber(time[2])
local period, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local capacity = period * burst
local owed = 0
local full, before = numbers(KEYS[1], '^(-?%d[%d.e+-]*) (%d[%d.]*)$')
-- A bucket that was used with another quota keeps the number of requests taken.
if full and before > 0 then
  owed = (full - now) * period / before
end
-- Never more than empty, whatever the clock did.
owed = math.min(math.max(owed, tonumber(ARGV[4]), 0), capacity)
local after = owed + cost * period
local admitted = 0
-- A thousandth of a request is for rounding.
if after <= capacity + period / 1000 then
  admitted, owed = 1, after
end
if owed > 0 then
  local value = string.format('%.17g %s', now + owed, ARGV[1])
  redis.call('SET', KEYS[1], value, 'PX', string.format('%d', math.ceil(owed / 1000) + 1))
end
return { admitted, math.ceil(owed * 1000), foreign }
