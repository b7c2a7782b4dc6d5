# SPDX-License-Identifier: MIT
"""Limits, timeouts, and peers that are slow, silent or too many."""
import os
import re
import time

import pytest
from harness import audit, wire
from harness.client import Client
from harness.wait import PATIENCE, SLOW, cpu_seconds, until


def refused_without_xml(port):
    try:
        client = Client(port)
        client.send(wire.header())
        return client.to_end()[0] == b""
    except OSError:
        return True


def test_connections_per_address(start, backend):
    """Row 1: closed without XML, over all workers together; a place that is free again is given again."""
    proxy = start(backend.address, config={"limits": {"connections-per-address": 3}})
    clients = [Client(proxy.port) for _ in range(3)]
    for client in clients:
        client.open()
    for _ in range(5):
        assert refused_without_xml(proxy.port)
    clients[0].drop()

    def admitted():
        with Client(proxy.port) as client:
            client.send(wire.header())
            try:
                return client.receive(5) != b""
            except OSError:
                return False
    until(admitted, "a place to be free again")
    records = proxy.stop()
    assert len(audit.of(records, "stream-closed", event__code="connection-limit")) >= 5


def test_connections_in_all(start, backend):
    """NEG-37: over the total the peer is told resource-constraint, or closed on."""
    proxy = start(backend.address, config={"limits": {"connections": 4, "connections-per-address": 100}})
    clients = [Client(proxy.port) for _ in range(4)]
    for client in clients:
        client.open()
    late = Client(proxy.port).send(wire.header())
    data, _ = late.to_end()
    assert data == b"" or re.search(wire.error_pattern("resource-constraint"), data), data
    clients[0].drop()

    def admitted():
        with Client(proxy.port) as client:
            try:
                return client.send(wire.header()).until(wire.FEATURES_STARTTLS, 3)
            except (OSError, AssertionError):
                return False
    until(admitted, "a place to be free again")
    proxy.stop()


SHORT = {"timeouts": {"negotiation": "2s", "authentication": "3s"}}


def closes_between(client, earliest, latest, begin):
    data, how = client.to_end(latest + PATIENCE)
    took = time.monotonic() - begin
    assert earliest <= took <= latest + 3 * SLOW, f"closed after {took:.1f} s"
    return data, how


def test_silence_before_the_header(start, backend):
    """Row 2: not spoken to, for it never began a stream."""
    proxy = start(backend.address, config=SHORT)
    begin = time.monotonic()
    data, how = closes_between(Client(proxy.port), 1.5, 4, begin)
    assert (data, how) == (b"", "fin")
    closed, = audit.of(proxy.stop(), "stream-closed")
    assert closed["event"]["code"] == "header-timeout"


def drip(client, data, every=0.1):
    """A byte at a time until the other side has had enough."""
    try:
        for byte in data:
            client.send(bytes([byte]))
            time.sleep(every)
    except OSError:
        pass


def test_header_byte_by_byte(start, backend):
    """Row 2: the deadline is for the whole, not for each byte."""
    proxy = start(backend.address, config=SHORT)
    begin = time.monotonic()
    client = Client(proxy.port)
    drip(client, wire.header(), 0.03)
    data, _ = closes_between(client, 1.5, 6, begin)
    assert re.fullmatch(wire.reply_header("") + wire.error_pattern("connection-timeout"), data), data
    assert backend.accepted == 0


def test_silence_after_the_features(start, backend):
    proxy = start(backend.address, config=SHORT)
    begin = time.monotonic()
    client = Client(proxy.port)
    client.open()
    data, how = closes_between(client, 1.5, 4, begin)
    assert re.fullmatch(wire.error_pattern("connection-timeout"), data) and how == "fin", data


def test_client_hello_byte_by_byte(start, backend):
    """TLS-26, row 16: the handshake has a total deadline; no XML after <proceed/>."""
    import ssl
    outgoing = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="im.test")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = outgoing.read()
    proxy = start(backend.address, config=SHORT)
    for port, before in ((proxy.port, True), (proxy.direct_port, False)):
        begin = time.monotonic()
        client = Client(port)
        if before:
            client.open()
            client.send(wire.STARTTLS)
            client.until(wire.PROCEED)
        drip(client, hello[:60], 0.05)
        data, _ = closes_between(client, 1.5, 8, begin)
        assert b"<" not in data, data
    records = proxy.stop()
    assert len(audit.of(records, "stream-closed", event__code="tls-timeout")) == 2


def test_silence_after_tls(start, backend, context):
    proxy = start(backend.address, config=SHORT)
    begin = time.monotonic()
    client = Client(proxy.port).starttls(context)
    data, how = closes_between(client, 1, 4, begin)
    assert data == b"" or re.search(wire.error_pattern("connection-timeout"), data), data
    assert how == "fin"  # close_notify is owed in any case
    assert backend.accepted == 0


def test_no_authentication_in_time(start, backend, context):
    proxy = start(backend.address, config=SHORT)
    client = Client(proxy.port).starttls(context)
    client.send(wire.header())
    server = backend.accept()
    server.greet()
    client.until(b"</stream:features>")
    begin = time.monotonic()
    data, how = closes_between(client, 1, 6, begin)
    assert re.fullmatch(wire.error_pattern("connection-timeout"), data) and how == "fin", data
    server.wait_end()
    assert server.received in (wire.CLOSE, wire.stream_error("connection-timeout", "Authentication took too long")), server.received
    closed, = audit.of(proxy.stop(), "stream-closed")
    assert closed["event"]["code"] == "auth-timeout"


def test_authenticated_streams_have_no_deadline(start, backend, establish):
    proxy = start(backend.address, config=SHORT)
    client, server = establish(proxy)
    time.sleep(4.5)
    client.send(b"<presence/>")
    assert server.wait_for(b"<presence/>") == b"<presence/>"
    client.close()


def test_idle(start, backend, establish):
    """Row 47."""
    proxy = start(backend.address, config={"timeouts": {"idle": "2s"}})
    client, server = establish(proxy)
    for _ in range(3):
        time.sleep(1)
        client.send(b" ")
    begin = time.monotonic()
    data, _ = closes_between(client, 1, 4, begin)
    assert data == wire.CLOSE or re.fullmatch(wire.error_pattern("policy-violation"), data), data
    server.wait_end()
    closed, = audit.of(proxy.stop(), "stream-closed")
    assert closed["event"]["code"] == "idle"


def test_connections_that_never_spoke_have_one_record_each(start, backend):
    proxy = start(backend.address, config={"timeouts": {"negotiation": "3s"}})
    for number in range(30):
        client = Client(proxy.port)
        if number % 3 == 0:
            client.drop()
        elif number % 3 == 1:
            client.reset()
    proxy.wait_records("stream-closed", 30, timeout=20 * SLOW)
    records = proxy.stop()
    assert len(audit.of(records, "stream-closed")) == 30
    assert len({r["xmpp"]["stream"] for r in audit.of(records, "stream-closed")}) == 30
    assert backend.accepted == 0


def test_out_of_descriptors(start, backend):
    """EMFILE: said once, no busy loop, and when descriptors are free again, what waits in the kernel is served."""
    proxy = start(backend.address, config={"workers": 1, "timeouts": {"negotiation": "60s"}},
                  prefix=("prlimit", "--nofile=80:80"))
    pid, = proxy.worker_pids()
    clients = [Client(proxy.port) for _ in range(120)]
    for client in clients[:10]:
        client.open()
    until(lambda: len(os.listdir(f"/proc/{pid}/fd")) >= 79, "the worker to run out of descriptors")
    time.sleep(0.3)
    before = cpu_seconds(pid)
    time.sleep(2)
    assert cpu_seconds(pid) - before < 0.3, "a busy loop"
    said = [line for line in proxy.log if re.search(r"[Tt]oo many open files|descriptors", line)]
    assert 1 <= len([line for line in said if "accept" in line]) <= 3, said
    for client in clients[:90]:
        client.drop()
    clients[-1].open()
    for client in clients:
        client.drop()


def test_slow_reader_of_the_answer_blocks_nobody(start, backend, establish):
    """A client that stops reading costs the others nothing."""
    proxy = start(backend.address, config={"workers": 1})
    _, slow = establish(proxy)
    quick, server = establish(proxy)
    slow.sock.setblocking(False)
    try:
        while True:
            slow.sock.send(b"<message><body>" + b"y" * 60000 + b"</body></message>")
    except BlockingIOError:
        pass
    for number in range(50):
        begin = time.monotonic()
        text = f"<message id='{number}'/>".encode()
        quick.send(text)
        server.wait_for(text)
        assert time.monotonic() - begin < 1 * SLOW
