# SPDX-License-Identifier: MIT
"""The proxy as scanners see it from outside: nmap and testssl.sh. (openssl s_client and sslscan: test_tls.py.)"""
import json
import os
import random
import re
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from harness import audit
from harness.proxy import merge
from harness.wait import SLOW

SUITES = r"TLS_(AES|CHACHA20)_\w+|TLS_AKE_WITH_\w+|(TLS_)?ECDHE-?_?ECDSA[-_](WITH_)?(AES_?(128|256)[-_]GCM[-_]SHA(256|384)|CHACHA20[-_]POLY1305(_SHA256)?)"


@pytest.fixture
def standard_port(start, backend):
    """A proxy on port 5222, by which nmap knows XMPP, at an address of loopback that nobody else has."""
    proxy = start(backend.address, run=False)
    proxy.address = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
    merge(proxy.config["listeners"][0], {"address": f"{proxy.address}:5222"})
    proxy.write_config()
    return proxy.start()


def nmap(address, ports, scripts, arguments=""):
    done = subprocess.run(["nmap", "-Pn", "-n", "-oX", "-", "-p", ports, "--script", scripts, "--script-args", arguments, address],
                          capture_output=True, timeout=120 * SLOW)
    assert done.returncode == 0, done.stderr
    return {script.get("id"): script for script in ElementTree.fromstring(done.stdout).iter("script")}


@pytest.mark.skipif(os.geteuid() != 0, reason="a port below 32768 that is surely free needs an address of its own, and nmap root")
def test_nmap_on_the_standard_port(standard_port, backend):
    found = nmap(standard_port.address, "5222", "xmpp-info,ssl-cert", "xmpp-info.server_name=im.test,xmpp-info.no_starttls=1")
    info = found["xmpp-info"].get("output")
    assert "Respects server name" in info and re.search(r"features:\s+TLS \(required\)", info), info
    assert not re.search(r"PLAIN|SCRAM|DIGEST", info), "mechanisms are shown before TLS"
    # It also speaks TLS at once, and finds what it would after STARTTLS.
    assert found["ssl-cert"].find("./table[@key='subject']/elem[@key='commonName']").text == "im.test"
    assert backend.accepted == 0, "a scanner that only looks has reached the server behind"


def test_nmap_lists_strong_suites_only(proxy):
    """Its TLS 1.2 hello lacks the extended master secret and is refused for it (TLS-11), so that 1.3 is what it sees."""
    found = nmap("127.0.0.1", str(proxy.direct_port), "ssl-enum-ciphers", "tls.servername=im.test")["ssl-enum-ciphers"]
    versions = {table.get("key") for table in found.findall("table")}
    assert {"TLSv1.3"} <= versions <= {"TLSv1.2", "TLSv1.3"}
    suites = [elem.text for elem in found.iter("elem") if elem.get("key") == "name"]
    assert suites and all(re.fullmatch(SUITES, suite) for suite in suites), suites
    assert found.find("elem[@key='least strength']").text == "A"


@pytest.mark.skipif(SLOW > 1, reason="minutes of the same hellos; once is enough")
def test_testssl(proxy, pki, tmp_path):
    findings = tmp_path / "findings.json"
    subprocess.run(["testssl", "-t", "xmpp", "--xmpphost", "im.test", "--add-ca", pki.ca, "--quiet", "--color", "0", "--warnings",
                    "batch", "--nodns", "none", "--ip", "127.0.0.1", "-p", "-f", "-S", "-R", "-H", "--jsonfile", str(findings),
                    f"localhost:{proxy.port}"], capture_output=True, timeout=300, cwd=tmp_path)
    found = {entry["id"]: entry["finding"] for entry in json.loads(findings.read_text())}
    for version in ("SSLv2", "SSLv3", "TLS1", "TLS1_1"):
        assert found[version] == "not offered", version
    assert found["TLS1_2"] == "offered" and found["TLS1_3"].startswith("offered")
    forward = found.get("FS_ciphers") or found["PFS_ciphers"]
    assert all(re.fullmatch(SUITES, suite) for suite in forward.split()), forward
    assert found["cert_commonName"] == "im.test" and found["cert_subjectAltName"] == "im.test"
    assert found["cert_chain_of_trust"] == "passed." and found["cert_trust"].startswith("Ok via SAN")
    assert found["secure_client_renego"].startswith("not vulnerable")
    assert found["heartbleed"].startswith("not vulnerable")
    assert not [r for r in proxy.records("stream-established")]


def test_group_is_recorded(start, backend, pki):
    """The key exchange that was negotiated is in the record; where the library has it, that is the post-quantum hybrid."""
    proxy = start(backend.address)
    groups = subprocess.run(["openssl", "list", "-tls-groups"], capture_output=True, text=True).stdout
    hybrid = "X25519MLKEM768" in groups
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", "-starttls", "xmpp", "-xmpphost", "im.test",
                           "-servername", "im.test", "-CAfile", pki.ca, "-verify_return_error"], timeout=30 * SLOW,
                          input=b"", capture_output=True)
    shown = (done.stdout + done.stderr).decode("utf-8", "replace")
    expected = "X25519MLKEM768" if hybrid else "X25519"
    assert re.search(rf"(Negotiated TLS1\.3 group|Server Temp Key|Peer Temp Key): {expected}\b", shown), shown
    closed, = proxy.wait_records("stream-closed")
    assert audit.get(closed, "tls.curve").lower() == expected.lower()
