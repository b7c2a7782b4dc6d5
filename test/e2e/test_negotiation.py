# SPDX-License-Identifier: MIT
"""The accept side before and after TLS: exact bytes, split in every way, and what must never reach the backend."""
import re
import ssl
import time

import pytest
from harness import audit, wire
from harness.client import Client
from harness.wait import SLOW


def starttls_forms():
    return [wire.STARTTLS, b"<starttls xmlns=\"urn:ietf:params:xml:ns:xmpp-tls\"></starttls>",
            b"<t:starttls xmlns:t='urn:ietf:params:xml:ns:xmpp-tls'></t:starttls>",
            b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls' />\n", b"  " + wire.STARTTLS + b" \r\n\t"]


@pytest.mark.parametrize("form", starttls_forms())
def test_forms_of_starttls(proxy, backend, context, form):
    """NEG-5; white space behind it is discarded (go-xmpp sends a line feed), NEG-6."""
    client = Client(proxy.port)
    client.open()
    client.send(form)
    assert client.until(wire.PROCEED) == wire.PROCEED
    client.handshake(context).send(wire.header())
    assert backend.accept().wait_for(wire.header()) == wire.header()
    client.close()


def test_byte_by_byte(proxy, backend, context):
    """XML-5: no element waits for the byte behind it."""
    client = Client(proxy.port)
    for byte in wire.header():
        client.send(bytes([byte]))
    client.until(wire.FEATURES_STARTTLS)
    for byte in wire.STARTTLS:
        client.send(bytes([byte]))
        time.sleep(0.001)
    assert client.until(wire.PROCEED) == wire.PROCEED
    client.handshake(context)
    for byte in wire.header():
        client.send(bytes([byte]))
    server = backend.accept()
    assert server.wait_for(b"streams'>") == wire.header()
    for byte in wire.backend_header() + wire.FEATURES_AUTH:
        server.send(bytes([byte]))
    assert client.until(b"</stream:features>") == wire.backend_header() + wire.limited(wire.FEATURES_AUTH)
    client.close()


def test_starttls_in_two_segments_at_every_offset(proxy, backend):
    for cut in range(1, len(wire.STARTTLS)):
        with Client(proxy.port) as client:
            client.open()
            client.send(wire.STARTTLS[:cut])
            time.sleep(0.002)
            client.send(wire.STARTTLS[cut:])
            assert client.until(wire.PROCEED) == wire.PROCEED, cut
    assert backend.accepted == 0


def test_backend_is_not_contacted_before_tls(proxy, backend, context):
    """NEG-4: nothing of the stream before TLS, and no connection either."""
    client = Client(proxy.port)
    pre_id = client.open()
    client.send(wire.STARTTLS)
    client.until(wire.PROCEED)
    time.sleep(0.2)
    assert backend.accepted == 0
    client.handshake(context)
    time.sleep(0.2)
    assert backend.accepted == 0  # not even the handshake is enough: the header says where to
    client.send(wire.header())
    server = backend.accept()
    server.greet(identity="l1-3c9d")
    answer = client.until(b"</stream:features>")
    assert answer == wire.backend_header("l1-3c9d") + wire.limited(wire.FEATURES_AUTH)
    assert pre_id not in answer
    client.close()


def test_stream_ids_differ(proxy):
    seen = set()
    for _ in range(200):
        with Client(proxy.port) as client:
            identity = client.open()
            assert len(identity) >= 22  # 128 bits, however they are written (NEG-2)
            seen.add(identity)
    assert len(seen) == 200


def test_header_matrix(proxy):
    """NEG-1, NEG-15: to= is the bare JID iff from= was given; the version answered is ours; xml:lang is echoed."""
    cases = [(dict(version="1.0"), dict()), (dict(version="1.10"), dict()), (dict(version="01.0"), dict()),
             (dict(version="2.0"), dict()), (dict(version="11.0"), dict()), (dict(lang="de"), dict(lang="de")),
             (dict(lang=None), dict()), (dict(extra=" from='juliet@im.test/balcony'"), dict(to="juliet@im.test")),
             (dict(extra=" id='mine'"), dict()), (dict(prolog=False), dict())]
    for sent, expected in cases:
        with Client(proxy.port) as client:
            client.send(wire.header("im.test", **sent))
            answer = client.until(wire.FEATURES_STARTTLS)
            assert re.fullmatch(wire.reply_header(**expected) + re.escape(wire.FEATURES_STARTTLS), answer), (sent, answer)


def test_prefix_free_stream(proxy, backend, context):
    """NEG-19: matched by namespace; the header goes to the backend byte for byte, and errors fit the stream they are in."""
    free = (b"<?xml version='1.0'?><stream to='im.test' version='1.0' xmlns='http://etherx.jabber.org/streams'>")
    client = Client(proxy.port)
    client.send(free)
    client.until(wire.FEATURES_STARTTLS)
    client.send(wire.STARTTLS)
    assert client.until(wire.PROCEED) == wire.PROCEED
    client.handshake(context).send(free)
    assert backend.accept().wait_for(b"streams'>") == free
    client.close()


INJECTIONS = {
    "auth": wire.auth(), "stanza": b"<message/>", "header": wire.header(), "one byte": b"x", "second starttls": wire.STARTTLS,
    "client hello": bytes.fromhex("1603010100010000fc0303") + bytes(64), "nul": b"\0", "space then text": b" \n<a/>"}


@pytest.mark.parametrize("name", INJECTIONS)
@pytest.mark.parametrize("when", ["same segment", "before the features", "in the kernel"])
def test_starttls_injection(start, backend, name, when):
    """NEG-7, row 15: no <proceed/>, no XML, nothing at the backend, whatever the segments."""
    proxy = start(backend.address, config={"workers": 1})
    client = Client(proxy.port)
    if when == "before the features":
        client.send(wire.header() + wire.STARTTLS + INJECTIONS[name])
    elif when == "same segment":
        client.open()
        client.send(wire.STARTTLS + INJECTIONS[name])
    else:  # the worker sleeps while both arrive, in two segments of which it sees the second only in the kernel
        client.open()
        import os
        import signal
        pid, = proxy.worker_pids()
        os.kill(pid, signal.SIGSTOP)
        client.send(wire.STARTTLS)
        client.send(INJECTIONS[name])
        time.sleep(0.05)
        os.kill(pid, signal.SIGCONT)
    data, how = client.to_end()
    assert b"proceed" not in data and b"error" not in data and b"success" not in data, data
    assert how in ("fin", "rst")
    assert backend.accepted == 0
    records = proxy.stop()
    closed, = audit.of(records, "stream-closed")
    assert closed["event"]["code"] == "starttls-injection"
    injection, = audit.of(records, "starttls-injection")
    assert injection["event"]["severity"] == 3 and injection["event"]["outcome"] == "failure"


def test_plaintext_after_proceed_meets_the_tls_parser(start, backend):
    """What comes later can only reach TLS: an alert and the end, no XML (NEG-11)."""
    proxy = start(backend.address)
    client = Client(proxy.port)
    client.open()
    client.send(wire.STARTTLS)
    client.until(wire.PROCEED)
    client.send(wire.auth())
    data, _ = client.to_end()
    assert b"<" not in data and len(data) <= 14, data
    assert backend.accepted == 0
    closed, = audit.of(proxy.stop(), "stream-closed")
    assert closed["event"]["code"] in ("tls-failed", "not-tls")
    assert audit.get(closed, "tls.established") is not True


def test_handshake_failure_has_no_xml(start, backend):
    """NEG-11: the last plaintext is <proceed/>."""
    proxy = start(backend.address)
    client = Client(proxy.port)
    client.open()
    client.send(wire.STARTTLS)
    client.until(wire.PROCEED)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        client.handshake(context)
    closed, = audit.of(proxy.stop(), "stream-closed")
    assert closed["event"]["code"] == "tls-failed" and backend.accepted == 0


def test_prelude_of_tls_is_forgotten(proxy, backend, context):
    """NEG-9: from= said in plaintext is gone; the header after TLS decides."""
    client = Client(proxy.port)
    client.send(wire.header(extra=" from='mallory@im.test'"))
    client.until(wire.FEATURES_STARTTLS)
    client.send(wire.STARTTLS)
    client.until(wire.PROCEED)
    client.handshake(context)
    mine = wire.header(extra=" from='juliet@im.test'")
    client.send(mine)
    server = backend.accept()
    assert server.wait_for(b"streams'>") == mine
    server.greet()
    client.until(b"</stream:features>")
    client.close()
    closed = proxy.wait_records("stream-closed")[-1]
    assert closed["xmpp"]["from"].startswith("juliet@im.test")


def test_features_are_edited_by_bytes(proxy, backend, context):
    """NEG-12, NEG-24, NEG-31, SASL-3: starttls and compression go, our limits come last, every other byte stays, mechanism
    lists are never touched."""
    offers = [
        (b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><compression xmlns='http://jabber.org/features/compress'>"
         b"<method>zlib</method></compression>" + wire.MECHANISMS + b"</stream:features>",
         b"<stream:features>" + wire.MECHANISMS + b"</stream:features>"),
        (b"<stream:features xmlns:c='http://jabber.org/features/compress' >\n <x:y xmlns:x=\"urn:x\" a='&lt;&apos;'/>"
         b"<t:starttls xmlns:t='urn:ietf:params:xml:ns:xmpp-tls'><t:required/></t:starttls >" + wire.MECHANISMS +
         b"<c:compression><c:method>zlib</c:method></c:compression>\t</stream:features>",
         b"<stream:features xmlns:c='http://jabber.org/features/compress' >\n <x:y xmlns:x=\"urn:x\" a='&lt;&apos;'/>" +
         wire.MECHANISMS + b"\t</stream:features>"),
        (b"<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1-PLUS</mechanism>"
         b"<mechanism>SCRAM-SHA-1</mechanism></mechanisms><sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>"
         b"<channel-binding type='tls-exporter'/></sasl-channel-binding></stream:features>", None),
        (b"<stream:features xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
         b"<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'></mechanisms></stream:features>", None)]
    for offered, expected in offers:
        client = Client(proxy.port).starttls(context)
        client.send(wire.header())
        server = backend.accept()
        server.greet(offered)
        assert client.until(b"</stream:features>") == wire.backend_header() + wire.limited(expected or offered)
        client.close()
    assert proxy.wait_records("channel-binding-conflict", 1)


def test_two_domains_each_with_its_certificate(start, pki, context):
    """TLS-16: under STARTTLS the certificate follows `to`, without any SNI."""
    from harness.backend import Backend
    backend = Backend()
    proxy = start(backend.address)
    for domain in ("im.test", "other.test"):
        client = Client(proxy.port)
        client.open(domain)
        client.send(wire.STARTTLS)
        client.until(wire.PROCEED)
        silent = pki.context()
        silent.check_hostname = False
        client.handshake(silent, server_name=None)
        assert ("DNS", domain) in client.sock.getpeercert()["subjectAltName"]
        client.send(wire.header(domain))
        assert backend.accept().wait_for(b"streams'>") == wire.header(domain)
        client.close()
    backend.close()


def test_starttls_with_tls_auto_and_direct_on_one_port(start, backend, context, establish):
    """The first byte tells (0x16 is TLS)."""
    proxy = start(backend.address)
    client, server = establish(proxy, lambda: Client(proxy.port).handshake(context))
    client.send(b"<presence/>")
    assert server.wait_for(b"<presence/>") == b"<presence/>"
    client.close()
    assert proxy.wait_records("stream-closed")[0]["xmpp"]["starttls"]["result"] == "direct"


def test_starttls_only_listener_refuses_direct_tls(start, backend, context):
    proxy = start(backend.address, run=False)
    proxy.config["listeners"][0]["tls"] = "starttls"
    proxy.write_config()
    proxy.start()
    with pytest.raises((ssl.SSLError, OSError)):
        Client(proxy.port).handshake(context)
    Client(proxy.port).starttls(context).close()
    assert SLOW and backend.accepted == 0
