-- Prosody behind portcullis: plaintext on loopback only. Tested with Prosody 0.12.
-- These are global settings: they stand before the first VirtualHost and replace what is there of the same name.

-- Only portcullis may reach these ports.
interfaces = { "127.0.0.1" }
c2s_ports = { 15222 }
c2s_direct_tls_ports = {}

-- No STARTTLS on this hop. Without mod_tls no channel binding (SCRAM-*-PLUS) is offered either.
modules_disabled = { "tls" }

-- Left at their defaults these two end every stream behind the proxy: "No stream features to proceed with",
-- and PLAIN is not offered.
c2s_require_encryption = false
allow_unencrypted_plain_auth = true

-- All clients now come from one address: limits by address belong into portcullis (limits.connections-per-address).
limits = {}
