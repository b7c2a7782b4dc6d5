# SPDX-License-Identifier: MIT
"""A real legacy server: Prosody without TLS, plaintext on loopback, with accounts of the test's own. How it is made one is in
config/backends/prosody.cfg.lua."""
import os
import shutil
import subprocess
import tempfile

from .snippet import snippet
from .wait import free_port, until

CONFIG = """
run_as_root = true
data_path = "{directory}/data"
pidfile = "{directory}/prosody.pid"
certificates = "{directory}/certs"
log = {{ {{ levels = {{ min = "info" }}, to = "file", filename = "{directory}/prosody.log" }} }}
local_interfaces = {{ "127.0.0.1" }}
s2s_ports = {{ }}
s2s_direct_tls_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}
component_ports = {{ }}
modules_enabled = {{ "roster", "saslauth", "disco", "ping", "posix", "legacyauth", "smacks" }}
authentication = "internal_plain"
{backend}
modules_disabled = {{ "tls", "s2s", "admin_socket" }}
VirtualHost "{domain}"
"""


class Prosody:
    def __init__(self, users, domain="im.test", edit=lambda text: text):
        self.directory = tempfile.mkdtemp(prefix="portcullis-prosody-")
        for name in ("data", "certs"):
            os.mkdir(os.path.join(self.directory, name))
        self.port, self.domain = free_port(), domain
        self.address = f"127.0.0.1:{self.port}"
        self.config = os.path.join(self.directory, "prosody.cfg.lua")
        with open(self.config, "w", encoding="ascii") as out:
            out.write(edit(CONFIG.format(directory=self.directory, domain=domain,
                                    backend=snippet("prosody.cfg.lua", port=("15222", self.port)))))
        for user, password in users.items():
            subprocess.run(["prosodyctl", "--config", self.config, "register", user, domain, password], check=True,
                           capture_output=True, timeout=30)
        self.process = subprocess.Popen(["prosody", "--config", self.config, "-F"], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        until(self.listens, "Prosody to listen", 20)

    def listens(self):
        import socket
        assert self.process.poll() is None, open(os.path.join(self.directory, "prosody.log"), encoding="utf-8").read()
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def log(self):
        with open(os.path.join(self.directory, "prosody.log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
