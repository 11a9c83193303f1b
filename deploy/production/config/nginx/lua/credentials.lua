-- At most so many requests in any minute, for each client and bucket. Kept: the moments of those that were let through.
-- limit_req can't say that: 5 a minute with a burst of 5 lets 10 through in the first minute, without one it refuses a second try.
local WINDOW = 60
local moments = ngx.shared.credentials

local function admit(name, most)
    local key = name .. ":" .. ngx.var.client
    local now = ngx.now()
    local oldest = moments:rpop(key)
    while oldest and oldest <= now - WINDOW do
        oldest = moments:rpop(key)
    end
    if oldest then
        moments:rpush(key, oldest)
    end
    -- Counted first and judged then, so that of two at once in two workers none slips through.
    local count = moments:lpush(key, now)
    if not count then
        moments:flush_expired()
        count = moments:lpush(key, now) or math.huge -- no memory left: refuse rather than let guesses through
    end
    moments:expire(key, WINDOW)
    if count <= most then
        return
    end
    moments:lpop(key)
    ngx.var.refused = name
    ngx.var.retry_after = math.max(1, math.ceil((oldest or now) + WINDOW - now))
    ngx.exit(429)
end

return {
    -- buckets: "login=5 register=3"
    check = function(buckets)
        if ngx.req.get_method() == "OPTIONS" then
            return -- a preflight carries no credential
        end
        for name, most in buckets:gmatch("([%w-]+)=(%d+)") do
            admit(name, tonumber(most))
        end
    end,
}
