# SPDX-License-Identifier: MIT
"""A server from before XMPP 1.0, as jabberd 1.4 was: no version, no features, jabber:iq:auth by password or digest
(XEP-0078). Stanzas are read with patterns, for that is how much of XML this one knows."""
import hashlib
import itertools
import re

from .backend import Backend

STREAMS = "http://etherx.jabber.org/streams"
STANZA = re.compile(rb"\s*(<(\w+)(?:\s[^>]*)?/>|<(\w+)(?:\s[^>]*)?(?<!/)>.*?</\3>)", re.S)
FORM = "<username/><password/><digest/><resource/>"


def attribute(stanza, name):
    found = re.search(rf"^<[^>]*\s{name}=['\"]([^'\"]*)".encode(), stanza)
    return found.group(1).decode() if found else ""


def text(stanza, name):
    found = re.search(rf"<{name}>([^<]*)</{name}>".encode(), stanza)
    return found.group(1).decode() if found else None


class OldServer(Backend):
    def __init__(self, users, ids=(f"{n:08X}" for n in itertools.count(1)), domain="im.test"):
        self.users, self.ids, self.domain, self.headers = users, iter(ids), domain, []
        super().__init__(self.talk)

    def header(self, identity):
        return (f"<?xml version='1.0'?><stream:stream from='{self.domain}' id='{identity}' xmlns='jabber:client' "
                f"xmlns:stream='{STREAMS}'>")

    def talk(self, connection):
        seen = connection.wait_for(re.compile(rb"<stream:stream\s[^>]*>"))
        self.headers.append(seen)
        identity, user = next(self.ids), None
        connection.send(self.header(identity))
        at = re.search(rb"<stream:stream\s[^>]*>", seen).end()
        while True:
            with connection.changed:
                connection.changed.wait_for(lambda: len(connection.received) > at or connection.ended, 1)
                data, ended = connection.received[at:], connection.ended
            found = STANZA.match(data)
            if found:
                at += found.end()
                user = self.answer(connection, found.group(1), identity, user) or user
            elif data.lstrip().startswith(b"</stream:stream>"):
                connection.send("</stream:stream>")
                connection.half_close()
                return
            elif ended:
                return

    def answer(self, connection, stanza, identity, user):
        """One stanza. Returns who that authenticated."""
        if b"jabber:iq:auth" in stanza:
            return self.authenticate(connection, stanza, identity)
        if stanza.startswith(b"<message") and user:
            connection.send(stanza.replace(b"<message", f"<message from='{user}@{self.domain}'".encode(), 1))
        elif stanza.startswith((b"<auth", b"<starttls")) or (stanza.startswith(b"<message") and not user):
            connection.send("<stream:error>Invalid XML</stream:error></stream:stream>")
        return None

    def authenticate(self, connection, stanza, identity):
        number, name = attribute(stanza, "id"), text(stanza, "username")
        if attribute(stanza, "type") == "get":
            connection.send(f"<iq type='result' id='{number}'><query xmlns='jabber:iq:auth'>{FORM}</query></iq>")
            return None
        password = self.users.get(name)
        digest = hashlib.sha1((identity + (password or "")).encode()).hexdigest()
        if password is None or (text(stanza, "password") != password and text(stanza, "digest") != digest):
            connection.send(f"<iq type='error' id='{number}'><error code='401'>Unauthorized</error></iq>")
            return None
        connection.send(f"<iq type='result' id='{number}'/>")
        return name
