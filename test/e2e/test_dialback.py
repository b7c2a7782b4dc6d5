# SPDX-License-Identifier: MIT
"""Dialback passes byte for byte and is watched (XEP-0220; DB-1 to 11): every pair of domains on a stream is held against policy,
answers that nobody asked for go nowhere, and no stanza passes for a pair that is not proven."""
import re

import pytest

from harness import audit, s2s, wire
from harness.gateway import EXCUSE, peer
from harness.legacy import Legacy
from harness.peer import Peer, context

REMOTE = "remote.test"


@pytest.fixture
def outbound(gateway, remote):
    """outbound(...) -> proxy, a legacy server's stream that is up, and the remote's end of it."""
    def make(script=None, more=(), **options):
        server = remote(**(script or {}))
        proxy = gateway([peer(REMOTE, server), *more], **options)
        legacy = Legacy(proxy.outbound).open(REMOTE)
        return proxy, legacy, server.ready()
    return make


# --- what nobody asked for (DB-2)
@pytest.mark.parametrize("element", [s2s.answer(REMOTE, "im.test"), s2s.verified(REMOTE, "im.test", "x1")], ids=["result", "verify"])
def test_an_answer_from_the_one_who_came(inbound, element):
    proxy, visitor, server = inbound()
    visitor.send(element)
    visitor_said, _ = visitor.to_end()
    assert visitor_said == s2s.told("unsolicited-dialback"), visitor_said
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "unsolicited-dialback"
    assert b"type='valid'" not in server.received


@pytest.mark.parametrize("element", [s2s.answer(REMOTE, "im.test"), s2s.verified(REMOTE, "im.test", "x1"),
                                     s2s.answer("somebody.test", "im.test")], ids=["result", "verify", "other"])
def test_an_answer_from_the_one_who_was_asked_something_else(outbound, element):
    """CVE-2012-3525 and its like: `valid` before anybody asked."""
    proxy, legacy, guest = outbound()
    guest.send(element)
    data, _ = legacy.to_end()
    assert b"type='valid'" not in data, data
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "unsolicited-dialback"


def test_an_answer_with_another_key_id(outbound):
    proxy, legacy, guest = outbound()
    legacy.send(s2s.verify("im.test", REMOTE, "b1"))
    guest.until(s2s.verify("im.test", REMOTE, "b1"))
    guest.send(s2s.verified(REMOTE, "im.test", "b2"))
    assert b"type=" not in legacy.to_end()[0]
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "unsolicited-dialback"


def test_a_verify_request_and_its_answer(outbound):
    """DB-10: how a legacy server asks about a key that somebody gave it."""
    proxy, legacy, guest = outbound()
    question, reply = s2s.verify("im.test", REMOTE, "b1"), s2s.verified(REMOTE, "im.test", "b1")
    legacy.send(question)
    assert guest.until(question) == question
    guest.send(reply)
    assert legacy.until(reply) == reply
    legacy.finish(guest)
    proxy.wait_records("stream-closed")


@pytest.mark.parametrize("kind", ["valid", "invalid", "error"])
@pytest.mark.parametrize("level", ["verify", "encrypt", "may"])
def test_what_an_answer_rests_on_is_in_the_record(gateway, remote, zoo, level, kind):
    """DB-11: `valid` counts for the domain that was asked, over TLS that may have proven nobody."""
    domain = REMOTE if level == "verify" else "self-signed.zoo.test"
    server = remote(**({} if level == "verify" else {"certificate": zoo.get("self-signed")}))
    proxy = gateway([peer(domain, server, level=level, **({} if level == "verify" else EXCUSE))])
    legacy = Legacy(proxy.outbound).open(domain)
    guest = server.ready()
    question, reply = s2s.verify("im.test", domain, "b1"), s2s.verified(domain, "im.test", "b1", kind)
    legacy.send(question)
    guest.until(question)
    guest.send(reply)
    assert legacy.until(reply) == reply
    legacy.finish(guest)
    closed = proxy.wait_records("stream-closed")[0]
    expected = {"xmpp.auth.method": "dialback" if kind == "valid" else None, "xmpp.auth.identity": domain if kind == "valid" else None,
                "xmpp.verification.method": "pkix" if level == "verify" else "none",
                "xmpp.verification.result": "verified" if level == "verify" else "unverified"}
    assert {name: audit.get(closed, name) for name in expected} == expected
    assert audit.get(proxy.records("stream-established")[0], "xmpp.auth.method") is None


@pytest.mark.parametrize("zone, dnssec", [("example", "secure"), ("plain.example", "insecure")])
def test_whether_an_answer_rests_on_dnssec(gateway, remote, dns, pki, zone, dnssec):
    """DB-16."""
    domain = f"asked.{zone}"
    server = remote(certificate=pki.issue(domain, usage="serverAuth,clientAuth"))
    dns.service(domain, "127.0.0.1", server.port)
    proxy = gateway(dns=dns)
    legacy = Legacy(proxy.outbound).open(domain)
    guest = server.ready()
    legacy.send(s2s.verify("im.test", domain, "b1"))
    guest.until(s2s.verify("im.test", domain, "b1"))
    guest.send(s2s.verified(domain, "im.test", "b1"))
    legacy.until(s2s.verified(domain, "im.test", "b1"))
    legacy.finish(guest)
    closed = proxy.wait_records("stream-closed")[0]
    assert (audit.get(closed, "xmpp.auth.method"), audit.get(closed, "xmpp.dns.dnssec")) == ("dialback", dnssec)


def test_a_stream_that_only_asked_is_closed_in_order(outbound):
    """Nobody authenticates on it, and nobody means harm: no error, no refusal, both sides closed."""
    proxy, legacy, guest = outbound(config={"timeouts": {"authentication": "1s"}})
    question, reply = s2s.verify("im.test", REMOTE, "b1"), s2s.verified(REMOTE, "im.test", "b1")
    legacy.send(question)
    guest.until(question)
    guest.send(reply)
    assert legacy.until(reply) == reply
    assert legacy.to_end()[0] == wire.CLOSE
    assert guest.until(wire.CLOSE) == wire.CLOSE
    assert proxy.wait_records("stream-closed")[0]["event"]["code"] == "closed"
    assert not proxy.records("stream-refused")


def test_a_verify_request_from_outside(inbound):
    proxy, visitor, server = inbound()
    question, reply = s2s.verify(REMOTE, "im.test", "r1"), s2s.verified("im.test", REMOTE, "r1")
    visitor.send(question)
    assert server.wait_for(question) == question
    server.send(reply)
    assert visitor.until(reply) == reply
    visitor.close()
    proxy.wait_records("stream-closed")


# --- stanzas and pairs (DB-3, STZ-1, 2)
@pytest.mark.parametrize("stanza, condition", [
    (s2s.message("mallory@somebody.test", "juliet@im.test"), "invalid-from"),
    (b"<message to='juliet@im.test'/>", "improper-addressing"), (b"<message from='romeo@remote.test'/>", "improper-addressing"),
    (s2s.message("", "juliet@im.test"), "improper-addressing"), (s2s.message("@", "juliet@im.test"), "improper-addressing")])
def test_stanzas_that_may_not_pass(inbound, stanza, condition):
    proxy, visitor, server = inbound()
    visitor.dialback(server)
    visitor.send(stanza)
    data, _ = visitor.to_end()
    assert data == wire.stream_error(condition), data
    assert stanza not in server.received
    assert proxy.wait_records("stream-refused")


def test_no_stanza_before_the_pair_is_proven(inbound):
    proxy, visitor, server = inbound()
    stanza = s2s.message("romeo@remote.test", "juliet@im.test")
    visitor.send(s2s.result(REMOTE, "im.test") + stanza)
    data, _ = visitor.to_end()
    assert data.endswith(wire.stream_error("invalid-from")), data
    assert stanza not in server.received
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "forged-from"


def test_what_the_legacy_server_says_is_held_against_its_pairs_too(outbound):
    """STZ-4."""
    _, legacy, guest = outbound()
    legacy.dialback(guest)
    stanza = s2s.message("juliet@bank.test", f"romeo@{REMOTE}")
    legacy.send(stanza)
    assert legacy.to_end()[0] == wire.stream_error("invalid-from")
    assert stanza not in guest.to_end()[0]


def test_a_stanza_from_the_one_who_was_called_needs_bidi(outbound):
    proxy, legacy, guest = outbound()
    legacy.dialback(guest)
    stanza = s2s.message(f"romeo@{REMOTE}", "juliet@im.test")
    guest.send(stanza)
    assert stanza not in legacy.to_end()[0]
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "forged-from"


def test_bidi(outbound):
    """XEP-0288, NEG-32: once agreed, the proven pair speaks both ways, and only that one."""
    proxy, legacy, guest = outbound({"features": s2s.FEATURES_BIDI})
    legacy.send(s2s.BIDI)
    guest.until(s2s.BIDI)
    legacy.dialback(guest)
    stanza = s2s.message(f"romeo@{REMOTE}", "juliet@im.test")
    guest.send(stanza)
    assert legacy.until(stanza) == stanza
    guest.send(s2s.message("mallory@somebody.test", "juliet@im.test"))
    assert b"mallory" not in legacy.to_end()[0]
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "forged-from"


# --- a second pair on the stream
def refusal(kind, condition):
    return (f"<error type='{kind}'><{condition} xmlns='{s2s.STANZAS}'/></error>").encode()


@pytest.mark.parametrize("sender, to, kind, condition", [
    ("second.test", "im.test", "auth", "not-authorized"), (REMOTE, "nobody.test", "cancel", "item-not-found")])
def test_a_second_pair_that_is_refused(inbound, sender, to, kind, condition):
    """DB-7, 8: the certificate does not prove it, or it is nobody's here; the stream and its first pair live."""
    proxy, visitor, server = inbound()
    visitor.dialback(server)
    visitor.send(s2s.result(sender, to, "f00d"))
    said = visitor.until(b"</db:result>")
    assert said.startswith(b"<db:result ") and refusal(kind, condition) in said, said
    assert s2s.value(said, "from") == to and s2s.value(said, "to") == sender and s2s.value(said, "type") == "error"
    stanza = s2s.message("romeo@remote.test", "juliet@im.test")
    visitor.send(stanza)
    server.wait_for(stanza)
    assert b"f00d" not in server.received
    visitor.close()
    proxy.wait_records("stream-closed")


def test_a_second_pair_with_a_record_of_its_own(gateway, legacy_backend, pki):
    """DB-14: sender multiplexing, and a certificate that proves both."""
    chain = pki.issue(REMOTE, name="both", san="DNS:remote.test,DNS:second.test", usage="serverAuth,clientAuth")
    proxy = gateway()
    visitor = Peer(proxy.inbound).secure(context(pki, chain)).begin()
    server = legacy_backend.greet_server()
    visitor.opened()
    visitor.dialback(server)
    visitor.dialback(server, sender="second.test")
    for sender in (REMOTE, "second.test"):
        stanza = s2s.message(f"romeo@{sender}", "juliet@im.test")
        visitor.send(stanza)
        server.wait_for(stanza)
    visitor.close()
    proxy.wait_records("stream-closed")
    found = {audit.get(r, "xmpp.from"): audit.get(r, "xmpp.verification.matched") for r in proxy.wait_records("stream-established", 2)}
    assert found == {REMOTE: "DNS-ID remote.test", "second.test": "DNS-ID second.test"}


def test_a_second_pair_of_the_legacy_servers(outbound):
    """Another domain of ours over the same stream; a target that was neither resolved nor verified is not."""
    proxy, legacy, guest = outbound(domains=("im.test", "other.test"))
    legacy.dialback(guest)
    legacy.dialback(guest, sender="other.test")
    legacy.send(s2s.result("im.test", "second.test", "f00d"))
    said = legacy.until(b"</db:result>")
    assert refusal("auth", "not-authorized") in said, said
    legacy.send(wire.CLOSE)
    assert b"f00d" not in guest.until(wire.CLOSE)
    legacy.close()
    assert {audit.get(r, "xmpp.from") for r in proxy.wait_records("stream-established", 2)} == {"im.test", "other.test"}


# --- answers that are no
def test_invalid_ends_the_stream(inbound):
    """DB-9: it is passed on, and somebody may have tried to pass for that domain."""
    proxy, visitor, server = inbound()
    visitor.send(s2s.result(REMOTE, "im.test"))
    server.wait_for(s2s.result(REMOTE, "im.test"))
    server.send(s2s.answer("im.test", REMOTE, "invalid"))
    data, _ = visitor.to_end()
    assert data.startswith(s2s.answer("im.test", REMOTE, "invalid")) and data.endswith(wire.CLOSE), data
    assert proxy.wait_records("stream-closed")[0]["event"]["code"] == "dialback-failed"


def test_an_error_does_not(inbound):
    proxy, visitor, server = inbound()
    error = b"<db:result from='im.test' to='remote.test' type='error'><error type='cancel'><remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>"
    visitor.send(s2s.result(REMOTE, "im.test"))
    server.wait_for(s2s.result(REMOTE, "im.test"))
    server.take()
    server.send(error)
    assert visitor.until(b"</db:result>") == error
    visitor.dialback(server)
    visitor.close()
    proxy.wait_records("stream-closed")
    assert not proxy.records("stanza-violation"), "that a key could not be asked about is nobody's offence"


# --- headers that name nobody (jabberd2)
NAMELESS = f"<stream:stream xmlns:stream='{wire.STREAMS}' xmlns='jabber:server' xmlns:db='{s2s.DIALBACK}'>".encode()


def nameless(proxy):
    legacy = Legacy(proxy.outbound)
    legacy.send(b"<?xml version='1.0'?>" + NAMELESS)
    legacy.opened = legacy.until(wire.HEADER_PATTERN)
    legacy.identity = s2s.value(legacy.opened, "id")
    assert legacy.identity and s2s.value(legacy.opened, "version") is None, legacy.opened
    return legacy


def test_each_pair_of_a_nameless_stream_has_a_session_of_its_own(gateway, remote, zoo):
    good, bad = remote(), remote(certificate=zoo.get("self-signed"))
    proxy = gateway([peer(REMOTE, good), peer("*.zoo.test", bad)])
    legacy = nameless(proxy)
    legacy.send(s2s.result("im.test", REMOTE, "k1") + s2s.result("im.test", "self-signed.zoo.test", "k2"))
    guest = good.ready()
    guest.saw_only_starttls()
    assert (s2s.value(guest.header, "from"), s2s.value(guest.header, "to")) == ("im.test", REMOTE)
    assert guest.until(s2s.result("im.test", REMOTE, "k1")) == s2s.result("im.test", REMOTE, "k1")
    refused = legacy.until(re.compile(rb"<db:result[^>]*type='(error|invalid)'[^>]*(/>|>.*?</db:result>)", re.S))
    assert s2s.value(refused[refused.rindex(b"<db:result"):], "from") == "self-signed.zoo.test", refused
    guest.send(s2s.answer(REMOTE, "im.test"))
    legacy.until(s2s.answer(REMOTE, "im.test"))
    stanza = s2s.message("juliet@im.test", f"romeo@{REMOTE}")
    legacy.send(stanza)
    assert guest.exactly(len(stanza)) == stanza
    legacy.send(wire.CLOSE)
    assert guest.until(wire.CLOSE)
    guest.send(wire.CLOSE)
    guest.close()
    legacy.to_end()
    established = proxy.wait_records("stream-established")
    assert [audit.get(r, "xmpp.to") for r in established] == [REMOTE]
    assert [audit.get(r, "xmpp.to") for r in proxy.wait_records("stream-refused")] == ["self-signed.zoo.test"]


def test_the_key_of_a_nameless_stream_is_asked_about_by_the_remotes_id(gateway, remote, legacy_backend, pki, remote_certificate):
    """The legacy server made its key from an id of ours; the remote server knows the stream by its own."""
    server = remote()
    proxy = gateway([peer(REMOTE, server)])
    legacy = nameless(proxy)
    legacy.send(s2s.result("im.test", REMOTE))
    guest = server.ready()
    guest.until(s2s.result("im.test", REMOTE))
    assert guest.identity != legacy.identity
    visitor = Peer(proxy.inbound).secure(context(pki, remote_certificate)).begin()
    behind = legacy_backend.greet_server()
    visitor.opened()
    visitor.send(s2s.verify(REMOTE, "im.test", guest.identity))
    assert behind.wait_for(b"</db:verify>") == s2s.verify(REMOTE, "im.test", legacy.identity)
    behind.send(s2s.verified("im.test", REMOTE, legacy.identity))
    said = s2s.verified("im.test", REMOTE, guest.identity)
    assert visitor.until(said) == said
    guest.send(s2s.answer(REMOTE, "im.test"))
    legacy.until(s2s.answer(REMOTE, "im.test"))
    visitor.close()
    legacy.close()


def test_external_proves_the_pair(gateway, legacy_backend, pki, remote_certificate):
    """A backend that takes EXTERNAL (it may stand behind somebody else's TLS): success is proof, and the stream begins anew."""
    mechanisms = f"<stream:features><mechanisms xmlns='{wire.SASL}'><mechanism>EXTERNAL</mechanism></mechanisms></stream:features>".encode()
    proxy = gateway([peer(REMOTE, level="encrypt", **EXCUSE)])
    visitor = Peer(proxy.inbound).secure(context(pki, remote_certificate)).begin()
    server = legacy_backend.greet_server(mechanisms)
    assert mechanisms[len(b"<stream:features>"):-len(b"</stream:features>")] in visitor.opened()
    visitor.send(wire.auth("cmVtb3RlLnRlc3Q=", "EXTERNAL"))
    server.wait_for(b"</auth>")
    server.take()
    server.send(wire.SUCCESS)
    visitor.until(wire.SUCCESS)
    visitor.begin()
    server.wait_for(wire.HEADER_PATTERN)
    server.take()
    server.send(s2s.header(REMOTE, "im.test", identity="b2") + s2s.FEATURES_NONE)
    visitor.until(wire.HEADER_PATTERN)
    stanza = s2s.message(f"romeo@{REMOTE}", "juliet@im.test")
    visitor.send(stanza)
    server.wait_for(stanza)
    visitor.close()
    closed = proxy.wait_records("stream-closed")[0]
    assert (audit.get(closed, "xmpp.auth.method"), audit.get(closed, "xmpp.auth.identity")) == ("EXTERNAL", REMOTE)
