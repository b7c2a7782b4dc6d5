# SPDX-License-Identifier: MIT
"""A legacy server by script, on both of its sides: it opens streams to portcullis' outbound listener, and takes those that
portcullis brings from the network."""
import re

from . import s2s, wire
from .backend import Backend
from .client import Client
from .wait import PATIENCE

FEATURES_END = re.compile(rb"<stream:features\s*/>|</stream:features>")


class Legacy(Client):
    """A stream that the legacy server opens, in plaintext."""

    def begin(self, to, sender="im.test", version="1.0", behind=b"", namespace=s2s.SERVER, **options):
        """The header, and what is pipelined behind it."""
        self.to, self.sender, self.version, self.namespace = to, sender, version, namespace
        self.sent = s2s.header(to, sender, version, namespace=namespace, **options)
        self.send(self.sent + behind)
        return self

    def open(self, to, sender="im.test", version="1.0", timeout=3 * PATIENCE, **options):
        """Header, and the answer up to its features (which a server older than 1.0 does not get)."""
        self.begin(to, sender, version, **options)
        self.opened = self.until(wire.HEADER_PATTERN, timeout)
        if version:
            self.opened += self.until(FEATURES_END)
        self.identity = s2s.value(self.opened, "id")
        return self

    def dialback(self, guest, sender=None, to=None):
        """The pair (sender, to) is asked for and found valid by guest, the remote's end."""
        sender, to = sender or self.sender, to or self.to
        self.send(s2s.result(sender, to))
        asked = guest.until(s2s.result(sender, to))
        assert asked == s2s.result(sender, to), asked
        guest.send(s2s.answer(to, sender))
        said = self.until(s2s.answer(to, sender))
        assert said == s2s.answer(to, sender), said
        return self

    def finish(self, guest):
        """Closed in order, by both."""
        self.send(wire.CLOSE)
        assert guest.until(wire.CLOSE) == wire.CLOSE
        guest.send(wire.CLOSE)
        guest.close()
        assert self.to_end() == (wire.CLOSE, "fin")

    def refused(self, word, timeout=3 * PATIENCE):
        """The stream is answered with the error for that word and nothing else, byte for byte."""
        data, _ = self.to_end(timeout)
        expected = s2s.own_header(self.to, self.sender, bool(self.version), self.namespace) + re.escape(s2s.told(word))
        assert re.fullmatch(expected, data), (data, expected)
        return data

    def told(self, word, timeout=3 * PATIENCE):
        """The stream that is up ends with the error for that word; returns what came before it."""
        data, _ = self.to_end(timeout)
        assert data.endswith(s2s.told(word)), (data, s2s.told(word))
        return data[:-len(s2s.told(word))]


class Outward:
    """One of the two ways out, for tests that hold for both: the legacy server to other servers, local clients to their service."""

    def __init__(self, role):
        self.role, self.servers = role, role == "s2s-outbound"
        self.service = "server" if self.servers else "client"
        self.namespace = s2s.SERVER if self.servers else s2s.CLIENT
        self.features = s2s.FEATURES_DIALBACK if self.servers else wire.FEATURES_AUTH

    def server(self, remote, **script):
        """remote: the fixture."""
        made = remote(**dict({"features": self.features}, **script))
        made.namespace = self.namespace
        return made

    def dress(self, server):
        """One that is there already."""
        server.namespace, server.features = self.namespace, self.features

    def options(self, to):
        return {} if self.servers else {"sender": f"juliet@{to}", "namespace": self.namespace}

    def begin(self, proxy, to, **options):
        return Legacy(proxy.outbound if self.servers else proxy.clients).begin(to, **self.options(to), **options)

    def open(self, proxy, to, **options):
        return Legacy(proxy.outbound if self.servers else proxy.clients).open(to, **self.options(to), **options)

    def authenticate(self, stream, guest):
        """What comes next passes, both ways."""
        if self.servers:
            stream.dialback(guest)
            return
        stream.send(wire.auth())
        assert guest.until(wire.auth()) == wire.auth()
        guest.send(wire.SUCCESS)
        assert stream.until(wire.SUCCESS) == wire.SUCCESS


class LegacyBackend(Backend):
    """The legacy server's port for other servers: `greet_server` answers the header that portcullis brings."""

    def greet_server(self, features=s2s.FEATURES_DIALBACK, identity="b1-93ab62f7c05d", version="1.0", timeout=PATIENCE):
        """The next connection, its header answered; the header is in `opened`."""
        connection = self.accept(timeout)
        connection.wait_for(wire.HEADER_PATTERN)
        connection.opened = connection.take()
        connection.answered = s2s.header(s2s.value(connection.opened, "from"), s2s.value(connection.opened, "to"), version, identity) + \
            (features if version else b"")
        connection.send(connection.answered)
        return connection
