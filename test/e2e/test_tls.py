# SPDX-License-Identifier: MIT
"""What other programs see of our TLS: openssl s_client, sslscan, Python's ssl."""
import os
import re
import ssl
import subprocess
import threading
import xml.etree.ElementTree as ElementTree

import pytest
from harness import audit, wire
from harness.client import Client
from harness.wait import PATIENCE, SLOW, until


def s_client(port, *arguments, stdin=b"", starttls=True, name="im.test", timeout=20 * SLOW):
    """One handshake of openssl's client, which then reads the end of its input. Its output, both streams."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name]
    command += ["-starttls", "xmpp", "-xmpphost", name] if starttls else []
    done = subprocess.run(command + list(arguments), input=stdin, capture_output=True, timeout=timeout)
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def test_openssl_verifies_us(proxy, pki):
    for starttls, port in ((True, proxy.port), (False, proxy.direct_port)):
        out = s_client(port, "-CAfile", pki.ca, "-verify_hostname", "im.test", "-verify_return_error", starttls=starttls)
        assert "Verify return code: 0 (ok)" in out and "Protocol  : TLSv1.3" in out or "TLSv1.3, Cipher is" in out, out
        assert "Compression: NONE" in out


@pytest.mark.parametrize("arguments,expected", [
    (("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), r"alert (protocol version|number 70)|unsupported protocol|wrong version"),
    (("-tls1", "-cipher", "ALL:@SECLEVEL=0"), r"alert (protocol version|number 70)|unsupported protocol|wrong version"),
    (("-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"), r"alert handshake failure"),
    (("-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0"), r"alert handshake failure"),
    (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"), r"alert handshake failure"),
    (("-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"), r"alert handshake failure"),
    (("-tls1_2", "-groups", "secp224r1", "-cipher", "ALL:@SECLEVEL=0"), r"alert handshake failure|no shared"),
], ids=["1.1", "1.0", "kRSA", "DHE", "CBC", "aNULL", "P-224"])
def test_what_is_not_spoken(proxy, arguments, expected):
    """TLS-1, TLS-3, TLS-6."""
    out = s_client(proxy.direct_port, *arguments, starttls=False)
    assert re.search(expected, out) and "Cipher is (NONE)" in out, out


def test_system_configuration_changes_nothing(start, backend, tmp_path):
    """Every parameter is set by us, whatever the system's openssl.cnf says."""
    cnf = tmp_path / "openssl.cnf"
    cnf.write_text("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMinProtocol = TLSv1\n"
                   "CipherString = ALL:@SECLEVEL=0\nOptions = UnsafeLegacyRenegotiation\n")
    os.chmod(tmp_path, 0o755)
    proxy = start(backend.address, env={"OPENSSL_CONF": str(cnf)})
    assert "Cipher is (NONE)" in s_client(proxy.direct_port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", starttls=False)
    assert "Cipher is (NONE)" in s_client(proxy.direct_port, "-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0", starttls=False)


def test_server_chooses_the_cipher(proxy, pki):
    """TLS-4: AES-GCM is chosen though the client names another first; X25519 where it can be had."""
    out = s_client(proxy.direct_port, "-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256", starttls=False)
    assert re.search(r"Cipher is ECDHE-ECDSA-AES128-GCM-SHA256", out), out
    out = s_client(proxy.direct_port, starttls=False)
    assert "X25519" in out, out


@pytest.mark.parametrize("tls,version", [({"profile": "modern"}, {"1.3"}), ({}, {"1.2", "1.3"}), ({"min-version": "1.3"}, {"1.3"})],
                         ids=["modern", "bcp195", "min-version"])
def test_profiles(start, backend, tls, version):
    proxy = start(backend.address, config={"tls": tls})
    got = {name for name, option in (("1.2", "-tls1_2"), ("1.3", "-tls1_3"))
           if "Cipher is (NONE)" not in s_client(proxy.direct_port, option, starttls=False)}
    assert got == version


def test_sslscan(proxy):
    """The scanner also tries raw SSLv2 hellos on the STARTTLS port; it wants a name for `to`, hence localhost."""
    for option, port in (("--starttls-xmpp", proxy.port), ("--ipv4", proxy.direct_port)):
        done = subprocess.run(["sslscan", option, "--ipv4", "--xml=-", "--no-colour", f"localhost:{port}"], capture_output=True,
                              timeout=120 * SLOW)
        test = ElementTree.fromstring(done.stdout[done.stdout.index(b"<?xml"):]).find(".//ssltest")
        enabled = {(p.get("type"), p.get("version")) for p in test.findall("protocol") if p.get("enabled") == "1"}
        # The scanner's own TLS 1.2 hello lacks the extended master secret and is refused for it (TLS-11).
        assert {("tls", "1.3")} <= enabled <= {("tls", "1.2"), ("tls", "1.3")}, done.stdout
        ciphers = {c.get("cipher") for c in test.findall("cipher")}
        assert ciphers and all(re.fullmatch(r"TLS_(AES|CHACHA20)_\w+|ECDHE-ECDSA-(AES(128|256)-GCM-SHA(256|384)|CHACHA20-POLY1305)", c)
                               for c in ciphers), ciphers
        assert all(h.get("vulnerable") == "0" for h in test.findall("heartbleed"))


def test_ocsp_staple(start, backend, pki):
    proxy = start(backend.address, run=False)
    proxy.config["domains"][0]["ocsp-response"] = pki.ocsp("im.test")
    proxy.write_config()
    proxy.start()
    for starttls, port in ((True, proxy.port), (False, proxy.direct_port)):
        out = s_client(port, "-status", "-CAfile", pki.ca, starttls=starttls)
        assert "OCSP Response Status: successful" in out and "Cert Status: good" in out, out
    assert "OCSP response: no response sent" in s_client(proxy.direct_port, "-status", starttls=False, name="other.test")


@pytest.mark.parametrize("alpn,selected", [("xmpp-client", "xmpp-client"), ("h2,xmpp-client", "xmpp-client"), (None, None),
                                           ("h2", False), ("xmpp-server", False)])
def test_alpn(start, backend, alpn, selected):
    """TLS-17: ours among those offered is selected; offered without it is fatal (120); none offered is fine."""
    proxy = start(backend.address)
    for starttls, port in ((True, proxy.port), (False, proxy.direct_port)):
        out = s_client(port, *(("-alpn", alpn) if alpn else ()), starttls=starttls)
        if selected is False:
            assert re.search(r"alert no application protocol|alert number 120", out), out
        elif selected:
            assert f"ALPN protocol: {selected}" in out, out
        else:
            assert "No ALPN negotiated" in out and "Cipher is TLS" in out, out
    closed = audit.of(proxy.stop(), "stream-closed")
    if selected is False:
        assert {r["event"]["code"] for r in closed} == {"alpn"}
    else:
        assert {audit.get(r, "tls.next_protocol") for r in closed} == {selected}


def test_unknown_server_name(start, backend, pki):
    """TLS-16, row 4: alert 112 and no certificate; under STARTTLS as well."""
    proxy = start(backend.address)
    out = s_client(proxy.direct_port, starttls=False, name="nowhere.test")
    assert re.search(r"alert unrecognized name|alert number 112", out) and "BEGIN CERTIFICATE" not in out, out
    client = Client(proxy.port)
    client.open()
    client.send(wire.STARTTLS)
    client.until(wire.PROCEED)
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        client.handshake(pki.context(), "nowhere.test")
    records = audit.of(proxy.stop(), "stream-closed")
    assert [r["event"]["code"] for r in records] == ["sni-unknown"] * 2
    assert backend.accepted == 0


def test_server_name_of_an_srv_target(start, backend, pki):
    """TLS-16: names of our own that are not domains may be listed; case and the final dot do not matter."""
    proxy = start(backend.address, run=False)
    proxy.config["domains"][1]["server-names"] = ["xmpp1.other.test"]
    proxy.write_config()
    proxy.start()
    assert "CN = other.test" in s_client(proxy.direct_port, starttls=False, name="XMPP1.other.test").replace("CN=", "CN = ")
    assert "CN = im.test" in s_client(proxy.direct_port, starttls=False, name="IM.Test").replace("CN=", "CN = ")


def test_no_server_name_gives_the_first_domain(proxy):
    out = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.direct_port}", "-noservername"], input=b"",
                         capture_output=True, timeout=20 * SLOW).stdout.decode()
    assert re.search(r"CN ?= ?im\.test", out), out


def test_no_early_data(proxy, pki, tmp_path):
    """TLS-15: tickets do not allow it, and what is sent all the same is rejected."""
    session, early = tmp_path / "session", tmp_path / "early"
    early.write_bytes(wire.header())
    # The ticket comes after the handshake: s_client has to stay for it.
    with subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.direct_port}", "-servername", "im.test", "-tls1_3",
                           "-sess_out", str(session)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as holding:
        until(lambda: session.exists() and session.stat().st_size, "a ticket")
        holding.stdin.close()
    text = subprocess.run(["openssl", "sess_id", "-in", str(session), "-noout", "-text"], capture_output=True, text=True).stdout
    assert "Max Early Data: 0" in text, text
    out = s_client(proxy.direct_port, "-tls1_3", "-sess_in", str(session), "-early_data", str(early), starttls=False)
    assert "Early data was accepted" not in out, out


def resume(port, context, session, count):
    resumed = 0
    for _ in range(count):
        client = Client(port).handshake(context, session=session)
        resumed += client.sock.session_reused
        client.close()
    return resumed


def a_session(port, context, name="im.test"):
    """A session with its ticket in it: under TLS 1.3 that is read along with the first data."""
    client = Client(port).handshake(context, name)
    client.send(wire.header(name))
    client.sock.settimeout(PATIENCE)
    client.until(b"</stream:features>")
    session = client.sock.session
    client.close()
    return session


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_tickets_hold_for_all_workers(start, loop, echo, pki, version):
    proxy = start(echo.address)
    context = pki.context(version=version)
    session = a_session(proxy.direct_port, context)
    assert session.has_ticket
    assert resume(proxy.direct_port, context, session, 24) == 24
    proxy.wait_records("stream-closed", 25)
    records = audit.of(proxy.stop(), "stream-closed")
    resumed = [r for r in records if audit.get(r, "tls.resumed")]
    assert len(resumed) == 24
    assert len({re.search(r"w(\d+)\.", r["event"]["id"]).group(1) for r in resumed}) == 2, "one worker had them all"


def test_ticket_of_one_domain_is_no_use_at_another(start, loop, echo, pki):
    """TLS-14."""
    proxy = start(echo.address)
    context = pki.context()
    context.check_hostname = False
    session = a_session(proxy.direct_port, context)
    client = Client(proxy.direct_port).handshake(context, "other.test", session=session)
    assert not client.sock.session_reused
    assert ("DNS", "other.test") in client.sock.getpeercert()["subjectAltName"]
    client.close()


def test_old_ticket_keys_are_thrown_away(start, loop, echo, pki):
    """TLS-13: past two rotations a ticket is only a full handshake."""
    proxy = start(echo.address, config={"tls": {"ticket-lifetime": "2s"}})
    context = pki.context()
    session = a_session(proxy.direct_port, context)
    assert resume(proxy.direct_port, context, session, 1) == 1
    until(lambda: resume(proxy.direct_port, context, session, 1) == 0, "the ticket to become worthless", 20 * SLOW, 0.5)


def test_resumption_off(start, loop, echo, pki):
    proxy = start(echo.address, config={"tls": {"session-resumption": False}})
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        session = a_session(proxy.direct_port, pki.context(version=version))
        assert session is None or not session.has_ticket


def test_renegotiation_drops_the_connection(start, backend):
    """TLS-10, row 17: the connection is closed at once and no XML is sent."""
    proxy = start(backend.address)
    process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", "-tls1_2", "-starttls", "xmpp",
                                "-xmpphost", "im.test", "-servername", "im.test"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = []
    reader = threading.Thread(target=lambda: output.extend(iter(lambda: process.stdout.read1(65536), b"")), daemon=True)
    reader.start()
    try:
        until(lambda: b"Verify return code" in b"".join(output), "the handshake")
        process.stdin.write(b"R\n")
        process.stdin.flush()
        until(lambda: process.poll() is not None, "s_client to lose its connection", 5 * SLOW)
    finally:
        process.kill()
        process.wait()
    reader.join(5)
    text = b"".join(output)
    assert b"RENEGOTIATING" in text and b"<stream:error" not in text
    closed, = audit.of(proxy.stop(), "stream-closed")
    assert closed["event"]["code"] == "renegotiation"
    assert closed["tls"]["version"] == "1.2"


def test_rsa_certificate(start, backend, pki):
    proxy = start(backend.address, certificate={"im.test": "im-rsa"})
    out = s_client(proxy.port, "-tls1_2", "-CAfile", pki.ca)
    assert "ECDHE-RSA-AES" in out and "Verify return code: 0 (ok)" in out, out


def test_direct_port_does_not_speak_xml(start, backend):
    proxy = start(backend.address)
    client = Client(proxy.direct_port).send(wire.header())
    data, _ = client.to_end()
    assert b"<" not in data, data
    closed, = audit.of(proxy.stop(), "stream-closed")
    assert closed["event"]["code"] in ("not-tls", "tls-failed")


def test_truncation_is_not_a_clean_end(start, backend, establish):
    """TLS-22: FIN without close_notify."""
    import socket
    proxy = start(backend.address)
    client, server = establish(proxy)
    raw = socket.socket(fileno=os.dup(client.sock.fileno()))
    raw.shutdown(socket.SHUT_WR)
    server.wait_end()
    assert server.received == b""
    closed = proxy.wait_records("stream-closed")[0]
    assert closed["event"]["code"] == "peer-gone"
    raw.close()


def test_close_notify_is_sent(start, backend, establish):
    proxy = start(backend.address)
    client, server = establish(proxy)
    client.send(wire.CLOSE)
    server.wait_for(wire.CLOSE)
    server.send(wire.CLOSE)
    server.close()
    assert client.to_end() == (wire.CLOSE, "fin")
