# SPDX-License-Identifier: MIT
"""The PROXY protocol, both ways: believed from trusted networks only, counted and recorded by the real client, told to the
backend in the first bytes (NEG-34)."""
import os
import re
import socket
import ssl
import tempfile
import time

import pytest
from harness import audit, proxyheader, slix, wire
from harness.backend import Backend
from harness.client import Client
from harness.haproxy import Haproxy
from harness.wait import SLOW, until

REAL, DESTINATION = ("192.0.2.7", 40000), ("198.51.100.9", 5222)
REAL6, DESTINATION6 = ("2001:db8::7", 40000), ("2001:db8::9", 5222)
V1 = proxyheader.v1(REAL, DESTINATION)
V2 = proxyheader.v2(REAL, DESTINATION)
TLVS = proxyheader.tlv(proxyheader.ALPN, b"xmpp-client") + proxyheader.tlv(0xEA, b"?") + proxyheader.tlv(proxyheader.NOOP, b"")


@pytest.fixture
def behind(start, backend):
    """behind(config) -> a proxy whose both listeners trust 127.0.0.1 and nobody else."""
    def make(config=None, address=None, trusted=("127.0.0.1",), listen=None, announce="none"):
        proxy = start(address or backend.address, run=False, config=config)
        for listener in proxy.config["listeners"]:
            listener["accept-proxy-protocol"] = list(trusted)
        if listen:
            proxy.config["listeners"][0]["address"] = f"{listen}:{proxy.port}"
        for domain in proxy.config["domains"]:
            domain["backend"]["proxy-protocol"] = announce
        proxy.write_config()
        return proxy.start()
    return make


@pytest.fixture
def haproxy():
    started = []

    def make(*arguments, **options):
        started.append(Haproxy(*arguments, **options))
        return started[-1]
    yield make
    for h in started:
        h.stop()


def source_of(record):
    return record["source"]["ip"], record["source"]["port"]


HEADERS = {
    "v1": (V1, REAL),
    "v1 TCP6": (proxyheader.v1(REAL6, DESTINATION6), REAL6),
    "v2": (V2, REAL),
    "v2 TCP6": (proxyheader.v2(REAL6, DESTINATION6), REAL6),
    "v2 mapped": (proxyheader.v2(("::ffff:192.0.2.7", 40000), ("::ffff:198.51.100.9", 5222)), REAL),
    "v2 with extensions": (proxyheader.v2(REAL, DESTINATION, TLVS, checksum=True), REAL),
}


@pytest.mark.parametrize("name", HEADERS)
def test_believed(behind, context, name):
    """However the header comes, what stands behind it is the client's stream, and the client is who it says."""
    header, real = HEADERS[name]
    proxy = behind()
    together = Client(proxy.port).send(header + wire.header())
    together.until(wire.FEATURES_STARTTLS)
    source, = {s["source"] for s in proxy.streams()}
    assert source == (f"[{real[0]}]:{real[1]}" if ":" in real[0] else f"{real[0]}:{real[1]}")
    apart = Client(proxy.port)
    for byte in header:
        apart.send(bytes([byte]))
    apart.quiet(0.1)
    apart.starttls(context)
    direct = Client(proxy.direct_port).send(header)
    direct.handshake(context)
    for client in (together, apart, direct):
        client.close()
    records = proxy.stop()
    assert [source_of(r) for r in audit.of(records, "stream-closed")] == [real] * 3
    assert not audit.of(records, "stream-closed", event__code="proxy-header")


@pytest.mark.parametrize("header", [proxyheader.local(), proxyheader.frame(0x20, 0x11, b"whatever"), b"PROXY UNKNOWN\r\n",
                                    proxyheader.frame(0x21, 0, b""), proxyheader.frame(0x21, 0x31, b"/run/x".ljust(216, b"\0"))],
                         ids=["LOCAL", "LOCAL with a body", "UNKNOWN", "UNSPEC", "UNIX"])
def test_no_client_is_named(behind, header):
    """Then the connection is the proxy's own, and not held to the limit of one client's address."""
    proxy = behind({"limits": {"connections-per-address": 1}})
    clients = [Client(proxy.port).send(header) for _ in range(3)]
    for client in clients:
        client.open()
    ports = sorted(c.sock.getsockname() for c in clients)
    for client in clients:
        client.close()
    assert sorted(source_of(r) for r in audit.of(proxy.stop(), "stream-closed")) == ports


MALFORMED = {
    "no header": wire.header(),
    "TLS at once": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "white space": b" " + V1,
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "leading zero": b"PROXY TCP4 192.0.2.07 198.51.100.9 40000 5222\r\n",
    "port": b"PROXY TCP4 192.0.2.7 198.51.100.9 40000 65536\r\n",
    "five fields": b"PROXY TCP4 192.0.2.7 198.51.100.9 40000\r\n",
    "seven fields": b"PROXY TCP4 192.0.2.7 198.51.100.9 40000 5222 1\r\n",
    "other family": b"PROXY TCP6 192.0.2.7 198.51.100.9 40000 5222\r\n",
    "LF": b"PROXY TCP4 192.0.2.7 198.51.100.9 40000 5222\n",
    "too long": b"PROXY UNKNOWN " + b"x" * 200,
    "v2 version": proxyheader.frame(0x11, 0x11, V2[16:]),
    "v2 command": proxyheader.frame(0x22, 0x11, V2[16:]),
    "v2 datagram": proxyheader.frame(0x21, 0x12, V2[16:]),
    "v2 family": proxyheader.frame(0x21, 0x41, V2[16:]),
    "v2 cut address": proxyheader.frame(0x21, 0x21, V2[16:]),
    "v2 cut extension": proxyheader.v2(REAL, DESTINATION, b"\x01\x00\x09xmpp"),
    "v2 checksum": proxyheader.v2(REAL, DESTINATION, proxyheader.tlv(proxyheader.CRC32C, b"oops")),
    "v2 length": V2[:14] + b"\xff\xff" + b"\0" * 3000,
    "twice": V1 + V1,
}


def test_malformed(behind, backend):
    """Closed without a byte of XML; the record has the socket's own address. A second header is the client's garbage."""
    proxy = behind()
    ends = {}
    for name, data in MALFORMED.items():
        client = Client(proxy.port).send(data + wire.header())
        ends[name] = client.sock.getsockname()
        said, _ = client.to_end()
        assert (said == b"") == (name != "twice"), name
    assert backend.accepted == 0
    records = proxy.stop()
    by_source = {source_of(r): r for r in audit.of(records, "stream-closed")}
    for name, end in ends.items():
        record = by_source[REAL if name == "twice" else end]
        assert record["event"]["code"] == ("not-well-formed" if name == "twice" else "proxy-header"), name
        assert record["event"]["outcome"] == "failure" and record["event"]["reason"]
    refused = audit.of(records, "stream-refused", event__code="proxy-header")
    assert len(refused) == len(MALFORMED) - 1 and {r["event"]["severity"] for r in refused} == {2}


def test_slow_silent_and_cut(behind):
    """The whole header is due within timeouts.negotiation, counted from the connection, not from its last byte."""
    proxy = behind({"timeouts": {"negotiation": "2s"}})
    begin = time.monotonic()
    silent, slow = Client(proxy.port), Client(proxy.port)
    ends = {"it did not come in time": {silent.sock.getsockname(), slow.sock.getsockname()}}
    try:
        for byte in V2:
            slow.send(bytes([byte]))
            time.sleep(0.2)
    except OSError:
        pass
    assert slow.to_end()[0] == silent.to_end()[0] == b""
    assert 1.5 < time.monotonic() - begin < 5 + 3 * SLOW
    cut = Client(proxy.port).send(V2[:20])
    ends["the connection ended in the middle of it"] = {cut.sock.getsockname()}
    cut.drop()
    check = Client(proxy.port)
    end = check.sock.getsockname()
    check.drop()
    proxy.wait_records("stream-closed", 4)
    records = proxy.stop()
    for words, sources in ends.items():
        found = [r for r in audit.of(records, "stream-closed", event__code="proxy-header") if words in r["event"]["reason"]]
        assert {source_of(r) for r in found} == sources
    assert source_of(audit.of(records, "stream-closed", event__code="peer-gone")[0]) == end


def test_from_elsewhere_it_is_an_error(behind, context):
    """Spoofed: bytes are what they are. The same client without a header is served."""
    proxy = behind()
    for header in (V1, V2):
        data, _ = Client(proxy.port, source="127.0.0.2").send(header + wire.header()).to_end()
        assert re.search(wire.error_pattern("not-well-formed"), data), data
        data, _ = Client(proxy.direct_port, source="127.0.0.2").send(header).to_end()
        assert b"<" not in data
    Client(proxy.port, source="127.0.0.2").starttls(context).close()
    records = proxy.stop()
    closed = audit.of(records, "stream-closed")
    assert {r["source"]["ip"] for r in closed} == {"127.0.0.2"}
    assert [r["event"]["code"] for r in closed].count("not-well-formed") == 2


def admitted(proxy, header):
    """The answer to a stream header behind that PROXY header, None if there is none."""
    client = Client(proxy.port)
    try:
        client.send(header + wire.header()).until(wire.FEATURES_STARTTLS, 5)
        return client
    except (OSError, AssertionError):
        client.drop()
        return None


def test_limit_counts_the_real_client(behind):
    proxy = behind({"limits": {"connections-per-address": 3}})
    first, other = V1, proxyheader.v2(("192.0.2.8", 1), DESTINATION)
    open_ones = [admitted(proxy, first) for _ in range(3)]
    assert all(open_ones)
    for _ in range(3):
        assert admitted(proxy, first) is None
    others = [admitted(proxy, other) for _ in range(3)]
    assert all(others)
    assert admitted(proxy, other) is None
    # One subscriber's /64 is one client.
    six = [admitted(proxy, proxyheader.v1((f"2001:db8::{n}", 1), DESTINATION6)) for n in range(1, 6)]
    assert [bool(client) for client in six] == [True] * 3 + [False] * 2
    open_ones[0].drop()
    until(lambda: admitted(proxy, first), "a place to be free again")
    refused = audit.of(proxy.stop(), "stream-closed", event__code="connection-limit")
    assert {r["source"]["ip"] for r in refused} >= {"192.0.2.7", "192.0.2.8", "2001:db8::4", "2001:db8::5"}


def test_total_counts_who_has_not_said_yet(behind):
    """Connections of the proxy that have not sent their header hold places; one too many is told why, behind its own."""
    proxy = behind({"limits": {"connections": 4, "connections-per-address": 2}})
    waiting = [Client(proxy.port) for _ in range(3)]
    waiting.append(Client(proxy.port).send(V1[:9]))
    until(lambda: len(proxy.streams()) == 4, "four connections")
    data, _ = Client(proxy.port).send(V2 + wire.header()).to_end()
    assert data == b"" or re.search(wire.error_pattern("resource-constraint"), data), data
    waiting[3].send(V1[9:]).open()
    for client in waiting:
        client.drop()
    until(lambda: admitted(proxy, V1), "a place to be free again")
    assert audit.of(proxy.stop(), "stream-closed", event__code="total-limit")


# --- towards the backend

def ask(proxy, context, client=None):
    client = (client or Client(proxy.port)).starttls(context)
    client.send(wire.header())
    return client


def test_v1_to_the_backend(behind, backend, context):
    """Byte for byte; the destination is where the client connected to, ours or as the proxy in front tells."""
    proxy = behind(trusted=["127.0.0.3"], announce="v1")
    client = ask(proxy, context)
    server = backend.accept()
    port = client.sock.getsockname()[1]
    line = f"PROXY TCP4 127.0.0.1 127.0.0.1 {port} {proxy.port}\r\n".encode()
    assert server.wait_for(b"streams'>") == line + wire.header()
    second = ask(proxy, context, Client(proxy.port, source="127.0.0.3").send(V2))
    assert backend.accept().wait_for(b"streams'>") == V1 + wire.header()
    third = ask(proxy, context, Client(proxy.port, source="127.0.0.3").send(proxyheader.v1(REAL6, DESTINATION6)))
    assert backend.accept().wait_for(b"streams'>") == proxyheader.v1(REAL6, DESTINATION6) + wire.header()
    for one in (client, second, third):
        one.close()


def test_dual_stack_listener_tells_ipv4_as_ipv4(behind, backend, context):
    proxy = behind(trusted=[], listen="[::]", announce="v1")
    client = ask(proxy, context)
    line = f"PROXY TCP4 127.0.0.1 127.0.0.1 {client.sock.getsockname()[1]} {proxy.port}\r\n".encode()
    assert backend.accept().wait_for(b"streams'>") == line + wire.header()
    if not os.path.exists("/proc/net/if_inet6") or " lo\n" not in open("/proc/net/if_inet6", encoding="ascii").read():
        return
    six = ask(proxy, context, Client(proxy.port, host="::1"))
    line = f"PROXY TCP6 ::1 ::1 {six.sock.getsockname()[1]} {proxy.port}\r\n".encode()
    assert backend.accept().wait_for(b"streams'>") == line + wire.header()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_v2_to_the_backend(behind, backend, pki, version):
    proxy = behind(trusted=[], announce="v2")
    context = pki.context(alpn=["xmpp-client"], version=version)
    client = ask(proxy, context)
    data = backend.accept().wait_for(b"streams'>")
    command, source, destination, tlvs, rest = proxyheader.parse_v2(data)
    assert (command, source, destination) == (0x21, client.sock.getsockname(), ("127.0.0.1", proxy.port))
    assert rest == wire.header()
    assert tlvs.pop(proxyheader.ALPN) == b"xmpp-client"
    assert tlvs.pop(proxyheader.AUTHORITY) == b"im.test"
    flags, verify, inner = proxyheader.parse_ssl(tlvs.pop(proxyheader.SSL))
    assert (flags, verify) == (0x01, 1)  # TLS, and no certificate that could be verified
    cipher, protocol, _ = client.sock.cipher()
    assert inner == {proxyheader.SSL_VERSION: {"TLSv1.2": b"TLSv1.2", "TLSv1.3": b"TLSv1.3"}[client.sock.version()],
                     proxyheader.SSL_CIPHER: cipher.encode()}, protocol
    assert not tlvs


def test_v2_leaves_out_what_was_not_said(behind, backend, context):
    """No ALPN, no server name; direct TLS behind a trusted proxy; the ends are those of its header."""
    proxy = behind(announce="v2")
    context.check_hostname = False
    client = Client(proxy.direct_port).send(proxyheader.v1(REAL6, DESTINATION6))
    client.handshake(context, server_name=None)
    client.send(wire.header())
    command, source, destination, tlvs, rest = proxyheader.parse_v2(backend.accept().wait_for(b"streams'>"))
    assert (command, source, destination) == (0x21, REAL6, DESTINATION6)
    assert set(tlvs) == {proxyheader.SSL} and rest == wire.header()


@pytest.mark.parametrize("announce", ["v1", "v2"])
def test_unix_socket_backend(behind, context, announce):
    directory = tempfile.mkdtemp(prefix="portcullis-sock-")
    os.chmod(directory, 0o755)
    unix = Backend(path=os.path.join(directory, "c2s"))
    try:
        proxy = behind(address=unix.address, announce=announce)
        client = ask(proxy, context, Client(proxy.port).send(V2))
        data = unix.accept().wait_for(b"streams'>")
        if announce == "v1":
            assert data == V1 + wire.header()
        else:
            assert proxyheader.parse_v2(data)[1:3] == (REAL, DESTINATION)
        client.drop()
    finally:
        unix.close()
        os.rmdir(directory)


def test_nothing_is_sent_where_it_is_not_asked_for(behind, backend, context):
    proxy = behind(announce="none")
    client = ask(proxy, context, Client(proxy.port).send(V2))
    assert backend.accept().wait_for(b"streams'>") == wire.header()
    client.close()


# --- with HAProxy, which implements the protocol's specification

@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"],
                         ids=["v1", "v2", "v2 crc32c"])
def test_haproxy_in_front(behind, haproxy, backend, context, option):
    proxy = behind(announce="v1")
    front = haproxy(f"127.0.0.1:{proxy.port}", server=option)
    client = ask(proxy, context, Client(front.port, source="127.0.0.5"))
    end = client.sock.getsockname()
    line = f"PROXY TCP4 {end[0]} 127.0.0.1 {end[1]} {front.port}\r\n".encode()
    assert backend.accept().wait_for(b"streams'>") == line + wire.header()
    client.drop()
    proxy.wait_records("stream-closed", 1)
    assert {source_of(r) for r in audit.of(proxy.stop(), "stream-closed")} == {end}


def test_haproxy_health_checks(behind, haproxy, context):
    """Its checks say LOCAL and leave; they do not use up the limit, and clients are served meanwhile."""
    proxy = behind({"limits": {"connections-per-address": 1}})
    front = haproxy(f"127.0.0.1:{proxy.port}", server="send-proxy-v2 check check-send-proxy inter 100ms")
    proxy.wait_records("stream-closed", 5)
    client = Client(front.port, source="127.0.0.5").starttls(context)
    end = client.sock.getsockname()
    client.drop()
    until(lambda: [r for r in proxy.records("stream-closed") if source_of(r) == end], "the client's record")
    front.stop()
    assert not audit.of(proxy.stop(), "stream-refused")


@pytest.mark.parametrize("announce", ["v1", "v2"])
def test_haproxy_behind(behind, haproxy, backend, pki, announce):
    """What we write, HAProxy takes; it tells the server behind it in version 1 what it understood."""
    behind_us = haproxy(backend.address, bind="accept-proxy", server="send-proxy")
    proxy = behind(address=behind_us.address, trusted=[], announce=announce)
    client = ask(proxy, pki.context(alpn=["xmpp-client"]))
    line = proxyheader.v1(client.sock.getsockname(), ("127.0.0.1", proxy.port))
    assert backend.accept().wait_for(b"streams'>") == line + wire.header()


def test_real_clients_through_haproxy_to_prosody(behind, haproxy, prosody, pki):
    proxy = behind(address=prosody.address)
    front = haproxy(f"127.0.0.1:{proxy.port}", server="send-proxy-v2")
    pair = [{"user": "juliet", "password": "r0m30myr0m30", "body": "ay me"},
            {"user": "romeo", "password": "c4pul3t", "body": "she speaks"}]
    result = slix.pair(domain="im.test", port=front.port, ca=pki.ca, direct=False, users=pair, timeout=30 * SLOW)
    assert result["heard"] == {"juliet": "she speaks", "romeo": "ay me"}
    records = proxy.stop()
    for user in ("juliet", "romeo"):
        assert audit.of(records, "stream-closed", xmpp__auth__identity=f"{user}@im.test")


def test_encoder_and_decoder_agree():
    """The tests' own encoder and decoder, against each other and against the specification's numbers."""
    command, source, destination, tlvs, rest = proxyheader.parse_v2(proxyheader.v2(REAL, DESTINATION, TLVS, True) + b"<")
    assert (command, source, destination, rest) == (0x21, REAL, DESTINATION, b"<")
    assert set(tlvs) == {proxyheader.ALPN, 0xEA, proxyheader.NOOP, proxyheader.CRC32C}
    assert proxyheader.crc32c(b"123456789") == 0xE3069283
    assert V2[16:] == socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.9") + b"\x9c\x40\x14\x66"
