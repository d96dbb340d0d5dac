-- One exchange of a process about one limiter. KEYS[1] is the limiter's hash; share.go names the arguments.
-- A process's field holds totals and states, so that a repeated or a lost exchange changes nothing:
--   seen, turn, held, want, down, then for requests and for tokens: used, given, served, lacking
local me, a = 'p:' .. ARGV[1], {}
for i = 2, #ARGV do a[i - 1] = tonumber(ARGV[i]) end
local turn, lease, limit, held, want, known, shut, down = a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8]

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + tonumber(clock[2]) / 1000 -- milliseconds

local function numbers(text)
  local found = {}
  for word in string.gmatch(text, '%S+') do found[#found + 1] = tonumber(word) end
  return found
end

local function text(list)
  local words = {}
  for i, n in ipairs(list) do words[i] = string.format('%.17g', n) end
  return table.concat(words, ' ')
end

-- Who is silent for the lease has died. A time ahead is from before the clock was set back.
local facts, others, mine = {}, {}, nil
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local name, value = all[i], all[i + 1]
  if string.sub(name, 1, 2) ~= 'p:' then
    facts[name] = numbers(value)
  else
    local p = numbers(value)
    if math.abs(now - p[1]) > lease then
      redis.call('HDEL', KEYS[1], name)
    elseif name == me then
      mine = p
    else
      p.name = name
      others[#others + 1] = p
    end
  end
end
if mine and turn <= mine[2] then return false end -- an ask that came late: a newer one was heard

-- After a wipe each tells what it still has. Until all have had the time to do so, nobody gets more than its part.
local born = facts.born and facts.born[1]
local wiped = not born and known > 0
if not born or born > now then
  born = now
  redis.call('HSET', KEYS[1], 'born', text({now}))
end

-- fair is this process's part of the limit: nobody has more than another who wants more. What cannot be divided goes to
-- those who want most; where there are more processes than slots they take turns of two seconds.
local function fair()
  if want == 0 then return 0 end
  local wants = {{want, me}}
  for _, p in ipairs(others) do
    if p[4] > 0 then wants[#wants + 1] = {p[4], p.name} end
  end
  local n = #wants
  if n > limit then
    table.sort(wants, function(x, y) return x[2] < y[2] end)
    local first = math.floor(now / 2000) * limit % n
    for i, w in ipairs(wants) do
      if w[2] == me then return (i - 1 - first) % n < limit and 1 or 0 end
    end
  end
  table.sort(wants, function(x, y)
    if x[1] ~= y[1] then return x[1] < y[1] end
    return x[2] < y[2]
  end)
  local rest = limit
  for i, w in ipairs(wants) do
    local part = math.min(w[1], math.floor(rest / (n - i + 1)))
    if w[2] == me then return part end
    rest = rest - part
  end
end

local free = limit
for _, p in ipairs(others) do free = free - p[3] end
local slots = fair()
if slots > held then slots = math.max(held, math.min(slots, free)) end
local processes = #others + 1
if now - born < 1000 and known > processes then
  slots = math.min(slots, math.max(held, math.floor(limit / known)))
end

-- units gives out a rate: from a level that holds one second's worth, in turn by what each was served. It holds a little
-- more, so that nothing is lost between two asks. It returns what
-- was ever given to this process, the milliseconds until more may come, and what to keep.
local function units(name, at, rate, used, need, least)
  if rate <= 0 then return 0, 0, {used, used, 0, 0} end
  local size = math.max(rate, 1) + rate / 5
  local level, filled, served = wiped and 0 or size, now, 0
  if facts[name] then level, filled, served = facts[name][1], facts[name][2], facts[name][3] end
  level = math.min(size, level + math.max(0, now - filled) / 1000 * rate)

  local purse, own, lacked = 0, served, false
  if mine then
    purse, own, lacked = mine[at + 1] - used, mine[at + 2], mine[at + 3] > 0
  end
  if not lacked then own = math.max(own, served) end -- who wanted nothing has saved nothing up

  -- What was used beyond what was given is owed; what is more than is wanted goes back.
  local owed = math.max(-purse, 0) - math.max(purse - need, 0)
  level, own, purse = math.max(math.min(size, level - owed), -3600 * rate), own + owed, purse + owed

  local behind, ahead = nil, 0
  for _, p in ipairs(others) do
    if p[at + 3] > 0 and now - p[1] < 500 then
      behind = math.min(behind or p[at + 2], p[at + 2])
      if p[at + 2] < own then ahead = ahead + 1 end
    end
  end
  local lacking = need - purse
  if lacking > 0 and level >= 1 then
    local most = math.max(level, least)
    if behind then most = math.min(most, behind + math.max(rate / 10, least) - own) end
    local given = math.floor(math.min(lacking, most))
    if given >= 1 then
      level, own, purse, lacking = level - given, own + given, purse + given, lacking - given
    end
  end
  if lacking > 0 then
    served = math.max(served, math.min(behind or own, own))
  else
    served = math.max(served, behind or own)
  end
  redis.call('HSET', KEYS[1], name, text({level, now, served}))

  local wait = 0
  if purse < 1 then wait = math.max(100, (1 - level + ahead * least) / rate * 1000) end
  return used + purse, wait, {used, used + purse, own, math.max(lacking, 0)}
end
local requests, requestsIn, keptRequests = units('requests', 6, a[9], a[10], a[11], 1)
local tokens, tokensIn, keptTokens = units('tokens', 10, a[12], a[13], a[14], a[15])

local shutUntil = facts.shut and facts.shut[1] or 0
if shut > 0 and now + shut > shutUntil then
  shutUntil = now + shut
  redis.call('HSET', KEYS[1], 'shut', text({shutUntil}))
end
local downUntil = 0
for _, p in ipairs(others) do downUntil = math.max(downUntil, p[5]) end

local record = {now, turn, math.max(held, slots), want, down > 0 and now + down or 0}
for _, kept in ipairs({keptRequests, keptTokens}) do
  for _, n in ipairs(kept) do record[#record + 1] = n end
end
redis.call('HSET', KEYS[1], me, text(record))
redis.call('PEXPIRE', KEYS[1], 4 * lease)
return {text({slots, processes, math.max(shutUntil - now, 0), math.max(downUntil - now, 0),
  requests, requestsIn, tokens, tokensIn})}
