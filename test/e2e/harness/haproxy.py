# SPDX-License-Identifier: MIT
"""A real HAProxy on loopback: in front of the proxy or behind it, passing bytes on with PROXY headers of its own."""
import os
import shutil
import socket
import subprocess
import tempfile

from .wait import free_port, until

CONFIG = """
global
    maxconn 200
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen all
    bind 127.0.0.1:{port} {bind}
    server one {address} {server}
"""


class Haproxy:
    def __init__(self, address, bind="", server=""):
        self.directory = tempfile.mkdtemp(prefix="portcullis-haproxy-")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        config = os.path.join(self.directory, "haproxy.cfg")
        with open(config, "w", encoding="ascii") as out:
            out.write(CONFIG.format(port=self.port, bind=bind, address=address, server=server))
        self.process = subprocess.Popen(["haproxy", "-db", "-q", "-f", config], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        until(self.listens, "HAProxy to listen", 20)

    def listens(self):
        assert self.process.poll() is None, self.process.stderr.read().decode()
        with socket.socket() as s:
            try:  # bound, and not by us: connecting would be a connection to whoever is behind
                s.bind(("127.0.0.1", self.port))
            except OSError:
                return True
        return False

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        shutil.rmtree(self.directory, ignore_errors=True)
