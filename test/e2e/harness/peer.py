# SPDX-License-Identifier: MIT
"""A remote server that comes to portcullis' inbound listener, by script: exact bytes, and a client certificate of its own."""
import re
import ssl

from . import s2s, wire
from .client import Client
from .legacy import FEATURES_END
from .wait import PATIENCE


def context(pki, chain=None, alpn=None, version=None):
    """Verifies portcullis; shows that certificate (chain, key)."""
    made = ssl.create_default_context(cafile=pki.ca)
    made.set_ciphers("ALL:@SECLEVEL=0")
    if chain:
        made.load_cert_chain(*chain)
    if alpn:
        made.set_alpn_protocols(alpn)
    if version:
        made.minimum_version, made.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, version
    return made


class Peer(Client):
    def clear(self, to="im.test", sender="remote.test"):
        """The plaintext stream up to the features, which are <starttls/> and nothing else."""
        self.send(s2s.header(to, sender))
        said = self.until(wire.FEATURES_STARTTLS)
        found = re.fullmatch(s2s.own_header(to, sender) + re.escape(wire.FEATURES_STARTTLS), said)
        assert found, said
        self.clear_identity = found.group(1)
        return self

    def secure(self, made, to="im.test", sender="remote.test"):
        self.clear(to, sender)
        self.send(wire.STARTTLS)
        said = self.until(wire.PROCEED)
        assert said == wire.PROCEED, said
        return self.handshake(made, to)

    def begin(self, to="im.test", sender="remote.test", version="1.0", **options):
        """The header inside TLS."""
        self.sent = s2s.header(to, sender, version, **options)
        self.send(self.sent)
        return self

    def opened(self, timeout=PATIENCE):
        """The answer to it, features included."""
        said = self.until(wire.HEADER_PATTERN, timeout)
        return said + self.until(FEATURES_END, timeout)

    def refused(self, word, to="im.test", sender="remote.test", timeout=PATIENCE):
        """Answered by portcullis itself, with the error for that word, byte for byte."""
        data, end = self.to_end(timeout)
        assert re.fullmatch(s2s.own_header(to, sender) + re.escape(s2s.told(word)), data), data
        assert end == "fin", end
        return data

    def dialback(self, connection, to="im.test", sender="remote.test"):
        """The pair (sender, to) is asked for, and found valid by the legacy server's end of it."""
        self.send(s2s.result(sender, to))
        connection.wait_for(s2s.result(sender, to))
        connection.take()
        connection.send(s2s.answer(to, sender))
        said = self.until(s2s.answer(to, sender))
        assert said == s2s.answer(to, sender), said
        return self
