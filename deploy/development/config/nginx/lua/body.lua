-- Reads the request's body before anything is done with it, and cuts off whoever dribbles it in.
-- client_body_timeout counts between two reads: with a byte now and then a request would stay open for hours.
local LEAST = 500 -- bytes a second; Apache's mod_reqtimeout has the same

local function read()
    ngx.req.read_body()
end

local function watch(seconds)
    local before = tonumber(ngx.var.request_length)
    while true do
        ngx.sleep(seconds)
        local now = tonumber(ngx.var.request_length)
        if now - before < LEAST * seconds then
            return
        end
        before = now
    end
end

return {
    -- seconds: how long one may take over what would come in that time at LEAST
    read = function(seconds)
        local var = ngx.var
        if ngx.req.http_version() < 2 and not var.http_content_length and not var.http_transfer_encoding then
            return -- there is none; HTTP/2 needs no header to announce one
        end
        local reader = ngx.thread.spawn(read)
        if coroutine.status(reader) ~= "running" then
            return -- it was there already
        end
        local clock = ngx.thread.spawn(watch, seconds)
        ngx.thread.wait(reader, clock)
        if coroutine.status(reader) == "running" then
            ngx.exit(408)
        end
        ngx.thread.kill(clock)
    end,
}
