-- What bench/load.py has wrk do: one kind of request, or a choice of sites and paths by Zipf's law.
-- Environment: BH_METHOD, BH_BODY (a file), BH_HEADERS ("Name: value" lines), BH_SITES (count),
-- BH_PATHS (space separated).
wrk.method = os.getenv("BH_METHOD") or "GET"
for line in (os.getenv("BH_HEADERS") or ""):gmatch("[^\n]+") do
  local name, value = line:match("^([^:]+):%s*(.*)$")
  wrk.headers[name] = value
end
local body = os.getenv("BH_BODY")
if body then
  local f = assert(io.open(body, "rb"))
  wrk.body = f:read("*a")
  f:close()
end

local sites = tonumber(os.getenv("BH_SITES") or "0")
if sites > 0 then
  local sums, total = {}, 0
  for i = 1, sites do
    total = total + 1 / i
    sums[i] = total
  end
  local paths = {}
  for path in os.getenv("BH_PATHS"):gmatch("%S+") do paths[#paths + 1] = path end
  local prepared = {}
  function init(args)
    math.randomseed(20121)
    for i = 1, sites do
      prepared[i] = {}
      for j, path in ipairs(paths) do
        wrk.headers["Host"] = "site" .. i .. ".example"
        prepared[i][j] = wrk.format("GET", path)
      end
    end
  end
  function request()
    local at, low, high = math.random() * total, 1, sites
    while low < high do
      local middle = math.floor((low + high) / 2)
      if sums[middle] < at then low = middle + 1 else high = middle end
    end
    return prepared[low][math.random(#paths)]
  end
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format("BH %d %d %d %d %d %d\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
