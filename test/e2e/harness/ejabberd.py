# SPDX-License-Identifier: MIT
"""A real ejabberd without STARTTLS. The Erlang node has no name: no distribution port, no epmd, nothing beyond loopback."""
import glob

from .server import Server
from .snippet import snippet
from .wait import free_port, until

CONFIG = """
loglevel: info
hosts: [ "{domain}" ]
auth_method: internal
auth_password_format: plain
acl: {{ local: {{ user_regexp: "" }} }}
access_rules: {{ c2s: {{ allow: all }} }}
shaper: {{ normal: 10000000 }}
shaper_rules: {{ c2s_shaper: normal }}
modules:
  mod_roster: {{}}
  mod_disco: {{}}
  mod_ping: {{}}
  mod_legacy_auth: {{}}
  mod_stream_mgmt: {{}}
"""
PROXIED = """
  -
    port: {port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    starttls: false
    access: c2s
    use_proxy_protocol: true
"""


class Ejabberd(Server):
    """`port` is as the guide says; `proxied_port` demands a PROXY header and believes it."""

    NAME = "ejabberd"

    def start(self):
        self.proxied_port = free_port()
        self.proxied_address = f"127.0.0.1:{self.proxied_port}"
        listen = snippet("ejabberd.yml", port=("15222", self.port))
        self.config = self.write("ejabberd.yml", self.edit(CONFIG.format(domain=self.domain) + listen + PROXIED.format(port=self.proxied_port)))
        libraries = sorted(glob.glob("/usr/lib/*/ejabberd-*")) or sorted(glob.glob("/usr/lib/ejabberd-*"))
        environment = {"EJABBERD_CONFIG_PATH": self.config, "EJABBERD_LOG_PATH": self.path("ejabberd.log"),
                       "ERL_INETRC": self.write("inetrc", ""), "ERL_CRASH_DUMP_BYTES": "0",
                       "ERL_LIBS": libraries[0].rpartition("/")[0] if libraries else ""}
        register = "".join(f'ok=ejabberd_auth:try_register({binary(user)},{binary(self.domain)},{binary(password)}),'
                           for user, password in self.users.items())
        self.run("erl", "+S", "1", "-noinput", "-mnesia", "dir", f'"{self.path("spool")}"', "-s", "ejabberd", "-eval",
                 register + 'io:format("registered~n").', env=environment)
        self.wait_port(self.port)
        until(lambda: "registered\n" in self.output(), "the accounts in ejabberd", 20)

    def stop(self):
        for process in self.processes:  # its own end takes seconds, and nothing is to be kept
            process.kill()
        super().stop()


def binary(text):
    return "<<" + ",".join(str(byte) for byte in text.encode()) + ">>"
