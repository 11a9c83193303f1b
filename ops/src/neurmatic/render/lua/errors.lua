-- What the edge answers when it is the one who refuses: problem details (RFC 9457) where a service is routed, a page elsewhere.
local texts = {
    [400] = { "The request is not valid", "The edge could not read it." },
    [403] = { "Not allowed", "" },
    [404] = { "Not found", "There is nothing at this address." },
    [405] = { "This address does not take that method", "" },
    [408] = { "The request took too long", "It did not arrive within the time allowed." },
    [413] = { "The request is too large", "Its body is longer than what is taken here." },
    [414] = { "The address is too long", "" },
    [416] = { "There is no such part", "" },
    [421] = { "This server does not answer for that name", "" },
    [429] = { "Too many requests", "Wait as many seconds as Retry-After says, then try again." },
    [431] = { "The request's header is too large", "A cookie may have grown too long: clear it and try again." },
    [500] = { "Something went wrong on our side", "" },
    [502] = { "Not available for the moment", "No instance answers; try again in a moment." },
    [503] = { "Not available for the moment", "Try again in a moment." },
    [504] = { "Not answered in time", "No instance answered within the time allowed; try again in a moment." },
}
local PROBLEM = '{"type":"about:blank","title":"%s","status":%d,"detail":"%s","request_id":"%s"}'
local PAGE = [[<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>%s</title>
<h1>%s</h1>
<p>%s</p>
<p><small>%d, request %s</small></p>
</html>
]]

local CLOSED = "@maintenance"
local said = {} -- what is answered then, by content type; $request_id in it becomes the request's

return {
    -- folder: where `neurmatic maintenance` leaves its texts; they are read whenever nginx loads its configuration
    start = function(folder)
        for kind, name in pairs({ ["text/html"] = "page.html", ["application/problem+json"] = "problem.json" }) do
            local file = io.open(folder .. "/" .. name, "rb")
            said[kind] = file and file:read("*a")
            if file then
                file:close()
            end
        end
    end,

    -- service: the one that the path belongs to; "" for the site
    answer = function(service)
        local status = tonumber(ngx.var.status)
        local title, detail = unpack(texts[status] or { "Error", "" })
        if (status == 429 or status == 503) and ngx.var.retry_after == "" then
            ngx.var.retry_after = 1
        end
        ngx.var.cache_control = "no-store"
        local has_pages = ngx.var.always_problem == "" -- the site, or a service that has pages, too
        local takes_pages = (ngx.var.http_accept or ""):find("text/html", 1, true)
        local kind = has_pages and (service == "" or takes_pages) and "text/html" or "application/problem+json"
        ngx.header.content_type = kind
        if ngx.var.refused == CLOSED and said[kind] then
            ngx.print((said[kind]:gsub("%$request_id", ngx.var.request_id)))
        elseif kind == "text/html" then
            ngx.print(PAGE:format(title, title, detail, status, ngx.var.request_id))
        else
            ngx.print(PROBLEM:format(title, status, detail, ngx.var.request_id))
        end
    end,
}
