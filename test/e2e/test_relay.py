# SPDX-License-Identifier: MIT
"""Bytes pass as they came: exactness, back-pressure, how ends are mirrored, the blind pump."""
import hashlib
import random
import re
import threading
import time

import pytest
from harness import audit, wire
from harness.client import Client
from harness.load import Talker, in_batches
from harness.wait import PATIENCE, SLOW, rss_bytes, until

# What transparency means in practice: none of it may be written another way.
BODIES = [
    "plain", "\u00e9\u0301 e\u0301 \u1e9b\u0323", "\U0001f339\U0001f468\u200d\U0001f469\u200d\U0001f467\ufe0f",
    "\u202eright to left\u202c \u05d0\u05d1\u05d2 \u0627\u0644\u0639", "\u13da\u13a2\u13b5\u13ac\u13a2\u13ac\u13d2",
    "&lt;&gt;&amp;&apos;&quot;", "&#x1F339;&#10;&#x0a;&#13;&#9;", "<![CDATA[<not/> & markup]]>", "\ufffd\ud7ff\ue000\U0010fffd",
    "line\nfeed\ttab", "]] > >", "' \" '", "<em xmlns='urn:x' a=\"it's\" b='say \"x\"'/>", "<x:y xmlns:x='urn:y' x:z=\"&#x27;&quot;\"  ></x:y >",
    "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body/></message></forwarded>", "\u0085\u2028\u2029\ufeff", ""]


def stanza(number, rng):
    kind = number % 5
    body = BODIES[number % len(BODIES)]
    if kind == 1:
        return f"<message   to=\"a@im.test\" id='{number}'\n\ttype='chat' ><body>{body}</body ></message>\n".encode()
    if kind == 2:
        return f"<iq type='get' id=\"q{number}\"><query xmlns=\"urn:q\">{body}</query></iq>".encode()
    if kind == 3:
        return f"<presence/> <message id='{number}'><body xml:lang='x'>{body}</body><a xmlns=''/></message>".encode()
    return f"<message id='{number}'><body>{body}{'z' * rng.randrange(0, 3000)}</body></message>".encode()


@pytest.mark.parametrize("limit", ["512k", 0], ids=["inspected", "blind"])
def test_thousand_messages_each_way_byte_for_byte(start, backend, establish, limit):
    proxy = start(backend.address, config={"limits": {"stanza": limit}})
    client, server = establish(proxy)
    rng = random.Random(4711)
    up, down = (b"".join(stanza(n, rng) for n in range(1000)) for _ in range(2))

    def cut(data, seed):
        sizes, at = random.Random(seed), 0
        while at < len(data):
            size = sizes.choice((1, 7, 80, 1460, 5000, 16384, 70000))
            yield data[at:at + size]
            at += size
    threads = [threading.Thread(target=lambda: [server.send(piece) for piece in cut(down, 1)], daemon=True)]
    received = []
    threads.append(threading.Thread(target=lambda: received.append(server.wait_length(len(up), PATIENCE * 6)), daemon=True))
    for thread in threads:
        thread.start()
    answer = client.exchange(cut(up, 2), len(down), PATIENCE * 6)
    for thread in threads:
        thread.join(PATIENCE * 6)
    assert hashlib.sha256(answer).digest() == hashlib.sha256(down).digest()
    assert hashlib.sha256(received[0]).digest() == hashlib.sha256(up).digest()
    client.send(wire.CLOSE)
    server.wait_for(wire.CLOSE)
    server.send(wire.CLOSE)
    server.close()  # the blind pump has not seen the close tags: the end of the connection is what it mirrors
    assert client.to_end() == (wire.CLOSE, "fin")
    client.close()
    closed, = audit.of(proxy.stop(), "stream-closed")
    assert closed["source"]["bytes"] >= len(up) and closed["destination"]["bytes"] >= len(down)
    if limit:
        expected = sum(2 if n % 5 == 3 else 1 for n in range(1000))
        assert abs(closed["xmpp"]["stanzas"]["in"] - expected) <= 3  # what was exchanged before does not matter here
        assert abs(closed["xmpp"]["stanzas"]["out"] - expected) <= 3


def test_two_hundred_clients_at_once(start, loop, echo, context):
    proxy = start(echo.address, config={"timeouts": {"negotiation": "60s", "authentication": "60s"}})
    talkers = [Talker(proxy.port, context) for _ in range(200)]
    started = loop.run(in_batches([t.start() for t in talkers], 50))
    assert not [s for s in started if isinstance(s, BaseException)], started[:3]
    assert echo.open == 200
    assert len(proxy.streams()) == 200
    for number in range(3):
        answers = loop.run(in_batches([t.echo(number) for t in talkers], 200))
        assert answers == [True] * 200
    done = loop.run(in_batches([t.finish() for t in talkers], 200))
    assert not [d for d in done if isinstance(d, BaseException)], done[:3]
    proxy.wait_records("stream-closed", 200)
    records = proxy.stop()
    assert len(audit.of(records, "stream-closed")) == len(audit.of(records, "stream-established")) == 200


def flood(send, piece, stopped, sent):
    while not stopped.is_set():
        try:
            send(piece)
        except OSError:
            return
        sent[0] += len(piece)


@pytest.mark.parametrize("limit", ["512k", 0], ids=["inspected", "blind"])
@pytest.mark.parametrize("direction", ["client does not read", "backend does not read"])
def test_back_pressure(start, backend, establish, direction, limit):
    """limits.buffer bounds what is held for one direction; when reading goes on, every byte is there."""
    proxy = start(backend.address, config={"workers": 1, "limits": {"buffer": "256k", "stanza": limit}})
    client, server = establish(proxy)
    pid, = proxy.worker_pids()
    before = rss_bytes(pid)
    piece = (b"<message><body>" + b"0123456789abcdef" * 1000 + b"</body></message>") * 4
    stopped, sent = threading.Event(), [0]
    if direction == "client does not read":
        send = server.send
    else:
        server.paused.clear()
        client.sock.settimeout(None)
        send = client.send
        client.send(piece)  # the reader's recv under way takes this one
        sent[0] = len(piece)
    pump = threading.Thread(target=flood, args=(send, piece, stopped, sent), daemon=True)
    pump.start()
    last = [-1, time.monotonic()]

    def stuck():
        if sent[0] != last[0]:
            last[:] = [sent[0], time.monotonic()]
        return time.monotonic() - last[1] > 1
    until(stuck, "the sender to be held back", PATIENCE * 3)
    assert sent[0] < 32 * 2 ** 20, "nobody held the sender back"
    assert rss_bytes(pid) - before < (8 if SLOW == 1 else 64) * 2 ** 20
    stopped.set()
    if direction == "client does not read":
        total = 0
        expected = hashlib.sha256()
        got = hashlib.sha256()
        while pump.is_alive() or total < sent[0]:
            try:
                data = client.receive(1)
            except TimeoutError:
                continue
            assert data
            got.update(data)
            total += len(data)
        expected.update(piece * (sent[0] // len(piece)))
        assert total == sent[0] and got.digest() == expected.digest()
    else:
        server.paused.set()
        pump.join(PATIENCE)
        assert server.wait_length(sent[0], PATIENCE * 3) == piece * (sent[0] // len(piece))
    client.close()
    server.close()


def test_close_keeps_the_other_direction_open(start, backend, establish):
    """NEG-21: after the client's close tag everything that the backend still sends arrives, and then its own close tag."""
    proxy = start(backend.address)
    client, server = establish(proxy)
    client.send(b"<presence type='unavailable'/>" + wire.CLOSE)
    assert server.wait_for(wire.CLOSE) == b"<presence type='unavailable'/>" + wire.CLOSE
    late = b"".join(f"<message id='{n}'><body>late</body></message>".encode() for n in range(50))
    for at in range(0, len(late), 97):
        server.send(late[at:at + 97])
    server.send(wire.CLOSE)
    server.half_close()
    assert client.to_end() == (late + wire.CLOSE, "fin")
    client.close()
    closed, = audit.of(proxy.stop(), "stream-closed")
    assert closed["event"]["outcome"] == "success" and closed["event"].get("code", "closed") == "closed"


@pytest.mark.parametrize("how", ["reset", "drop"])
def test_vanished_client_is_mirrored(start, backend, establish, how):
    """Row 48: no close tag is invented, or the session could not be resumed; half an element is not passed on."""
    proxy = start(backend.address)
    client, server = establish(proxy)
    client.send(b"<message><body>whole</body></message><message><bo")
    server.wait_for(b"</message>")
    getattr(client, how)()
    server.wait_end()
    assert server.received == b"<message><body>whole</body></message>"
    closed, = audit.of(proxy.stop(), "stream-closed")
    assert closed["event"]["code"] == "peer-gone" and closed["event"]["outcome"] != "success"


def test_backend_closes_its_stream_and_the_socket(start, backend, establish):
    """The backend says goodbye first: everything before it arrives, and the client is told in order."""
    proxy = start(backend.address)
    client, server = establish(proxy)
    server.send(b"<message/>" + wire.CLOSE)
    server.half_close()
    assert client.until(wire.CLOSE) == b"<message/>" + wire.CLOSE
    client.send(wire.CLOSE)
    server.wait_for(wire.CLOSE)
    server.close()
    assert client.to_end() == (b"", "fin")


def test_white_space_keepalives_pass(start, backend, establish):
    proxy = start(backend.address)
    client, server = establish(proxy)
    client.send(b" ")
    server.wait_for(b" ")
    server.send(b"\n")
    assert client.until(b"\n") == b"\n"
    client.close()


def test_header_and_prefixes_carry_over(start, backend, context):
    """NEG-20: what the header declares is in scope for what comes later; the header itself is passed to the byte."""
    proxy = start(backend.address)
    client = Client(proxy.port).starttls(context)
    odd = (b"<?xml  version=\"1.0\" ?>\n<stream:stream\n xmlns:x=\"urn:x\" xmlns='jabber:client' version=\"1.0\" "
           b"xmlns:stream=\"http://etherx.jabber.org/streams\" to='im.test' from='juliet@im.test/r&apos;s' x:a='1' >")
    client.send(odd)
    server = backend.accept()
    assert server.wait_for(b"x:a='1' >") == odd
    server.greet()
    client.until(b"</stream:features>")
    client.close()


def test_stanza_over_the_limit_is_never_seen_in_part(start, backend, establish):
    """NEG-36: the backend never sees its first half."""
    proxy = start(backend.address, config={"limits": {"stanza": "16k"}})
    client, server = establish(proxy)
    exact = b"<message><body>" + b"x" * (16384 - 32) + b"</body></message>"
    assert len(exact) == 16384
    client.send(exact)
    assert server.wait_length(len(exact)) == exact
    server.take()
    client.send(exact.replace(b"x", b"xx", 1))
    assert re.fullmatch(wire.error_pattern("policy-violation"), client.to_end()[0])
    server.wait_end()
    assert server.received == wire.CLOSE
