-- Lend the places of one limit to its members, the processes that share it.
--
-- A call says what a member has and wants, never how much more or less: a call that comes twice
-- does no more than one. A member that has not called for the time of a lease has nothing any more.
--
-- Returns: its share, the limit, whether others need what it doesn't use (how many wait for it, and
-- one more where little is left), how many members there are, and the mode if one was set for all.

local cap, members, leases, waiting = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id = ARGV[1]
local seq = tonumber(ARGV[2])         -- rises with each call of this member
local used = tonumber(ARGV[3])        -- how many it has in flight, whatever it was lent
local keep = tonumber(ARGV[4])        -- how many of its places it would like to keep
local wanted = tonumber(ARGV[5])      -- how many it would like to have
local waits = ARGV[6] == '1'          -- whether to give it a place when there is one again
local gives_way = ARGV[7] == '1'      -- whether what it doesn't use may go to who has less
local lease_time = tonumber(ARGV[8])  -- in milliseconds; 0: it leaves
local limit = tonumber(ARGV[9])
local sets_limit = ARGV[10]           -- 'configured': if that is news; 'always'; or 'never'
local channels = ARGV[11]             -- what the names of the channels begin with
local configured_mode = ARGV[12]      -- the mode that it was configured with
local mode = ARGV[13]                 -- what to set it to, for all; or empty
local need = tonumber(ARGV[14])       -- how many more at once are of use to it
local least = used + need

local KEPT = 86400000  -- What nobody has asked for in a day is forgotten.
local LOOK = 10        -- How many of those who wait are looked at for one who has less.
local QUIET = 20       -- How long not to say again that places are short, where nobody waits.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function read(member)
  local record = redis.call('HGET', members, member)
  if not record then
    return nil, 0, 0, 0
  end
  local share, last, in_flight, least = string.match(record, '^(%d+) (%d+) (%d+) (%d+)$')
  return tonumber(last), tonumber(share), tonumber(in_flight), tonumber(least)
end

local function write(member, last, share, in_flight, least)
  redis.call('HSET', members, member, string.format('%d %d %d %d', share, last, in_flight, least))
end

local function forget(member)
  redis.call('HDEL', members, member)
  redis.call('ZREM', leases, member)
  redis.call('ZREM', waiting, member)
end

-- The sum of all shares is kept, since adding them up takes long where there are thousands. Where
-- one of the keys was lost, it is made anew from what is left.
local function recount()
  local sum = 0
  for _, member in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
    local last, share = read(member)
    if last then
      sum = sum + share
    else
      forget(member)
    end
  end
  for _, member in ipairs(redis.call('HKEYS', members)) do
    if not redis.call('ZSCORE', leases, member) then
      forget(member)
    end
  end
  return sum
end

local function say_short(is_sure)
  local said = tonumber(redis.call('HGET', cap, 'said')) or 0
  if is_sure or math.abs(now - said) >= QUIET then
    redis.call('HSET', cap, 'said', now)
    redis.call('PUBLISH', channels .. 'short', id)
  end
end

-- How many places one who waits has to be given: all that its next request costs, or none. Who got
-- some of them would keep those from others, who might do the same to it. But never more than there
-- will be when all others are gone.
local function lack(least, share)
  return math.max(1, math.min(least, limit) - share)
end

-- Give another member what it lacks, and tell it so. Return how many places that were.
local function grant(member)
  redis.call('ZREM', waiting, member)
  local last, share, in_flight, least = read(member)
  if not last then
    return 0
  end
  local given = lack(least, share)
  share = share + given
  write(member, last, share, in_flight, least)
  redis.call('PUBLISH', channels .. member, string.format('%d %d %d', last, share, limit))
  return given
end

local lent = tonumber(redis.call('HGET', cap, 'lent'))
if not lent or redis.call('HLEN', members) ~= redis.call('ZCARD', leases) then
  lent = recount()
end

for _, member in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now)) do
  local _, share = read(member)
  lent = lent - share
  forget(member)
end

local last, share, in_flight, last_least = read(id)
local is_late = last and seq <= last  -- It came twice, or was overtaken by a later one.

if is_late then
  seq, used, wanted, least = last, in_flight, 0, last_least
  limit = tonumber(redis.call('HGET', cap, 'limit')) or limit
else
  local known = tonumber(redis.call('HGET', cap, 'limit'))
  local configured = tonumber(redis.call('HGET', cap, 'configured'))
  if sets_limit == 'always' or not known or (sets_limit == 'configured' and limit ~= configured) then
    redis.call('HSET', cap, 'limit', limit)
    if sets_limit ~= 'always' then
      redis.call('HSET', cap, 'configured', limit)
    end
  else
    limit = known
  end
  if sets_limit == 'configured' and configured_mode ~= redis.call('HGET', cap, 'configured_mode') then
    redis.call('HSET', cap, 'configured_mode', configured_mode, 'mode', '')
  end
  if mode ~= '' then
    redis.call('HSET', cap, 'mode', mode)
    say_short(true)
  end

  local before = share
  share = math.max(used, math.min(share, keep))
  lent = lent - before + share
  -- Nothing else is taken away from it: it may use what it keeps before it has the answer.
  if gives_way and lent > limit then
    local surplus = math.min(lent - limit, share - used)
    share = share - surplus
    lent = lent - surplus
  elseif gives_way and share > used then
    for _, other in ipairs(redis.call('ZRANGE', waiting, 0, LOOK - 1)) do
      local _, theirs, _, needed = read(other)
      if theirs < share then
        if lack(needed, theirs) == 1 then
          share = share - grant(other)
        else
          share = share - 1
          lent = lent - 1
        end
        break
      end
    end
  end
  redis.call('ZADD', leases, now + lease_time, id)
  write(id, seq, share, used, least)
  if not waits or wanted <= share then
    redis.call('ZREM', waiting, id)
  end
end

-- Who waits comes first, in turn. Who waits for more places than are left is not overtaken.
local first
while lent < limit do
  first = redis.call('ZRANGE', waiting, 0, 0)[1]
  if not first then
    break
  end
  local _, theirs, _, needed = read(first)
  local given = lack(needed, theirs)
  if lent + given > limit then
    break
  end
  if first == id then
    redis.call('ZREM', waiting, id)
    lent = lent + given
    share = share + given
    write(id, seq, share, used, least)
  else
    lent = lent + grant(first)
  end
end

local count = redis.call('ZCARD', leases)
if wanted > share then
  local left = math.max(0, limit - lent)
  local missing = wanted - share
  if left > 0 and (first and first ~= id or left < lack(least, share)) then
    left = 0
  end
  -- Where something is left, nobody waits. So it may have some more, to ask less often.
  local given = math.min(left, missing + math.floor(math.max(0, left - missing) / (2 * count)))
  lent = lent + given
  share = share + given
  write(id, seq, share, used, least)
  if wanted <= share then
    redis.call('ZREM', waiting, id)
  else
    -- As long as others wait, the answer to each call says so. One who waited alone has not heard.
    local is_news = redis.call('ZCARD', waiting) <= 1
    if waits and not redis.call('ZSCORE', waiting, id) then
      local behind = redis.call('ZRANGE', waiting, -1, -1, 'WITHSCORES')[2] or 0
      redis.call('ZADD', waiting, behind + 1, id)
    end
    if is_news then
      say_short(waits)
    end
  end
end
if lent > limit then
  say_short(false)
end

if lease_time == 0 and not is_late then
  lent = lent - share
  share = 0
  forget(id)
end
redis.call('HSET', cap, 'lent', lent)
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, math.max(KEPT, 2 * lease_time))
end

local others = redis.call('ZCARD', waiting)
if redis.call('ZSCORE', waiting, id) then
  others = others - 1
end
if limit - lent < count - 1 then
  others = others + 1  -- Not one for each: whoever comes next would find nothing.
end
return {share, limit, others, count, redis.call('HGET', cap, 'mode') or ''}
