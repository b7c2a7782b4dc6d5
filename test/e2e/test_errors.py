# SPDX-License-Identifier: MIT
"""The error table (protocol section 4) on the wire: what the near side reads, to the byte, and what the far side does."""
import re

import pytest
from harness import audit, wire
from harness.client import Client

NS = wire.ERRORS
AUTH_REFUSED = f"<failure xmlns='{wire.SASL}'><encryption-required/></failure>".encode()
AUTH2_REFUSED = f"<failure xmlns='urn:xmpp:sasl:2'><encryption-required xmlns='{wire.SASL}'/></failure>".encode()
STARTTLS_REQUIRED = wire.stream_error("policy-violation", "Use of STARTTLS required")
AUTH2 = (f"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>{wire.plain()}</initial-response>"
         "</authenticate>").encode()
IQ_AUTH = (b"<iq type='set' id='1'><query xmlns='jabber:iq:auth'><username>juliet</username><password>r0m30myr0m30</password>"
           b"</query></iq>")


def end(proxy, client, backend, code, notes=()):
    """The connection has ended; the records say why; the backend knows nothing."""
    assert backend.accepted == 0
    records = proxy.stop()
    closed, = audit.of(records, "stream-closed")
    assert closed["event"]["code"] == code, closed
    for action in notes:
        assert audit.of(records, action), f"{action} is missing in {[r['event']['action'] for r in records]}"
    return closed


HEADERS = {  # row: header sent -> (pattern of the header answered, error, code)
    "3 unknown to": (wire.header("nowhere.test"), wire.reply_header(""), "host-unknown", "host-unknown"),
    "3 no to": (wire.header(None), wire.reply_header(""), "host-unknown", "host-unknown"),
    "3 empty to": (wire.header(""), wire.reply_header(""), "host-unknown", "host-unknown"),
    "6 stream namespace": (wire.header(streams="urn:wrong"), wire.reply_header(), "invalid-namespace", "namespace"),
    "6 content namespace": (wire.header(namespace="jabber:server"), wire.reply_header(), "invalid-namespace", "namespace"),
    "8 version": (wire.header(version="one"), wire.reply_header(), "unsupported-version", "version"),
    "9 no version": (wire.header(version=None), wire.reply_header(version=False), "policy-violation", "pre10-initiator"),
    "9 version 0.9": (wire.header(version="0.9"), wire.reply_header(version=False), "policy-violation", "pre10-initiator"),
}


@pytest.mark.parametrize("row", HEADERS)
def test_header_refused(start, backend, row):
    sent, header, condition, code = HEADERS[row]
    proxy = start(backend.address)
    client = Client(proxy.port).send(sent)
    data, how = client.to_end()
    assert re.fullmatch(header + wire.error_pattern(condition), data), data
    assert how == "fin"
    assert b"nowhere" not in data  # an unknown host is never echoed (NEG-17)
    end(proxy, client, backend, code)


PLAINTEXT = {  # row: sent after the features -> (exact answer, code, further records)
    "10 auth": (wire.auth(), AUTH_REFUSED + STARTTLS_REQUIRED, "plaintext-auth", ["starttls-ignored", "credentials-exposed"]),
    "10 scram": (wire.auth("biwsbj1qdWxpZXQscj1hYmM=", "SCRAM-SHA-1"), AUTH_REFUSED + STARTTLS_REQUIRED, "plaintext-auth",
                 ["starttls-ignored"]),
    "10 sasl2": (AUTH2, AUTH2_REFUSED + STARTTLS_REQUIRED, "plaintext-auth", ["starttls-ignored", "credentials-exposed"]),
    "10 iq auth": (IQ_AUTH, STARTTLS_REQUIRED, "plaintext-auth", ["starttls-ignored", "credentials-exposed"]),
    "11 message": (b"<message to='romeo@im.test'><body>x</body></message>", wire.stream_error("not-authorized"),
                   "plaintext-stanza", ["starttls-ignored"]),
    "12 other": (b"<enable xmlns='urn:xmpp:sm:3'/>", STARTTLS_REQUIRED, "tls-required", ["starttls-ignored"]),
    "12 compress": (wire.COMPRESS, STARTTLS_REQUIRED, "tls-required", ["starttls-ignored"]),
    "14 attribute": (b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls' a='b'/>", wire.TLS_FAILURE + wire.CLOSE, "starttls-misuse", []),
    "14 child": (b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>", wire.TLS_FAILURE + wire.CLOSE,
                 "starttls-misuse", []),
    "34 comment": (b"<!-- -->", wire.stream_error("restricted-xml"), "restricted-xml", ["stanza-violation"]),
    "34 pi": (b"<?php ?>", wire.stream_error("restricted-xml"), "restricted-xml", ["stanza-violation"]),
    "34 entity": (b"<a>&x;</a>", wire.stream_error("restricted-xml"), "restricted-xml", ["stanza-violation"]),
    "35 tags": (b"<a></b>", wire.stream_error("not-well-formed"), "not-well-formed", ["stanza-violation"]),
    "35 prefix": (b"<a:b/>", wire.stream_error("not-well-formed"), "not-well-formed", ["stanza-violation"]),
    "36 utf-8": (b"<a>\xff</a>", wire.stream_error("unsupported-encoding"), "encoding", ["stanza-violation"]),
    "36 overlong": (b"<a>\xc0\xaf</a>", wire.stream_error("unsupported-encoding"), "encoding", ["stanza-violation"]),
}


@pytest.mark.parametrize("row", PLAINTEXT)
def test_plaintext_refused(start, backend, row):
    sent, expected, code, notes = PLAINTEXT[row]
    proxy = start(backend.address)
    client = Client(proxy.port)
    client.open()
    client.send(sent)
    data, how = client.to_end()
    # What was wrong with the XML may be said in a <text/> as well; everything else is exact.
    exact = re.sub(rb"<text [^>]*>[^<]*</text>", b"", data) if row[:2] in ("34", "35", "36") else data
    assert exact == expected, data
    assert how == "fin"
    closed = end(proxy, client, backend, code, notes)
    assert ("credentials-exposed" in notes) == bool(audit.of(audit.records(proxy.audit_file), "credentials-exposed"))
    assert audit.get(closed, "tls.established") is not True


def test_bad_xml_in_the_first_header(start, backend):
    """Rows 34 to 36 before a header was read: our own header first, then the error (NEG-17)."""
    cases = [(b"<!DOCTYPE a [<!ENTITY b 'c'>]>", "restricted-xml"), (b"<?xml version='1.0' encoding='ISO-8859-1'?><a/>", "unsupported-encoding"),
             (b"GET / HTTP/1.1\r\n\r\n", "not-well-formed"), (b"\xff\xfe<\0", "unsupported-encoding")]
    proxy = start(backend.address)
    for sent, condition in cases:
        client = Client(proxy.port).send(sent)
        data, _ = client.to_end()
        assert re.fullmatch(rb"<\?xml version='1\.0'\?><stream:stream from='' id='[^']+' version='1\.0' xml:lang='en' xmlns='jabber:client' "
                            rb"xmlns:stream='http://etherx\.jabber\.org/streams'>" + wire.error_pattern(condition), data), (sent, data)
    assert backend.accepted == 0


def test_billion_laughs_costs_nothing(start, backend):
    from harness.wait import cpu_seconds, rss_bytes
    proxy = start(backend.address, config={"workers": 1})
    pid, = proxy.worker_pids()
    before, used = rss_bytes(pid), cpu_seconds(pid)
    laughs = b"<!DOCTYPE l [" + b"".join(b"<!ENTITY a%d '%s'>" % (i, b"&a%d;" % (i - 1) * 10) for i in range(1, 10)) + b"]><l>&a9;</l>"
    for _ in range(20):
        data, _ = Client(proxy.port).send(laughs).to_end()
        assert b"<restricted-xml" in data
    assert rss_bytes(pid) - before < 4 * 2 ** 20 and cpu_seconds(pid) - used < 2


def test_header_after_tls_names_another_domain(start, backend, context):
    """Row 18 (NEG-9): the certificate shown was for the first name."""
    proxy = start(backend.address)
    client = Client(proxy.port).starttls(context)
    client.send(wire.header("other.test"))
    data, how = client.to_end()
    assert re.fullmatch(wire.reply_header() + wire.error_pattern("not-authorized"), data), data
    assert how == "fin"
    end(proxy, client, backend, "header-switch")


def test_header_after_tls_names_an_unknown_domain(start, backend, context):
    proxy = start(backend.address)
    client = Client(proxy.direct_port).handshake(context)
    client.send(wire.header("nowhere.test"))
    data, _ = client.to_end()
    assert re.fullmatch(wire.reply_header() + wire.error_pattern("host-unknown"), data), data
    end(proxy, client, backend, "host-unknown")


INSIDE = {  # row: sent on an authenticated stream -> (condition, code)
    "34 comment": (b"<message><!-- x --></message>", "restricted-xml", "restricted-xml"),
    "34 entity": (b"<message>&nbsp;</message>", "restricted-xml", "restricted-xml"),
    "34 doctype": (b"<!DOCTYPE a>", "restricted-xml", "restricted-xml"),
    "34 declaration": (b"<?xml version='1.0'?>", "restricted-xml", "restricted-xml"),
    "35 tags": (b"<message></presence>", "not-well-formed", "not-well-formed"),
    "35 attribute twice": (b"<message a='1' a='2'/>", "not-well-formed", "not-well-formed"),
    "36 surrogate": (b"<message>\xed\xa0\x80</message>", "unsupported-encoding", "encoding"),
    "37 nested stream": (b"<message><stream:stream/></message>", "bad-format|invalid-xml", "smuggling"),
    "37 second header": (wire.header(prolog=False), "bad-format|invalid-xml", "second-header"),
    "37 foreign streams element": (b"<stream:evil/>", "bad-format|invalid-xml", "smuggling"),
    "stray text": (b"junk<message/>", "bad-format", "stray-text"),
    "38 too big": (b"<message><body>" + b"x" * 40000 + b"</body></message>", "policy-violation", "too-big"),
    "38 too deep": (b"<a>" * 70, "policy-violation", "too-deep"),
    "7 prefixed stanza": (b"<c:message xmlns:c='jabber:client'/>", "bad-namespace-prefix", "prefix"),
}


@pytest.mark.parametrize("row", INSIDE)
def test_violation_on_an_open_stream(start, backend, establish, row):
    """The whole elements before the bad one arrive, of the bad one nothing; the backend's stream is closed in order."""
    sent, condition, code = INSIDE[row]
    proxy = start(backend.address, config={"limits": {"stanza": "20k"}})
    client, server = establish(proxy)
    good = b"<message to='a@im.test'><body>good</body></message>"
    client.send(good + sent)
    data, how = client.to_end()
    assert re.fullmatch(b"(" + b"|".join(wire.error_pattern(c) for c in condition.split("|")) + b")", data), data
    assert how == "fin"
    assert (b"<stanza-too-big xmlns='urn:xmpp:errors'/>" in data) == row.startswith("38")
    server.wait_end()
    assert server.received == good + wire.CLOSE, server.received[:300]
    closed, = audit.of(proxy.stop(), "stream-closed")
    assert closed["event"]["code"] == code
    assert closed["xmpp"]["error"] in condition.split("|")


def test_violation_by_the_backend(start, backend, establish):
    """Rows 34 to 38 the other way round: the client reads that it is our side's fault, and nothing of the element."""
    proxy = start(backend.address)
    client, server = establish(proxy)
    server.send(b"<message><body>good</body></message><message><stream:stream/></message>")
    data, _ = client.to_end()
    assert re.fullmatch(b"<message><body>good</body></message>" + wire.error_pattern("internal-server-error"), data), data
    server.wait_end()
    assert b"<stream:error>" in server.received and server.received.endswith(wire.CLOSE)


def test_starttls_inside_tls(start, backend, establish):
    """Row 14, NEG-10, transcript 3.6."""
    proxy = start(backend.address)
    client, server = establish(proxy)
    client.send(wire.STARTTLS)
    assert client.to_end() == (wire.TLS_FAILURE + wire.CLOSE, "fin")
    server.wait_end()
    assert server.received == wire.CLOSE
    closed, = audit.of(proxy.stop(), "stream-closed")
    assert closed["event"]["code"] == "starttls-misuse"


def test_compression_is_refused_and_the_stream_lives(start, backend, establish, context):
    """Row 44, NEG-24: before and after authentication, never forwarded."""
    proxy = start(backend.address)
    client = Client(proxy.port).starttls(context)
    client.send(wire.header())
    server = backend.accept()
    server.greet()
    client.until(b"</stream:features>")
    client.send(wire.COMPRESS)
    assert client.until(b"</failure>") == wire.COMPRESS_FAILURE
    client.send(wire.auth())
    assert server.wait_for(b"</auth>") == wire.auth()
    client.close()
    server.close()
    client, server = establish(proxy)
    client.send(wire.COMPRESS)
    assert client.until(b"</failure>") == wire.COMPRESS_FAILURE
    client.send(b"<presence/>")
    assert server.wait_for(b"<presence/>") == b"<presence/>"
    client.close()


def test_gssapi_is_refused_without_asking_the_backend(start, backend, context):
    """SASL-6: a security layer would make what follows opaque."""
    proxy = start(backend.address)
    client = Client(proxy.port).starttls(context)
    client.send(wire.header())
    server = backend.accept()
    server.greet()
    client.until(b"</stream:features>")
    client.send(wire.auth("YII=", "GSSAPI"))
    assert client.until(b"</failure>") == f"<failure xmlns='{wire.SASL}'><invalid-mechanism/></failure>".encode()
    client.send(wire.auth())
    assert server.wait_for(b"</auth>") == wire.auth()
    client.close()
