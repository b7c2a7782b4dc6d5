# SPDX-License-Identifier: MIT
"""Real servers that federate, each on a host (netns.Namespace) of its own choice: the legacy ones as docs/federation.md and
config/backends make them, the modern ones with TLS and certificates required. All find each other by the laboratory's DNS."""
import glob
import os
import re
import signal
import socket
import subprocess

from .ejabberd import binary
from .jabberd2 import INSTALLED, Jabberd2
from .server import Server
from .snippet import BACKENDS, snippet
from .wait import until

PROSODY = """
run_as_root = true
data_path = "{directory}/data"
pidfile = "{directory}/prosody.pid"
certificates = "{directory}/certs"
log = {{ {{ levels = {{ min = "debug" }}, to = "file", filename = "{directory}/prosody.log" }} }}
unbound = {{ resolvconf = true, trusted = "{anchor}" }}
http_ports = {{ }}
https_ports = {{ }}
component_ports = {{ }}
local_interfaces = {{ "127.0.0.1" }}
modules_enabled = {{ "roster", "saslauth", "disco", "ping", "posix", "dialback", {modules} }}
authentication = "internal_plain"
{settings}
VirtualHost "{domain}"
"""
MODERN = """
interfaces = {{ {interfaces} }}
c2s_ports = {{ 5222 }}
s2s_ports = {{ 5269 }}
c2s_direct_tls_ports = {{ 5223 }}
s2s_direct_tls_ports = {{ 5270 }}
c2s_require_encryption = true
s2s_require_encryption = true
s2s_secure_auth = {secure}
ssl = {{ key = "{key}", certificate = "{chain}", cafile = "{ca}" }}
"""


class Federated(Server):
    """`port` is for clients. Legacy servers listen on their host's loopback, modern ones on `address`."""

    def __init__(self, host, users, domain, lab, address="127.0.0.1", edit=lambda text: text, **settings):
        self.host, self.lab, self.listen_at, self.settings = host, lab, address, settings
        super().__init__(users, domain, edit)

    def run(self, *words, env=None):
        super().run(*self.host.prefix(), *words, env=env)

    def wait_port(self, port, seconds=30):
        def listens():
            assert all(p.poll() is None for p in self.processes), f"{self.NAME} ended at start:\n{self.output()[-4000:]}"
            return connects(self.host, self.listen_at, port)
        until(listens, f"{self.NAME} of {self.domain} to listen", seconds)

    def ports(self, c2s, s2s):
        self.port, self.s2s_port = c2s, s2s
        self.address, self.s2s_address = f"{self.listen_at}:{c2s}", f"{self.listen_at}:{s2s}"


def connects(host, address, port):
    with host.inside():
        try:
            socket.create_connection((address, port), 1).close()
            return True
        except OSError:
            return False


class FederatedProsody(Federated):
    NAME = "prosody"

    def begin(self, modules, settings):
        for name in ("data", "certs"):
            os.mkdir(self.path(name))
        with open(self.lab.anchor, encoding="ascii") as anchor:
            text = PROSODY.format(directory=self.directory, domain=self.domain, modules=modules, settings=settings,
                                  anchor=anchor.read().strip())
        config = self.write("prosody.cfg.lua", self.edit(text))
        for user, password in self.users.items():
            subprocess.run(["prosodyctl", "--config", config, "register", user, self.domain, password], check=True,
                           capture_output=True, timeout=30)
        self.run("prosody", "--config", config, "-F")
        self.wait_port(self.port)


NEXT_HOP = f"""
plugin_paths = {{ "{BACKENDS}" }}
s2s_next_hop_host = "127.0.0.1"
s2s_next_hop_port = 15270
"""


class LegacyProsody(FederatedProsody):
    """next_hop: its connections to other servers go to 127.0.0.1:15270, by the plugin in config/backends."""

    def start(self):
        self.ports(15222, 15269)
        hop = self.settings.get("next_hop", False)
        self.begin('"legacyauth", "s2s_next_hop"' if hop else '"legacyauth"',
                   snippet("prosody.cfg.lua") + snippet("prosody-s2s.cfg.lua") + (NEXT_HOP if hop else ""))


class ModernProsody(FederatedProsody):
    """Nobody speaks to it without TLS, and no server without a certificate that proves it (`secure`)."""

    def start(self):
        self.ports(5222, 5269)
        chain, key = self.settings["certificate"]
        interfaces = ", ".join(f'"{a}"' for a in (self.listen_at, *self.settings.get("also", ())))
        self.begin('"tls"', MODERN.format(interfaces=interfaces, key=key, chain=chain, ca=self.settings["ca"],
                                          secure=str(self.settings.get("secure", True)).lower()))


EJABBERD = """
loglevel: debug
hosts: [ "{domain}" ]
auth_method: internal
auth_password_format: plain
acl: {{ local: {{ user_regexp: "" }} }}
access_rules: {{ c2s: {{ allow: all }} }}
shaper: {{ normal: 10000000 }}
shaper_rules: {{ c2s_shaper: normal }}
outgoing_s2s_families: [ ipv4, ipv6 ]
outgoing_s2s_timeout: 8 seconds
s2s_dns_timeout: 5 seconds
s2s_dns_retries: 1
modules:
  mod_roster: {{}}
  mod_disco: {{}}
  mod_ping: {{}}
  mod_legacy_auth: {{}}
  mod_s2s_dialback: {{}}
"""
EJABBERD_MODERN = """
ca_file: "{ca}"
certfiles: [ "{bundle}" ]
s2s_use_starttls: required
s2s_max_retry_delay: 1
listen:
  - {{ port: 5222, ip: "{address}", module: ejabberd_c2s, starttls_required: true, access: c2s }}
  - {{ port: 5269, ip: "{address}", module: ejabberd_s2s_in }}
"""
INETRC = """{lookup, [file, native]}.
{host, {127,0,0,1}, ["localhost"]}.
{file, resolv, "/etc/resolv.conf"}.
"""


class FederatedEjabberd(Federated):
    """The Erlang node has no name: no distribution, no epmd."""

    NAME = "ejabberd"

    def begin(self, text):
        libraries = sorted(glob.glob("/usr/lib/*/ejabberd-*")) or sorted(glob.glob("/usr/lib/ejabberd-*"))
        environment = {"EJABBERD_CONFIG_PATH": self.write("ejabberd.yml", self.edit(text)), "ERL_CRASH_DUMP_BYTES": "0",
                       "EJABBERD_LOG_PATH": self.path("ejabberd.log"), "ERL_INETRC": self.write("inetrc", INETRC),
                       "ERL_LIBS": libraries[0].rpartition("/")[0] if libraries else ""}
        register = "".join(f'ok=ejabberd_auth:try_register({binary(user)},{binary(self.domain)},{binary(password)}),'
                           for user, password in self.users.items())
        self.run("erl", "+S", "1", "-noinput", "-mnesia", "dir", f'"{self.path("spool")}"', "-s", "ejabberd", "-eval",
                 register + 'io:format("registered~n").', env=environment)
        self.wait_port(self.port)
        until(lambda: "registered\n" in self.output(), "the accounts in ejabberd", 30)

    def stop(self):
        for process in self.processes:  # its own end takes seconds, and nothing is to be kept
            process.send_signal(signal.SIGKILL)
        super().stop()


class LegacyEjabberd(FederatedEjabberd):
    def start(self):
        self.ports(25222, 25269)
        c2s = snippet("ejabberd.yml", port=("15222", self.port))
        s2s = snippet("ejabberd-s2s.yml", port=("15269", self.s2s_port), delay=("delay: 10 ", "delay: 1 "))
        head, listen, tail = s2s.partition("listen:\n")
        entries, _, keys = tail.partition("s2s_use_starttls")
        self.begin(EJABBERD.format(domain=self.domain) + c2s + entries + "s2s_use_starttls" + keys)


class ModernEjabberd(FederatedEjabberd):
    def start(self):
        self.ports(5222, 5269)
        chain, key = self.settings["certificate"]
        bundle = self.write("bundle.pem", open(key, encoding="ascii").read() + open(chain, encoding="ascii").read())
        self.begin(EJABBERD.format(domain=self.domain) +
                   EJABBERD_MODERN.format(ca=self.settings["ca"], bundle=bundle, address=self.listen_at))


class LegacyJabberd2(Federated, Jabberd2):
    """Router, session manager, c2s and s2s. Its outgoing stream headers name nobody."""

    NAME = "jabberd2"
    COMPONENTS = ("router", "sm", "s2s", "c2s")

    def start(self):
        self.ports(35222, 35269)
        Jabberd2.start(self)
        self.wait_port(self.s2s_port)

    def component(self, name):
        text = Jabberd2.component(self, name)
        if name == "s2s":
            local = snippet("jabberd2-s2s.xml", port=("15269", self.s2s_port), origin=("192.0.2.1", self.host.addresses[0]))
            text, count = re.subn(r"<local>.*?</local>", lambda _: re.sub(r"<!--.*?-->", "", local, flags=re.S), text, flags=re.S)
            assert count == 1, f"{INSTALLED}/s2s.xml has no <local>"
        return text
