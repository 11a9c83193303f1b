-- wrk's summary as one line of JSON; anything but a 2xx or 3xx counts as an error.
-- With a number as argument no address is asked twice: the API takes no notice of `version`, the edge's cache does.
function init(args)
  local number = tonumber(args[1])
  if number then
    request = function()
      number = number + 1
      return wrk.format(nil, wrk.path .. "&version=" .. number)
    end
  end
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '{"requests": %d, "per_second": %.1f, "p50_ms": %.3f, "p99_ms": %.3f, "errors": %d}\n',
    summary.requests, summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000,
    latency:percentile(99) / 1000, e.connect + e.read + e.write + e.status + e.timeout))
end
