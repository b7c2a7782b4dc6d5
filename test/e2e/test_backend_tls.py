# SPDX-License-Identifier: MIT
"""TLS on the leg to the legacy server: a real one that demands it, and scripted ones that do it wrong in every way."""
import json
import os
import re
import tempfile

import pytest
from harness import audit, slix, wire
from harness.pki import Pki, openssl
from harness.tls_backend import STARTTLS_FEATURES, TlsBackend, tls_prosody
from harness.wait import SLOW
from test_backend import FAILED, ask
from test_login import PAIR

INSIDE = wire.backend_header("b2-id") + wire.FEATURES_AUTH
SHOWN = wire.limited(INSIDE)  # as the client sees it


@pytest.fixture
def secure():
    backend = TlsBackend()
    yield backend
    backend.close()


@pytest.fixture
def begin(start, secure, pki):
    """begin("required") -> a proxy before the scripted backend; other keys go into the backend block."""
    def make(tls, ca=True, timeouts=None, address=None, **keys):
        config = {"tls": {"ca-file": pki.ca}} if ca else {}
        config["timeouts"] = timeouts or {}
        proxy = start(address or secure.address, run=False, config=config)
        for domain in proxy.config["domains"]:
            domain["backend"].update(tls=tls, **keys)
        proxy.write_config()
        return proxy.start()
    return make


@pytest.fixture(scope="session")
def chain(pki):
    return pki.path("im.test.pem"), pki.path("im.test.key")


def refused(proxy, client, secure, code="backend-tls", why=None):
    """The client hears that something failed and nothing of what, and nobody dials a second time."""
    data, how = client.to_end()
    assert re.fullmatch(FAILED, data), data
    assert how == "fin"
    secure.nobody()
    record, = proxy.wait_records("stream-refused")
    assert record["event"]["code"] == code and record["xmpp"]["error"] == "internal-server-error"
    assert not why or why in record["event"]["reason"], record["event"]["reason"]
    assert not proxy.records("stream-established")
    return record


def works(client, server):
    server.send(INSIDE)
    assert client.until(b"</stream:features>") == SHOWN
    client.send(wire.auth())
    assert server.until(b"</auth>") == wire.auth()
    server.send(wire.SUCCESS)
    assert client.until(wire.SUCCESS) == wire.SUCCESS


def works_without(client, secure):
    """The second connection hears nothing of TLS, though it offers it."""
    server = secure.accept()
    features = STARTTLS_FEATURES.replace(b"</stream:features>", wire.MECHANISMS + b"</stream:features>")
    assert server.greet(features, "b2-id") == wire.header()
    assert client.until(b"</stream:features>") == SHOWN
    client.send(wire.auth())
    assert server.until(b"</auth>") == wire.auth()
    return server


@pytest.mark.parametrize("level", ["required", "opportunistic"])
def test_real_prosody_that_demands_tls(start, pki, chain, level):
    server = tls_prosody({p["user"]: p["password"] for p in PAIR}, chain)
    try:
        proxy = start(server.address, run=False, config={"tls": {"ca-file": pki.ca}}, domains=("im.test",))
        proxy.config["domains"][0]["backend"]["tls"] = level
        proxy.write_config()
        proxy.start()
        result = slix.pair(domain="im.test", port=proxy.port, ca=pki.ca, direct=False, users=PAIR, timeout=30 * SLOW)
        assert result["heard"] == {"juliet": PAIR[1]["body"], "romeo": PAIR[0]["body"]}
        records = proxy.stop()
    finally:
        server.stop()
    established = audit.of(records, "stream-established")
    assert len(established) == 2
    for record in established:
        inner = record["xmpp"]["inner"]
        assert inner["tls"]["established"] is True and inner["tls"]["version"] in ("1.2", "1.3")
        assert inner["tls"]["cipher"] and inner["tls"]["curve"] and inner["tls"]["resumed"] is False
        assert inner["tls"]["client"]["server_name"] == "im.test"
        assert inner["verification"] == {"method": "pkix", "result": "verified"}


def test_real_prosody_without_tls(start, prosody, pki):
    """Opportunistic before a server that knows no STARTTLS: it works, and the operator is told once."""
    proxy = start(prosody.address, run=False, config={"tls": {"ca-file": pki.ca}, "workers": 1}, domains=("im.test",))
    proxy.config["domains"][0]["backend"]["tls"] = "opportunistic"
    proxy.write_config()
    proxy.start()
    result = slix.pair(domain="im.test", port=proxy.port, ca=pki.ca, direct=False, users=PAIR, timeout=30 * SLOW)
    assert result["heard"] == {"juliet": PAIR[1]["body"], "romeo": PAIR[0]["body"]}
    assert len([line for line in proxy.log if "going on in plaintext" in line]) == 1
    established = audit.of(proxy.stop(), "stream-established")
    assert [r["xmpp"]["inner"] for r in established] == [{"tls": {"established": False}}] * 2


@pytest.mark.parametrize("offered", [True, False])
def test_required_and_verified(begin, secure, context, chain, offered):
    proxy = begin("required")
    client = ask(proxy, context)
    server = secure.accept()
    assert server.asked(features=STARTTLS_FEATURES if offered else wire.FEATURES_AUTH) == wire.header()
    server.proceed(chain)
    assert server.until(wire.HEADER_PATTERN) == wire.header()
    works(client, server)
    stream, = proxy.streams()
    assert stream["inner"]["version"] == "1.3" and stream["inner"]["cipher"].startswith("TLS_")


def test_no_version_no_wait_for_features(begin, secure, context, chain):
    """A header without version is followed by no features: STARTTLS is asked for at once."""
    begun = begin("required")
    client = ask(begun, context)
    server = secure.accept()
    server.until(wire.HEADER_PATTERN)
    server.send(wire.backend_header(version=None))
    assert server.until(wire.STARTTLS) == wire.STARTTLS
    server.proceed(chain)
    server.until(wire.HEADER_PATTERN)
    works(client, server)


def test_over_a_unix_socket(begin, context, chain):
    directory = tempfile.mkdtemp(prefix="portcullis-sock-")
    os.chmod(directory, 0o755)
    backend = TlsBackend(os.path.join(directory, "c2s"))
    os.chmod(os.path.join(directory, "c2s"), 0o777)
    try:
        client = ask(begin("required", address=backend.address), context)
        server = backend.accept()
        server.asked()
        server.proceed(chain).until(wire.HEADER_PATTERN)
        works(client, server)
    finally:
        backend.close()
        os.unlink(os.path.join(directory, "c2s"))
        os.rmdir(directory)


@pytest.fixture(scope="session")
def bad_chains(pki, tmp_path_factory):
    """name -> (chain and key, what the record says)"""
    directory = tmp_path_factory.mktemp("other-ca")
    other = Pki(str(directory))
    single = pki.path("single")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "9", "-subj",
                "/CN=im.test", "-addext", "subjectAltName=DNS:im.test", "-keyout", single + ".key", "-out", single + ".pem")
    return {
        "wrong name": (pki.issue("elsewhere.test"), "is not for this domain"),
        "name in CN only": (pki.issue("im.test", name="cn-only", san="DNS:elsewhere.test"), "is not for this domain"),
        "expired": (pki.expired("im.test"), ""),
        "self-signed": ((single + ".pem", single + ".key"), "is self-signed"),
        "unknown CA": ((other.path("im.test.pem"), other.path("im.test.key")), "issuer is not among those trusted"),
    }


BAD = ["wrong name", "name in CN only", "expired", "self-signed", "unknown CA"]


@pytest.mark.parametrize("name", BAD)
def test_required_and_bad_certificate(begin, secure, context, bad_chains, name):
    pair, why = bad_chains[name]
    proxy = begin("required")
    client = ask(proxy, context)
    server = secure.accept()
    server.asked()
    try:
        server.proceed(pair)
        said = server.ended()  # TLS 1.3: the server is done before the client has judged
    except OSError:
        said = b""
    assert said == b""
    refused(proxy, client, secure, why=why)


@pytest.mark.parametrize("name", BAD)
def test_opportunistic_and_bad_certificate(begin, secure, context, bad_chains, name):
    pair, why = bad_chains[name]
    proxy = begin("opportunistic")
    client = ask(proxy, context)
    server = secure.accept()
    server.asked()
    server.proceed(pair).until(wire.HEADER_PATTERN)
    works(client, server)
    record, = proxy.wait_records("stream-established")
    verification = record["xmpp"]["inner"]["verification"]
    assert verification["result"] == "unverified" and verification["method"] == "none" and why in verification["reason"]
    assert proxy.wait_log("taken all the same")


def test_expired_is_said_so(begin, secure, context, pki, start):
    """With the expired certificate itself as authority its dates are the only thing wrong."""
    pair = pki.expired("im.test")
    proxy = start(secure.address, run=False, config={"tls": {"ca-file": pair[0]}}, domains=("im.test",))
    proxy.config["domains"][0]["backend"]["tls"] = "required"
    proxy.write_config()
    proxy.start()
    client = ask(proxy, context)
    server = secure.accept()
    server.asked()
    try:
        server.proceed(pair)
        server.ended()
    except OSError:
        pass
    refused(proxy, client, secure, why="has expired")


ANSWERS = {
    "failure": wire.TLS_FAILURE + wire.CLOSE,
    "stream error": wire.stream_error("unsupported-stanza-type"),
    "another element": b"<iq type='error'/>",
    "plaintext close": wire.CLOSE,
    "garbage": b"\x00\xff",
    "connection ends": None,
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("level", ["required", "opportunistic"])
def test_no_tls_to_be_had(begin, secure, context, level, name):
    proxy = begin(level)
    client = ask(proxy, context)
    server = secure.accept()
    server.asked()
    if ANSWERS[name] is None:
        server.drop()
    else:
        server.send(ANSWERS[name])
    if level == "required":
        refused(proxy, client, secure)
        return
    works_without(client, secure)
    record, = proxy.wait_records("stream-established")
    assert record["xmpp"]["inner"] == {"tls": {"established": False}}
    assert proxy.wait_log("no TLS: .*going on in plaintext")


@pytest.mark.parametrize("level", ["required", "opportunistic"])
def test_silence(begin, secure, context, level):
    proxy = begin(level, timeouts={"negotiation": "4s", "connect": "1s"})
    client = ask(proxy, context)
    secure.accept().asked()
    if level == "required":
        refused(proxy, client, secure, why="no TLS in time")
    else:
        works_without(client, secure)


@pytest.mark.parametrize("level", ["required", "opportunistic"])
def test_plaintext_instead_of_a_handshake(begin, secure, context, level):
    """<proceed/>, and when our ClientHello is there, XML: it reaches the TLS record parser and nothing else."""
    proxy = begin(level)
    client = ask(proxy, context)
    server = secure.accept()
    server.asked()
    server.send(wire.PROCEED)
    assert server.until(b"\x16\x03") == b"\x16\x03"
    server.send(INSIDE)
    if level == "required":
        refused(proxy, client, secure)
    else:
        works_without(client, secure)


@pytest.mark.parametrize("behind", [INSIDE, b"\n", b"\x16\x03\x03\x00\x7a"], ids=["stream", "line end", "record"])
@pytest.mark.parametrize("level", ["required", "opportunistic"])
def test_bytes_behind_proceed(begin, secure, context, level, behind):
    """NEG-8: an attack, in no mode an occasion to go on, with TLS or without."""
    proxy = begin(level)
    client = ask(proxy, context)
    server = secure.accept()
    server.asked()
    server.send(wire.PROCEED + behind)
    assert server.ended() == b""
    record = refused(proxy, client, secure, "backend-injection")
    injection, = proxy.wait_records("starttls-injection")
    assert injection["xmpp"]["stream"] == record["xmpp"]["stream"] and injection["event"]["severity"] == 3


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
def test_tls_too_old(begin, secure, context, chain):
    import ssl
    proxy = begin("required")
    client = ask(proxy, context)
    server = secure.accept()
    server.asked()
    with pytest.raises(OSError):
        server.proceed(chain, ssl.TLSVersion.TLSv1_1)
    refused(proxy, client, secure)


def test_channel_binding_is_reported(begin, secure, context, chain):
    proxy = begin("required")
    client = ask(proxy, context)
    server = secure.accept()
    server.asked()
    server.proceed(chain).until(wire.HEADER_PATTERN)
    features = wire.FEATURES_AUTH.replace(b"PLAIN", b"SCRAM-SHA-256-PLUS")
    server.send(wire.backend_header("b2-id") + features)
    assert client.until(b"</stream:features>") == wire.limited(wire.backend_header("b2-id") + features)
    assert proxy.wait_records("channel-binding-conflict")


def test_nothing_before_tls_is_shown(begin, secure, context, chain):
    """What stood in the plaintext features and header is never seen by the client."""
    proxy = begin("required")
    client = ask(proxy, context)
    server = secure.accept()
    server.asked(features=wire.FEATURES_AUTH.replace(b"PLAIN", b"X-EVIL"), identity="evil-id")
    server.proceed(chain).until(wire.HEADER_PATTERN)
    server.send(INSIDE)
    assert client.until(b"</stream:features>") == SHOWN
    assert proxy.wait_records("stream-established")


def test_big_stanzas_both_ways(begin, secure, context, chain):
    proxy = begin("required")
    client = ask(proxy, context)
    server = secure.accept()
    server.asked()
    server.proceed(chain).until(wire.HEADER_PATTERN)
    works(client, server)
    client.send(wire.header())
    server.until(wire.HEADER_PATTERN)
    server.send(wire.backend_header("b3-id") + wire.FEATURES_BIND)
    client.until(b"</stream:features>")
    stanzas = b"".join(b"<message id='%d'><body>%s</body></message>" % (i, b"x" * 50000) for i in range(8))
    client.send(stanzas)
    assert server.exactly(len(stanzas)) == stanzas
    server.send(stanzas)
    assert client.exactly(len(stanzas)) == stanzas


def test_check_says_it(start, pki):
    proxy = start("127.0.0.1:1", run=False, config={"tls": {"ca-file": pki.ca}}, domains=("im.test",))
    proxy.config["domains"][0]["backend"]["tls"] = "required"
    proxy.write_config()
    done = proxy.cli("check")
    assert done.returncode == 0 and f"c2s 127.0.0.1:1, tls required, verified by {pki.ca}" in done.stdout, done
    backend = json.loads(proxy.cli("check", "--json").stdout)["domains"][0]["backend"]
    assert backend == {"c2s": "127.0.0.1:1", "tls": "required", "ca-file": pki.ca}


def test_check_refuses_authorities_that_are_none(start, pki):
    proxy = start("127.0.0.1:1", run=False, config={"tls": {"ca-file": pki.ca_key}}, domains=("im.test",))
    done = proxy.cli("check")
    assert done.returncode == 1
    assert re.search(r"portcullis\.yaml:\d+:\d+: .*tls\.ca-file: .*no PEM certificate in it", done.stdout + done.stderr), done


@pytest.mark.skipif(not os.path.exists("/etc/ssl/certs/ca-certificates.crt"), reason="no authorities on this system")
def test_the_systems_authorities(begin, secure, context, chain):
    """Without tls.ca-file they are in the bundle; our test CA is none of them."""
    proxy = begin("required", ca=False)
    client = ask(proxy, context)
    server = secure.accept()
    server.asked()
    try:
        server.proceed(chain)
        server.ended()
    except OSError:
        pass
    refused(proxy, client, secure, why="issuer is not among those trusted")


@pytest.mark.parametrize("level, fine", [("required", True), ("opportunistic", False), ("never", False)])
def test_off_loopback(start, pki, level, fine):
    """TLS-25."""
    proxy = start("192.0.2.1:5222", run=False, config={"tls": {"ca-file": pki.ca}}, domains=("im.test",))
    proxy.config["domains"][0]["backend"]["tls"] = level
    proxy.write_config()
    done = proxy.cli("check")
    assert (done.returncode == 0) == fine, done
    assert fine or "plaintext to 192.0.2.1:5222" in done.stdout + done.stderr
