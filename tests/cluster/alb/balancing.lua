-- What is done with a request, by the table that the controller last wrote. Loaded once in each of nginx's workers.
local json = require "cjson.safe"
local balancer = require "ngx.balancer"
local ssl = require "ngx.ssl"

local kept = ngx.shared.balancing
local version, current

local function pattern(text)
    local escaped = text:gsub("[%^%$%(%)%%%.%[%]%+%-]", "%%%0")
    return "^" .. escaped:gsub("%*", ".*"):gsub("%?", ".") .. "$"
end

local function now()
    local written = kept:get("version")
    if written ~= version then
        current = json.decode(kept:get("table"))
        for _, one in pairs(current) do
            for _, listener in pairs(one.listeners) do
                for _, rule in ipairs(listener.rules) do
                    for at, host in ipairs(rule.hosts) do rule.hosts[at] = pattern(host:lower()) end
                    for at, path in ipairs(rule.paths) do rule.paths[at] = pattern(path) end
                end
            end
        end
        version = written
    end
    return current or {}
end

local function any(patterns, text)
    for _, one in ipairs(patterns) do
        if text:find(one) then return true end
    end
    return false
end

local function answer(status, body, kind)
    ngx.status = status
    ngx.header.content_type = kind or "text/plain"
    ngx.print(body or "")
    return ngx.exit(ngx.HTTP_OK)
end

local function chosen(groups)
    local sum = 0
    for _, group in ipairs(groups) do sum = sum + group.weight end
    local left = math.random() * sum
    for _, group in ipairs(groups) do
        left = left - group.weight
        if left < 0 and group.weight > 0 then return group end
    end
end

local function rule_for(listener)
    local host = (ngx.var.http_host or ""):lower():gsub(":%d+$", "")
    -- As it came: neither decoded nor made shorter.
    local path = ngx.var.request_uri:gsub("%?.*$", "")
    for _, rule in ipairs(listener.rules) do
        if (#rule.hosts == 0 or any(rule.hosts, host)) and any(rule.paths, path) then return rule end
    end
    return {action = listener.default, body = 0, silence = 0}
end

local function route()
    local one = now()[ngx.var.server_addr]
    local listener = one and one.listeners[ngx.var.scheme]
    -- Nobody listens: there is no such load balancer, or none at this port.
    if not listener then return ngx.exit(444) end
    local rule = rule_for(listener)
    local action = rule.action
    if action.kind == "fixed" then return answer(action.status, action.body, action.content_type) end
    if action.kind == "redirect" then
        ngx.header.location = "https://" .. (ngx.var.http_host or ""):gsub(":%d+$", "") .. ngx.var.request_uri
        return answer(action.status)
    end
    if rule.body > 0 and (tonumber(ngx.var.http_content_length) or 0) > rule.body then return answer(413) end
    local group = chosen(action.groups)
    local targets = group and one.targets[group.name]
    if not targets or #targets == 0 then return answer(503, "no target can take it\n") end
    local turn = kept:incr("turn " .. group.name, 1, 0)
    local silence = rule.silence > 0 and rule.silence or one.idle
    ngx.ctx.going = {targets = targets, turn = turn, silence = silence}
end

local function peer()
    local going = ngx.ctx.going
    -- Whether there is a second try is said by proxy_next_upstream; nginx makes none of a POST that was sent.
    if not going.tried then
        assert(balancer.set_more_tries(2))
        going.tried = 0
    end
    local to = going.targets[(going.turn + going.tried) % #going.targets + 1]
    going.tried = going.tried + 1
    balancer.set_timeouts(10, going.silence, going.silence)
    assert(balancer.set_current_peer(to.address, to.port))
end

local function certificate()
    local address, kind = ssl.raw_server_addr()
    if kind ~= "inet" then return end
    local one = now()[table.concat({address:byte(1, 4)}, ".")]
    local pair = one and one.certificates[ssl.server_name() or ""]
    if not pair then return end
    ssl.clear_certs()
    assert(ssl.set_cert(assert(ssl.parse_pem_cert(pair[1]))))
    assert(ssl.set_priv_key(assert(ssl.parse_pem_priv_key(pair[2]))))
end

local function write()
    ngx.req.read_body()
    local text = ngx.req.get_body_data()
    if not text or not json.decode(text) then return ngx.exit(400) end
    assert(kept:set("table", text))
    kept:incr("version", 1, 0)
    ngx.print("ok")
end

return {route = route, peer = peer, certificate = certificate, write = write}
