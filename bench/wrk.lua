-- wrk's summary as one line of JSON; anything but a 2xx or 3xx counts as an error.
function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '{"requests": %d, "per_second": %.1f, "p99_ms": %.3f, "errors": %d}\n',
    summary.requests, summary.requests / summary.duration * 1e6, latency:percentile(99) / 1000,
    e.connect + e.read + e.write + e.status + e.timeout))
end
