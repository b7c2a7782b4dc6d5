# SPDX-License-Identifier: MIT
"""Many streams to many domains at once: each its own, none held up by another."""
import asyncio
import collections

import pytest

from harness import audit, s2s, wire
from harness.gateway import peer
from harness.load import in_batches
from harness.s2s_load import ManyRemotes, Stream
from harness.wait import SLOW, until

LOCAL = [f"l{n}.local.test" for n in range(5)]
REMOTE = [f"p{n}.load.test" for n in range(100)]


@pytest.fixture
def remotes(loop, pki):
    server = ManyRemotes(loop, pki.issue("load.test", san="DNS:*.load.test", usage="serverAuth,clientAuth"))
    yield server
    server.close()


def well(results, proxy):
    bad = [r for r in results if isinstance(r, BaseException)]
    assert not bad, (len(bad), bad[:3], collections.Counter(r["event"].get("code") for r in proxy.records()))


def test_500_streams_to_100_domains(gateway, remotes, loop, pki):
    for domain in LOCAL:
        pki.issue(domain, usage="serverAuth,clientAuth")
    proxy = gateway([peer("*.load.test", remotes)], domains=tuple(LOCAL),
                    config={"timeouts": {"negotiation": "120s", "connect": "60s", "authentication": "120s"}})
    streams = [Stream(proxy.outbound, sender, to) for to in REMOTE for sender in LOCAL]
    well(loop.run(in_batches([s.start() for s in streams], 100), 120 * SLOW), proxy)
    assert remotes.open == 500, (remotes.open, remotes.errors[:3])
    assert len(proxy.streams()) == 500
    well(loop.run(in_batches([s.say() for s in streams], 500)), proxy)
    until(lambda: len(remotes.heard) == 500, "500 messages")
    assert sorted(remotes.heard) == sorted(f"b@{to}" for to in REMOTE for _ in LOCAL)
    well(loop.run(in_batches([s.finish() for s in streams], 100)), proxy)
    records = [r for r in proxy.stop() if r["event"]["action"] in ("stream-established", "stream-closed")]
    pairs = {action: sorted((audit.get(r, "xmpp.from"), audit.get(r, "xmpp.to")) for r in records if r["event"]["action"] == action)
             for action in ("stream-established", "stream-closed")}
    assert pairs["stream-established"] == pairs["stream-closed"] == sorted((sender, to) for to in REMOTE for sender in LOCAL)


def test_the_remotes_by_themselves(remotes, loop, pki):
    """The load's own server, asked by a client of the standard library."""
    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", int(remotes.address.rpartition(":")[2]))
        writer.write(s2s.header("p1.load.test"))
        await reader.readuntil(b"</stream:features>")
        writer.write(wire.STARTTLS)
        await reader.readuntil(wire.PROCEED)
        await writer.start_tls(pki.context(), server_hostname="p1.load.test")
        writer.write(s2s.header("p1.load.test") + s2s.result("im.test", "p1.load.test") + s2s.message("a@im.test", "b@p1.load.test"))
        said = await reader.readuntil(s2s.answer("p1.load.test", "im.test"))
        writer.write(wire.CLOSE)
        await reader.readuntil(wire.CLOSE)
        writer.close()
        return said
    assert b"id='p1.load.test-im.test-" in loop.run(one())
    assert remotes.heard == ["b@p1.load.test"]
