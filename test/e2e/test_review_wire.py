# SPDX-License-Identifier: MIT
"""Peers that mean harm or are just gone: nobody holds the worker, fills its memory, stalls a stream or keeps a dead one."""
import os
import signal
import socket
import threading
import time

import pytest

from harness import audit, wire
from harness.client import Client
from harness.wait import PATIENCE, rss_bytes

STANZA = b"<message><body>" + b"0123456789abcdef" * 4000 + b"</body></message>"


def keep_sending(sock, data, stopped, sent):
    try:
        while not stopped.is_set():
            sent[0] += sock.send(data)
    except OSError:
        pass


@pytest.fixture
def flood():
    """flood(sock, data) sends for ever in a thread, until the test ends."""
    stopped, threads = threading.Event(), []

    def start(sock, data):
        sent = [0]
        sock.settimeout(1)
        threads.append(threading.Thread(target=keep_sending, args=(sock, data, stopped, sent), daemon=True))
        threads[-1].start()
        return sent
    yield start
    stopped.set()
    for thread in threads:
        thread.join(5)


def until_still(sent):
    """Until no more of the flood is taken."""
    before, end = -1, time.monotonic() + PATIENCE
    while before != sent[0]:
        assert time.monotonic() < end, f"the flood is still being taken after {before} bytes"
        before = sent[0]
        time.sleep(0.7)


def test_white_space_behind_starttls_holds_nobody_up(start, backend, flood):
    """The look for pipelined bytes (NEG-7) ends, however much white space keeps coming."""
    proxy = start(backend.address, config={"workers": 1})
    attacker = Client(proxy.port)
    attacker.open()
    attacker.send(wire.STARTTLS + b" " * 1000000)
    flood(attacker.sock, b" " * 65536)
    for _ in range(5):
        with Client(proxy.port) as other:
            other.open()
        time.sleep(0.05)


@pytest.mark.parametrize("limit", ["512k", 0], ids=["inspected", "blind"])
def test_bursts_larger_than_the_buffer_mark(start, backend, establish, limit):
    """A burst above limits.buffer that the socket takes at once must not stop the stream."""
    proxy = start(backend.address, config={"workers": 1, "limits": {"buffer": "16k", "stanza": limit}})
    client, server = establish(proxy)
    for _ in range(5):
        client.send(STANZA)
        assert server.wait_length(len(STANZA)) == STANZA
        server.take()
    for _ in range(5):
        server.send(STANZA)
        assert client.exactly(len(STANZA)) == STANZA
    client.close()


def test_answers_that_nobody_reads(start, backend, establish, flood):
    """Our own answers to <compress/> are held back-pressure too: who does not read them is not read."""
    proxy = start(backend.address, config={"workers": 1})
    client, _ = establish(proxy)
    pid, = proxy.worker_pids()
    sent = flood(client.sock, b"<compress xmlns='http://jabber.org/protocol/compress'/>" * 1200)
    until_still(sent)
    before = rss_bytes(pid)
    time.sleep(1)
    assert rss_bytes(pid) - before < 1 << 20
    client.drop()


@pytest.mark.parametrize("how", ["fin", "rst", "close_notify"])
@pytest.mark.parametrize("answered", [False, True], ids=["silent backend", "half a stream"])
def test_client_that_leaves_while_the_backend_thinks(start, backend, context, how, answered):
    """Noticed at once, and the record names the one who went."""
    proxy = start(backend.address)
    client = Client(proxy.port).starttls(context)
    client.send(wire.header())
    server = backend.accept()
    server.wait_for(b"<stream:stream")
    if answered:
        server.send(wire.backend_header())
    {"fin": client.drop, "rst": client.reset, "close_notify": client.close}[how]()
    closed, = proxy.wait_records("stream-closed", 1, timeout=5)
    assert closed["event"]["code"] == "peer-gone"
    assert audit.get(closed, "xmpp.error") is None
    assert server.wait_end(5) == "fin"


def test_stanzas_sent_while_the_backend_thinks_are_kept(start, backend, context):
    proxy = start(backend.address)
    client = Client(proxy.port).starttls(context)
    client.send(wire.header())
    server = backend.accept()
    server.wait_for(b"<stream:stream")
    server.take()
    for piece in (wire.auth()[:20], wire.auth()[20:], wire.header()):
        client.send(piece)
        time.sleep(0.05)
    server.send(wire.backend_header() + wire.FEATURES_AUTH)
    assert server.wait_for(b"</auth>") == wire.auth()
    client.close()


@pytest.mark.parametrize("how", ["fin", "rst", "close_notify"])
def test_client_that_closes_its_stream_and_leaves(start, backend, establish, how):
    """After the close tag the connection's end still counts: the backend sees it and nobody waits."""
    proxy = start(backend.address)
    client, server = establish(proxy)
    client.send(wire.CLOSE)
    server.wait_for(wire.CLOSE)
    {"fin": client.drop, "rst": client.reset, "close_notify": client.close}[how]()
    assert server.wait_end(5) == "fin"
    server.close()
    closed, = proxy.wait_records("stream-closed", 1, timeout=5)
    assert closed["event"]["code"] == "closed"


def test_backend_that_closes_stream_and_connection(start, backend, establish):
    """Both are carried across at once; what the client answers, too."""
    proxy = start(backend.address)
    client, server = establish(proxy)
    server.send(wire.CLOSE)
    client.until(wire.CLOSE)
    server.sock.shutdown(socket.SHUT_WR)
    assert client.to_end(5) == (b"", "fin")
    client.close()
    assert server.wait_end(5) == "fin"
    closed, = proxy.wait_records("stream-closed", 1, timeout=5)
    assert closed["event"]["code"] == "closed"


@pytest.mark.parametrize("answered", [False, True], ids=["silent backend", "half a stream"])
def test_drain_tells_a_backend_that_is_not_joined(start, backend, context, answered):
    """Row 49: both sides."""
    proxy = start(backend.address)
    client = Client(proxy.port).starttls(context)
    client.send(wire.header())
    server = backend.accept()
    server.wait_for(b"<stream:stream")
    server.take()
    if answered:
        server.send(wire.backend_header())
    stopper = threading.Thread(target=proxy.stop, daemon=True)
    stopper.start()
    assert client.to_end()[0].endswith(wire.stream_error("system-shutdown"))
    client.close()
    server.wait_end()
    assert server.received == wire.stream_error("system-shutdown")
    stopper.join(30)


def test_error_is_recorded_only_where_it_was_sent(start, backend, establish):
    """The backend has closed the client's stream: nothing can follow, so no error is claimed."""
    proxy = start(backend.address)
    client, server = establish(proxy)
    server.send(wire.CLOSE)
    client.until(wire.CLOSE)
    client.send(b"<message><!-- --></message>")
    assert client.to_end(5) == (b"", "fin")
    client.close()
    closed, = proxy.wait_records("stream-closed", 1, timeout=5)
    assert closed["event"]["code"] == "restricted-xml"
    assert audit.get(closed, "xmpp.error") is None


@pytest.mark.parametrize("limit", ["512k", 0], ids=["inspected", "blind"])
@pytest.mark.parametrize("gone", ["client", "backend"])
def test_stream_ends_when_one_side_is_gone_and_the_other_takes_nothing(start, backend, establish, flood, gone, limit):
    """The side that sends is not read while the other is clogged; that it has gone is noticed all the same."""
    proxy = start(backend.address, config={"limits": {"stanza": limit}})
    client, server = establish(proxy)
    if gone == "client":
        server.paused.clear()
    sent = flood(*((client.sock, STANZA) if gone == "client" else (server.sock, STANZA)))
    until_still(sent)
    assert len(proxy.streams()) == 1
    client.reset() if gone == "client" else server.reset()
    closed, = proxy.wait_records("stream-closed", 1, timeout=20)
    assert closed["event"]["code"] == ("peer-gone" if gone == "client" else "backend-closed")
    server.paused.set()


def test_slow_reader_keeps_its_stream(start, backend, establish, flood):
    """Nobody is gone: however long nothing moves, the stream stays and every byte arrives."""
    proxy = start(backend.address)
    client, server = establish(proxy)
    until_still(flood(server.sock, STANZA))
    time.sleep(12)
    assert len(proxy.streams()) == 1
    assert client.exactly(20 * len(STANZA)) == 20 * STANZA
    client.drop()


@pytest.mark.parametrize("on_failure", ["refuse", "continue"])
def test_keeper_that_hangs(start, backend, context, on_failure):
    """An audit log that neither writes nor fails: `continue` means that streams go on all the same."""
    proxy = start(backend.address, config={"audit": {"on-failure": on_failure}, "timeouts": {"negotiation": "2s"}})
    keeper = proxy.status()["keeper"]["pid"]
    client = Client(proxy.port).starttls(context)
    os.kill(keeper, signal.SIGSTOP)
    try:
        client.send(wire.header())
        server = backend.accept()
        server.greet()
        if on_failure == "continue":
            client.until(wire.limited(wire.FEATURES_AUTH))
            client.send(wire.auth())
            assert server.wait_for(b"</auth>") == wire.auth()
        else:
            assert wire.MECHANISMS not in client.to_end()[0]
    finally:
        os.kill(keeper, signal.SIGCONT)
    client.close()
    assert len(proxy.wait_records("stream-closed", 1)) == 1


@pytest.mark.parametrize("how", ["fin", "rst", "close_notify"])
def test_client_that_leaves_in_the_middle_of_sasl(start, backend, context, how):
    """Held back until its step is answered (NEG-23), and still seen to go."""
    proxy = start(backend.address)
    client = Client(proxy.port).starttls(context)
    client.send(wire.header())
    server = backend.accept()
    server.greet()
    client.until(wire.limited(wire.FEATURES_AUTH))
    client.send(wire.auth())
    server.wait_for(b"</auth>")
    {"fin": client.drop, "rst": client.reset, "close_notify": client.close}[how]()
    closed, = proxy.wait_records("stream-closed", 1, timeout=5)
    assert closed["event"]["code"] == "peer-gone"
    assert server.wait_end(5) == "fin"
