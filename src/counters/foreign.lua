-- At the start of each script: keys that hold something that no script writes. Such a value counts as none, and is replaced; otherwise
-- the key could not be counted with as long as it is there. `foreign` is the type of the last one.
local foreign = ''
-- Runs a command, and deletes the key first if it has another type than the command expects.
local function ask(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) ~= 'table' then
    return reply
  end
  if string.find(reply.err, 'WRONGTYPE', 1, true) then
    foreign = redis.call('TYPE', key).ok
    redis.call('DEL', key)
  end
  return redis.call(command, key, ...)
end
-- The two numbers that a key holds in this form, and what follows them.
local function numbers(key, form)
  local kept = ask('GET', key)
  if not kept then
    return nil
  end
  local one, other, more = string.match(kept, form)
  one, other = tonumber(one), tonumber(other)
  -- What is too large was not written here.
  if one and other and one < 1e17 and other < 1e17 then
    return one, other, more
  end
  foreign = 'string'
  return nil
end
