# SPDX-License-Identifier: MIT
"""Several domains on one listener: each its certificate, key and backend; wildcard certificates; names that are not ours;
RSA and ECDSA side by side for one."""
import json
import re
import subprocess

import pytest
from harness import audit, wire
from harness.backend import Backend
from harness.client import Client
from harness.reload import serial
from harness.wait import SLOW


@pytest.fixture
def backends():
    made = {name: Backend() for name in ("im.test", "other.test", "chat.wild.test")}
    yield made
    for b in made.values():
        b.close()


@pytest.fixture
def proxy(start, backends, pki):
    """im.test with RSA, other.test with ECDSA, chat.wild.test with a wildcard certificate; three backends."""
    pki.issue("wild.test", name="wildcard", san="DNS:*.wild.test")
    proxy = start("127.0.0.1:1", run=False, domains=tuple(backends),
                  certificate={"im.test": "im-rsa", "chat.wild.test": "wildcard"})
    for domain in proxy.config["domains"]:
        domain["backend"] = {"c2s": backends[domain["name"]].address}
    proxy.write_config()
    return proxy.start()


def names_shown(client):
    return {value for kind, value in client.sock.getpeercert()["subjectAltName"] if kind == "DNS"}


def test_each_its_own(proxy, backends, context):
    """STARTTLS by the header's `to`, direct TLS by SNI: certificate, backend and record are of that domain."""
    expected = {"im.test": {"im.test"}, "other.test": {"other.test"}, "chat.wild.test": {"*.wild.test"}}
    for domain, shown in expected.items():
        for client in (Client(proxy.port).starttls(context, domain), Client(proxy.port).handshake(context, domain),
                       Client(proxy.direct_port).handshake(context, domain)):
            assert names_shown(client) == shown
            client.send(wire.header(domain))
            server = backends[domain].accept()
            assert f"to='{domain}'".encode() in server.greet(domain=domain)
            client.until(b"</stream:features>")
            client.send(wire.CLOSE)
            server.wait_for(wire.CLOSE)
            server.send(wire.CLOSE)
            client.to_end()
            server.close()
    assert {b.accepted for b in backends.values()} == {3}
    records = audit.of(proxy.stop(), "stream-established")
    assert sorted((r["destination"]["domain"], r["xmpp"]["to"], r["destination"]["port"]) for r in records) == sorted(
        (name, name, backends[name].port) for name in backends for _ in range(3))


def test_wildcard_does_not_cover_the_domain_above(proxy, pki):
    """`check` says so, and a reload with it is refused."""
    proxy.config["domains"][2]["name"] = "wild.test"
    said = proxy.reload(expect=1)
    assert re.search(r"does not cover wild\.test; its names are: \*\.wild\.test", said), said
    proxy.config["domains"][2]["name"] = "a.b.wild.test"
    assert "does not cover a.b.wild.test" in proxy.reload(expect=1)
    proxy.config["domains"][2]["name"] = "room.wild.test"
    assert "room.wild.test added, chat.wild.test removed" in proxy.reload()


@pytest.mark.parametrize("to", ["nowhere.test", "im.test.evil", "sub.other.test", "wild.test", "other.wild.test", "127.0.0.1"])
def test_unknown_to(proxy, backends, to):
    """Row 3: before TLS, host-unknown; also for names that a wildcard certificate would cover."""
    data, _ = Client(proxy.port).send(wire.header(to)).to_end()
    assert re.search(wire.error_pattern("host-unknown"), data), data
    assert not any(b.accepted for b in backends.values())
    closed, = proxy.wait_records("stream-closed")
    assert closed["event"]["code"] == "host-unknown"


@pytest.mark.parametrize("name", ["nowhere.test", "wild.test", "other.wild.test", "sub.im.test"])
def test_unknown_server_name(proxy, name):
    """Row 4: unrecognized_name and no certificate, though a wildcard certificate would cover the name."""
    out = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.direct_port}", "-servername", name], input=b"",
                         capture_output=True, timeout=20 * SLOW)
    text = (out.stdout + out.stderr).decode()
    assert re.search(r"alert unrecognized name|alert number 112", text) and "BEGIN CERTIFICATE" not in text, text
    closed, = proxy.wait_records("stream-closed")
    assert closed["event"]["code"] == "sni-unknown"


@pytest.mark.parametrize("before,after", [("im.test", "other.test"), ("other.test", "chat.wild.test"),
                                          ("chat.wild.test", "nowhere.test")])
@pytest.mark.parametrize("direct", [False, True], ids=["starttls", "direct"])
def test_to_switched_after_tls(proxy, backends, context, before, after, direct):
    """Row 18: the certificate of one domain is no entrance to another."""
    client = Client(proxy.direct_port).handshake(context, before) if direct else Client(proxy.port).starttls(context, before)
    client.send(wire.header(after))
    data, how = client.to_end()
    # A name that is nobody's is not known here, whatever came before.
    condition = "host-unknown" if after == "nowhere.test" else "not-authorized"
    assert re.search(wire.error_pattern(condition), data) and how == "fin", data
    assert not any(b.accepted for b in backends.values())
    closed, = proxy.wait_records("stream-closed")
    assert closed["event"]["code"] in ("header-switch", "host-unknown") and closed["xmpp"]["error"] == condition


def test_server_name_and_to_of_different_domains(proxy, backends, context, pki):
    """Under STARTTLS `to` decides over the certificate, also where the SNI names another domain of ours (TLS-16)."""
    loose = pki.context()
    loose.check_hostname = False
    client = Client(proxy.port)
    client.open("other.test")
    client.send(wire.STARTTLS)
    client.until(wire.PROCEED)
    client.handshake(loose, "im.test")
    assert names_shown(client) == {"other.test"}
    client.close()


def s_client(port, *arguments, name="im.test"):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name, *arguments], input=b"",
                          capture_output=True, timeout=20 * SLOW)
    return (done.stdout + done.stderr).decode("utf-8", "replace")


@pytest.fixture
def both(start, backend, pki):
    """im.test with an ECDSA and an RSA certificate, each with its staple; other.test with ECDSA only."""
    proxy = start(backend.address, run=False)
    proxy.config["domains"][0].update({
        "ocsp-response": pki.ocsp("im.test"),
        "more-certificates": [{"certificate": pki.path("im-rsa.pem"), "private-key": pki.path("im-rsa.key"),
                               "ocsp-response": pki.ocsp("im-rsa")}]})
    proxy.write_config()
    return proxy.start()


def shown_serial(pki, name):
    out = subprocess.run(["openssl", "x509", "-in", pki.path(name + ".leaf"), "-noout", "-serial"], capture_output=True, text=True)
    return out.stdout.strip().partition("=")[2]


@pytest.mark.parametrize("arguments,kind", [
    ((), "im.test"), (("-tls1_2",), "im.test"),
    (("-sigalgs", "RSA-PSS+SHA256:ECDSA+SHA256"), "im.test"),  # ECDSA is preferred, whatever the client names first
    (("-sigalgs", "RSA-PSS+SHA256"), "im-rsa"), (("-sigalgs", "ECDSA+SHA256"), "im.test"),
    (("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256"), "im.test"),
    (("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"), "im-rsa"),
    (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"), "im.test"),
    (("-tls1_2", "-sigalgs", "RSA+SHA256:RSA-PSS+SHA256"), "im-rsa")])
@pytest.mark.parametrize("starttls", [True, False], ids=["starttls", "direct"])
def test_rsa_beside_ecdsa(both, pki, arguments, kind, starttls):
    """Each client gets the one it can verify, and the staple that belongs to it."""
    options = ("-starttls", "xmpp", "-xmpphost", "im.test") if starttls else ()
    out = s_client(both.port, *options, "-CAfile", pki.ca, "-verify_return_error", "-status", *arguments)
    assert "Verify return code: 0 (ok)" in out, out
    leaf = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=out[out.index("Server certificate"):],
                          capture_output=True, text=True).stdout.strip().partition("=")[2]
    assert leaf == shown_serial(pki, kind), out
    assert "OCSP Response Status: successful" in out and "Cert Status: good" in out, out
    stapled = re.search(r"Serial Number: ([0-9A-F]+)", out).group(1)
    assert stapled == leaf, out


def test_more_certificates_belong_to_their_domain(both, pki):
    out = s_client(both.port, "-sigalgs", "RSA-PSS+SHA256", name="other.test")
    assert "Cipher is (NONE)" in out and re.search("alert handshake failure|alert number 40", out), out


def test_staple_of_one_kind_only(start, backend, pki):
    proxy = start(backend.address, run=False)
    proxy.config["domains"][0]["more-certificates"] = [
        {"certificate": pki.path("im-rsa.pem"), "private-key": pki.path("im-rsa.key"), "ocsp-response": pki.ocsp("im-rsa")}]
    proxy.write_config()
    proxy.start()
    assert "OCSP response: no response sent" in s_client(proxy.direct_port, "-status")
    assert "Cert Status: good" in s_client(proxy.direct_port, "-status", "-sigalgs", "RSA-PSS+SHA256")


def test_check_judges_each(start, backend, pki):
    proxy = start(backend.address, run=False)
    proxy.config["domains"][0]["more-certificates"] = [{"certificate": pki.path("im-rsa.pem"), "private-key": pki.path("im-rsa.key")}]
    proxy.write_config()
    done = proxy.cli("check")
    assert done.returncode == 0 and re.search(r"certificate CN=im\.test, ECDSA P-256.*\n +and +CN=im\.test, RSA 2048", done.stdout)
    answer = json.loads(proxy.cli("check", "--json").stdout)
    assert ["RSA 2048" in text for text in answer["domains"][0]["more-certificates"]] == [True]
    wrong = [({"certificate": pki.path("im.test.pem"), "private-key": pki.path("im.test.key")}, r"another one with this kind of key"),
             ({"certificate": pki.path("im-rsa.pem"), "private-key": pki.path("im.test.key")}, r"does not match"),
             ({"certificate": pki.path("im-rsa.pem")}, r'missing key "private-key"'),
             ({"certificate": pki.path("im-rsa.pem"), "private-key": pki.path("im-rsa.key"), "ocsp-response": pki.ocsp("other.test")},
              r"it is about another certificate")]
    for more, said in wrong:
        proxy.config["domains"][0]["more-certificates"] = [more]
        proxy.write_config()
        done = proxy.cli("check")
        assert done.returncode == 1 and re.search(r"portcullis\.yaml:\d+:\d+: .*" + said, done.stderr), done.stderr


def test_second_kind_comes_by_reload(start, backend, pki, context):
    """The certificate of another kind is added while running; who had the first kind still gets it."""
    proxy = start(backend.address)
    before = serial(proxy.direct_port, context)
    assert "Cipher is (NONE)" in s_client(proxy.direct_port, "-sigalgs", "RSA-PSS+SHA256")
    proxy.config["domains"][0]["more-certificates"] = [{"certificate": pki.path("im-rsa.pem"), "private-key": pki.path("im-rsa.key")}]
    assert proxy.reload() == "reloaded: domains: im.test changed\n"
    assert serial(proxy.direct_port, context) == before
    out = s_client(proxy.direct_port, "-sigalgs", "RSA-PSS+SHA256")
    assert re.search(r"RSA-PSS|rsa_pss_rsae_sha256", out), out  # OpenSSL 3.0 and 3.5 name it so
