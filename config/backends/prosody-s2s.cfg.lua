-- Prosody behind portcullis, the side that speaks to other servers: no TLS of its own in either direction. Tested with
-- Prosody 0.12. These are global settings: they stand before the first VirtualHost and replace what is there of the same name.

-- Other servers come through portcullis (listener s2s-inbound, backend.s2s).
s2s_interfaces = { "127.0.0.1" }
s2s_ports = { 15269 }
s2s_direct_tls_ports = {}

-- portcullis sees to TLS and to certificates. Dialback stays Prosody's own: "dialback" in modules_enabled.
modules_disabled = { "tls" }
s2s_require_encryption = false
s2s_secure_auth = false

-- All other servers now come from one address.
limits = {}
