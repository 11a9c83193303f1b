-- Which requests may be answered from the cache, and what is kept no longer.
-- Whoever sends a header that not everybody sends may be somebody: then the cache is passed by, in both directions.
local MOST_HEADERS = 60
local ALL = "*" -- no path: paths begin with a slash
local harmless = {}
for name in ([[
    accept accept-encoding accept-language cache-control connection dnt host if-modified-since if-none-match keep-alive
    origin pragma priority referer save-data te upgrade-insecure-requests user-agent via x-request-id
    cdn-loop cf-connecting-ip cf-ipcountry cf-ray cf-visitor forwarded x-forwarded-for x-forwarded-host
    x-forwarded-proto x-real-ip
]]):gmatch("%S+") do
    harmless[name] = true
end

local purged = ngx.shared.purged
local get_headers = ngx.req.get_headers

return {
    -- Once in the life of nginx's memory: what lies on the disk from before may have been purged since.
    -- also: names of further headers that say nothing of who asks
    start = function(also)
        for name in pairs(also) do
            harmless[name] = true
        end
        purged:add(ALL, ngx.now())
    end,

    decide = function()
        local headers, truncated = get_headers(MOST_HEADERS)
        for name in pairs(headers) do
            if not harmless[name] and name:sub(1, 4) ~= "sec-" then
                ngx.var.personal = name
                return
            end
        end
        if truncated then
            ngx.var.personal = "too many headers"
            return
        end
        ngx.var.generation = purged:get(ngx.var.uri) or purged:get(ALL)
    end,

    -- POST, one path a line, or * for everything: what is kept under these paths, with whatever query, is not served any more; nothing else
    -- changes. A path's generation is part of its entries' key; those of an old one are never asked for and age out.
    purge = function()
        ngx.req.read_body()
        local count = 0
        for path in (ngx.req.get_body_data() or ""):gmatch("[^\r\n]+") do
            if path == ALL then
                purged:flush_all()
            end
            purged:set(path, ngx.var.request_id) -- no two are the same, however soon they follow
            count = count + 1
        end
        ngx.say(count)
    end,
}
