-- Every connection that Prosody opens to another server goes to one address: portcullis' listener s2s-outbound. Which domain is
-- meant stands in the stream header, and finding its server is portcullis' business. Tested with Prosody 0.12.
--
--   plugin_paths = { "/usr/share/doc/portcullis/backends" }     -- or where this file is copied to
--   modules_enabled = { …; "s2s_next_hop" }
--   s2s_next_hop_host = "127.0.0.1"
--   s2s_next_hop_port = 15270
module:set_global();

local by_dns = require "net.resolvers.service";
local fixed = require "net.resolvers.manual";

local host = module:get_option_string("s2s_next_hop_host", "127.0.0.1");
local port = module:get_option_number("s2s_next_hop_port", 15270);
local kind = host:find(":", 1, true) and "tcp6" or "tcp4";
local new = by_dns.new;

function by_dns.new(domain, name, ...)
	if name ~= "xmpp-server" and name ~= "xmpps-server" then
		return new(domain, name, ...);
	end
	local transport, extra = ...;
	-- No TLS of its own on this hop: an xmpps-server lookup finds nothing.
	local where = name == "xmpp-server" and { { kind, host, port, extra } } or {};
	return fixed.new(where, transport or "tcp", extra);
end

function module.unload()
	by_dns.new = new;
end
