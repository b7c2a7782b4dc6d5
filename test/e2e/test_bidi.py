# SPDX-License-Identifier: MIT
"""XEP-0288 on streams that others open to us (NEG-32): the legacy server offers it, the visitor takes it, and from then on either side
may say what a proven pair of domains lets it say, and nothing more. The other direction is in test_dialback.py."""
import re

from harness import audit, s2s, wire

REMOTE = "remote.test"
THERE, BACK = s2s.message(f"romeo@{REMOTE}", "juliet@im.test"), s2s.message("juliet@im.test", f"romeo@{REMOTE}", "and back")


def agree(visitor, server):
    visitor.send(s2s.BIDI)
    server.wait_for(s2s.BIDI)


def refused(proxy, visitor, server, code, condition):
    """What the legacy server said went nowhere; it is told why."""
    data, _ = visitor.to_end()
    assert b"<message" not in data and b"<db:" not in data, data
    assert re.search(wire.error_pattern(condition), server.wait_for(wire.CLOSE)), server.received
    assert [r["event"]["code"] for r in proxy.wait_records("stream-refused")] == [code]


def test_the_proven_pair_speaks_both_ways(inbound):
    proxy, visitor, server = inbound(s2s.FEATURES_BIDI)
    agree(visitor, server)
    visitor.dialback(server)
    visitor.send(THERE)
    assert server.wait_for(THERE) == THERE
    server.take()
    server.send(BACK)
    assert visitor.until(BACK) == BACK
    server.send(s2s.message("juliet@bank.test", f"romeo@{REMOTE}"))
    refused(proxy, visitor, server, "forged-from", "invalid-from")
    closed = proxy.wait_records("stream-closed")[0]
    assert (audit.get(closed, "xmpp.auth.method"), audit.get(closed, "xmpp.auth.identity")) == ("dialback", REMOTE)


def test_not_before_the_pair_is_proven(inbound):
    proxy, visitor, server = inbound(s2s.FEATURES_BIDI)
    agree(visitor, server)
    server.send(BACK)
    refused(proxy, visitor, server, "forged-from", "invalid-from")


def test_not_without_the_visitors_word(inbound):
    """Offered and not taken: the stream has one direction."""
    proxy, visitor, server = inbound(s2s.FEATURES_BIDI)
    visitor.dialback(server)
    server.send(BACK)
    refused(proxy, visitor, server, "forged-from", "invalid-from")


def test_not_where_it_was_not_offered(inbound):
    proxy, visitor, server = inbound(s2s.FEATURES_DIALBACK)
    visitor.send(s2s.BIDI)
    assert re.search(wire.error_pattern("unsupported-stanza-type"), visitor.to_end()[0])
    assert proxy.wait_records("stream-closed")[0]["event"]["code"] == "unsupported-element"
    assert s2s.BIDI not in server.received


def test_a_further_pair_of_the_legacy_servers_own(inbound):
    """The way back is for the pairs that the visitor has proven. What else the legacy server asks for here is refused, to itself and
    without a word to the visitor; the stream lives, and it can open one of its own."""
    proxy, visitor, server = inbound(s2s.FEATURES_BIDI, domains=("im.test", "other.test"))
    agree(visitor, server)
    visitor.dialback(server)
    server.send(s2s.result("other.test", REMOTE) + BACK)
    assert visitor.until(BACK) == BACK
    said = server.wait_for(b"</db:result>")
    assert (s2s.value(said, "from"), s2s.value(said, "to"), s2s.value(said, "type")) == (REMOTE, "other.test", "error")
    assert b"<not-authorized " in said
    server.take()
    server.send(s2s.message("juliet@other.test", f"romeo@{REMOTE}"))
    refused(proxy, visitor, server, "forged-from", "invalid-from")


def test_an_answer_that_nobody_asked_for(inbound):
    """DB-2 holds there as well: the visitor's `valid` counts where the legacy server has asked, and nowhere else."""
    proxy, visitor, server = inbound(s2s.FEATURES_BIDI)
    agree(visitor, server)
    visitor.send(s2s.answer(REMOTE, "im.test"))
    visitor.to_end()
    assert b"type=" not in server.received
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "unsolicited-dialback"
