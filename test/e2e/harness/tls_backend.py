# SPDX-License-Identifier: MIT
"""Legacy servers that speak TLS: a scripted one, and a real Prosody that asks for it."""
import queue
import socket
import ssl
import threading
from unittest import mock

from . import prosody, wire
from .client import Client
from .wait import PATIENCE

STARTTLS_FEATURES = f"<stream:features><starttls xmlns='{wire.TLS}'/></stream:features>".encode()


class Server(Client):
    """The backend's end of one connection: exact bytes, and TLS as the server."""

    def __init__(self, sock):  # pylint: disable=super-init-not-called
        self.sock, self.pending = sock, b""

    def greet(self, features=STARTTLS_FEATURES, identity="b1-id"):
        """Takes the header, answers header and features. Returns what came."""
        data = self.until(wire.HEADER_PATTERN)
        self.send(wire.backend_header(identity) + features)
        return data

    def asked(self, **options):
        """The first stream, up to the <starttls/> that must come whatever it was told."""
        header = self.greet(**options)
        assert self.until(wire.STARTTLS) == wire.STARTTLS
        return header

    def proceed(self, chain, version=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*chain)
        if version:
            context.minimum_version, context.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, version
            context.set_ciphers("ALL:@SECLEVEL=0")
        assert self.pending == b"", f"plaintext before TLS: {self.pending!r}"
        self.send(wire.PROCEED)
        self.sock.settimeout(PATIENCE)
        self.sock = context.wrap_socket(self.sock, server_side=True, suppress_ragged_eofs=False)
        return self

    def ended(self):
        """The other side ends; what came before it."""
        return self.to_end()[0]


class TlsBackend:
    """Listens on a free loopback port or a Unix socket; `accept` gives the next connection as a Server."""

    def __init__(self, path=None):
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.bind(path or ("127.0.0.1", 0))
        self.address = "unix:" + path if path else "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.listener.listen(64)
        self.queue, self.taken = queue.Queue(), []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                self.queue.put(Server(self.listener.accept()[0]))
            except OSError:
                return

    def accept(self, timeout=PATIENCE):
        try:
            self.taken.append(self.queue.get(timeout=timeout))
        except queue.Empty:
            raise AssertionError(f"nobody connected to the backend in {timeout} s") from None
        return self.taken[-1]

    def nobody(self, seconds=0.5):
        try:
            self.queue.get(timeout=seconds)
        except queue.Empty:
            return
        raise AssertionError("a connection that must not be")

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for server in self.taken:
            server.drop()


def tls_prosody(users, chain, domain="im.test"):
    """A Prosody that lets nobody log in without TLS."""
    host = 'VirtualHost "{domain}"\n'
    config = prosody.CONFIG.replace('modules_disabled = {{ "tls", ', "modules_disabled = {{ ")
    assert config != prosody.CONFIG and host in config
    own = ('modules_enabled = {{ "tls" }}\nc2s_require_encryption = true\n'
           f'ssl = {{{{ certificate = "{chain[0]}", key = "{chain[1]}" }}}}\n')
    with mock.patch.object(prosody, "CONFIG", config.replace(host, host + own)):
        return prosody.Prosody(users, domain)
