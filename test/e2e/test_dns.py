# SPDX-License-Identifier: MIT
"""Where a remote domain's service is (RFC 6120 section 3.2, RFC 2782, XEP-0368; NEG-27), asked of a real resolver over signed
zones: mixes of SRV records, targets that are dead, absent or forged, and resolvers that are dead, slow or lying."""
import itertools
import os
import socket
import time

import pytest

from harness import audit, liar, s2s
from harness.gateway import peer
from harness.legacy import Legacy
from harness.wait import free_port

NUMBERS = itertools.count(1)


@pytest.fixture
def domain(pki):
    """domain(zone) -> a new domain in that zone of the laboratory, and its certificate."""
    def make(zone="example"):
        name = f"d{next(NUMBERS)}.{zone}"
        return name, pki.issue(name, usage="serverAuth,clientAuth")
    return make


def srv(name, port, target, priority=0, weight=0, kind="xmpp"):
    return f"_{kind}-server._tcp.{name}. SRV {priority} {weight} {port} {target}"


def reaches(proxy, name, server):
    """A stream to that domain comes to that server; its record."""
    legacy = Legacy(proxy.outbound).open(name)
    guest = server.ready()
    legacy.close()
    record = proxy.wait_records("stream-established", xmpp__to=name)[-1]
    assert audit.get(record, "destination.port") == server.port
    return guest, record


# --- answers as they should be
def test_srv_and_address(gateway, remote, dns, domain):
    name, chain = domain()
    server = remote(certificate=chain)
    dns.service(name, "127.0.0.1", server.port)
    guest, record = reaches(gateway(dns=dns), name, server)
    guest.saw_only_starttls()
    assert audit.get(record, "xmpp.dns.dnssec") == "secure" and audit.get(record, "xmpp.starttls.result") == "negotiated"


def test_an_unsigned_zone_is_insecure_and_good(gateway, remote, dns, domain):
    name, chain = domain("plain.example")
    server = remote(certificate=chain)
    dns.service(name, "127.0.0.1", server.port)
    _, record = reaches(gateway(dns=dns), name, server)
    assert audit.get(record, "xmpp.dns.dnssec") == "insecure"


def test_direct_tls_comes_first_at_the_same_priority(gateway, remote, dns, domain):
    name, chain = domain()
    direct, other = remote(certificate=chain, direct=True), remote(certificate=chain)
    dns.service(name, "127.0.0.1", other.port, direct=direct.port)
    guest, record = reaches(gateway(dns=dns), name, direct)
    assert (guest.server_name, guest.protocol) == (name, "xmpp-server")
    assert audit.get(record, "xmpp.starttls.result") == "direct"
    other.nobody()


def test_priority_decides_across_both_kinds(gateway, remote, dns, domain):
    name, chain = domain()
    direct, other = remote(certificate=chain, direct=True), remote(certificate=chain)
    dns.publish(srv(name, direct.port, f"x.{name}.", 20, kind="xmpps"), srv(name, other.port, f"x.{name}.", 10), f"x.{name}. A 127.0.0.1")
    reaches(gateway(dns=dns), name, other)
    direct.nobody()


def test_direct_tls_alone(gateway, remote, dns, domain):
    name, chain = domain()
    server = remote(certificate=chain, direct=True)
    dns.publish(srv(name, server.port, f"x.{name}.", kind="xmpps"), srv(name, 0, "."), f"x.{name}. A 127.0.0.1")
    reaches(gateway(dns=dns), name, server)


def test_no_direct_tls_by_a_dot(gateway, remote, dns, domain):
    name, chain = domain()
    server = remote(certificate=chain)
    dns.publish(srv(name, 0, ".", kind="xmpps"), srv(name, server.port, f"x.{name}."), f"x.{name}. A 127.0.0.1")
    reaches(gateway(dns=dns), name, server)


def test_ipv6_alone(gateway, remote, dns, domain):
    name, chain = domain()
    server = remote(certificate=chain, address="::1")
    dns.publish(srv(name, server.port, f"x.{name}."), f"x.{name}. AAAA ::1")
    _, record = reaches(gateway(dns=dns), name, server)
    assert audit.get(record, "destination.ip") == "::1"


def test_the_other_family_where_one_is_dead(gateway, remote, dns, domain):
    name, chain = domain()
    server = remote(certificate=chain)
    dns.publish(srv(name, server.port, f"x.{name}."), f"x.{name}. AAAA ::1", f"x.{name}. A 127.0.0.1")
    reaches(gateway(dns=dns), name, server)


def test_dead_targets_first(gateway, remote, dns, domain):
    """Every candidate is tried: one that refuses, one without address, one that is no TLS server, then the good one."""
    name, chain = domain()
    useless, good = remote(certificate=chain, offer="absent", answer="failure"), remote(certificate=chain)
    dns.publish(srv(name, free_port(), f"x.{name}.", 1), srv(name, 5269, f"nowhere.{name}.", 2), srv(name, useless.port, f"x.{name}.", 3),
                srv(name, good.port, f"x.{name}.", 4), f"x.{name}. A 127.0.0.1")
    reaches(gateway(dns=dns), name, good)
    assert len(useless.guests) == 1


def test_weights_share_the_streams(gateway, remote, dns, domain):
    name, chain = domain()
    servers = [remote(certificate=chain) for _ in range(2)]
    dns.publish(*(srv(name, server.port, f"x.{name}.", 0, 10) for server in servers), f"x.{name}. A 127.0.0.1")
    proxy = gateway(dns=dns)
    for _ in range(20):
        Legacy(proxy.outbound).open(name).close()
    assert all(server.guests for server in servers), [len(server.guests) for server in servers]


def own_address():
    """A loopback address that no other run of the tests uses."""
    return "127.%d.%d.%d" % (os.getpid() // 64516 % 250 + 1, os.getpid() // 254 % 254 + 1, os.getpid() % 254 + 1)


def test_no_srv_means_port_5269_of_the_domain(gateway, dns, domain):
    name, _ = domain()
    address = own_address()
    dns.publish(f"{name}. A {address}")
    proxy = gateway(dns=dns)
    with socket.create_server((address, 5269)) as listener:
        listener.settimeout(10)
        legacy = Legacy(proxy.outbound).begin(name)
        listener.accept()[0].close()
        legacy.close()


@pytest.mark.parametrize("zone, expected", [("example", "secure"), ("plain.example", "insecure")])
def test_a_host_name_in_connect(gateway, remote, dns, domain, zone, expected):
    """Its addresses are looked up as any other's; the domain's own records are not asked for."""
    name, chain = domain()
    server = remote(certificate=chain)
    dns.publish(f"host.{name.partition('.')[0]}.{zone}. A 127.0.0.1", srv(name, 0, "."))
    proxy = gateway([peer(name, f"host.{name.partition('.')[0]}.{zone}:{server.port}")], dns=dns)
    _, record = reaches(proxy, name, server)
    assert audit.get(record, "xmpp.dns.dnssec") == expected


def test_a_numeric_address_in_connect(gateway, remote, resolver, domain):
    """No DNS, and the record does not speak of it."""
    name, chain = domain()
    server, watching = remote(certificate=chain), resolver()
    _, record = reaches(gateway([peer(name, server)], dns=watching), name, server)
    assert audit.get(record, "xmpp.dns") is None and watching.asked == []


# --- an address as the domain (RFC 6120 section 3.2, RFC 9525 section 6.4; TLS-19, CERT-6)
def test_an_address_is_asked_of_nobody(gateway, remote, pki, resolver):
    """There is nothing to look up: port 5269 of it, no server name, and a certificate with these octets."""
    address, watching = own_address(), resolver()
    server = remote(certificate=pki.issue(address, san="IP:" + address, usage="serverAuth,clientAuth"), address=address, port=5269)
    guest, record = reaches(gateway(dns=watching), address, server)
    guest.saw_only_starttls()
    assert guest.server_name is None and watching.asked == []
    expected = {"xmpp.verification.method": "pkix", "xmpp.verification.matched": "IP-ID " + address, "xmpp.dns.dnssec": None,
                "destination.domain": address, "destination.ip": address}
    assert {name: audit.get(record, name) for name in expected} == expected


@pytest.mark.parametrize("names, proven", [("IP:::1", True), ("DNS:[::1]", False), ("IP:127.0.0.1", False)])
def test_an_ipv6_address_in_brackets(gateway, remote, pki, names, proven):
    """By a rule, so that it need not be port 5269 of this machine. One form in policy, certificate and record: without brackets."""
    server = remote(certificate=pki.issue("an-address", san=names, usage="serverAuth,clientAuth"), address="::1")
    proxy = gateway([peer("::1", server)])
    if not proven:
        Legacy(proxy.outbound).begin("[::1]").refused("remote-unverified")
        return
    legacy = Legacy(proxy.outbound).open("[::1]")
    assert server.ready().server_name is None
    legacy.close()
    assert audit.get(proxy.wait_records("stream-established")[0], "xmpp.verification.matched") == "IP-ID ::1"


@pytest.mark.parametrize("names", ["DNS:{}", "IP:127.0.0.1"])
def test_an_address_is_not_proven_by_a_name(gateway, remote, pki, names):
    address = own_address()
    remote(certificate=pki.issue("an-address", san=names.format(address), usage="serverAuth,clientAuth"), address=address, port=5269)
    Legacy(gateway().outbound).begin(address).refused("remote-unverified")


# --- nothing to be had
def refused(proxy, name, word):
    Legacy(proxy.outbound).begin(name).refused(word, 30)
    record = proxy.wait_records("stream-refused", xmpp__to=name)[0]
    assert record["event"]["code"] == word and audit.get(record, "xmpp.error") == "remote-connection-failed"


def test_no_such_domain(gateway, dns):
    refused(gateway(dns=dns), "nobody-at-all.example", "dns")


def test_no_such_service(gateway, dns, domain):
    """A target of "." is no reason to look for addresses of the domain (XEP-0368, RFC 2782)."""
    name, _ = domain()
    dns.publish(srv(name, 0, "."), f"{name}. A 127.0.0.1")
    refused(gateway(dns=dns), name, "no-service")


def test_srv_without_any_address_is_not_fallen_back_from(gateway, dns, domain):
    name, _ = domain()
    dns.publish(srv(name, 5269, f"nowhere.{name}."), f"{name}. A 127.0.0.1")
    refused(gateway(dns=dns), name, "dns")


def test_servfail(gateway, dns):
    refused(gateway(dns=dns), "somebody.dead.example", "dns")


def test_bogus(gateway, remote, dns, domain):
    name, chain = domain("bogus.example")
    server = remote(certificate=chain)
    dns.service(name, "127.0.0.1", server.port)
    proxy = gateway(dns=dns)
    legacy = Legacy(proxy.outbound).begin(name)
    data, _ = legacy.to_end(30)
    assert data.endswith(s2s.told("dns-bogus")), data
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "dns-bogus"
    server.nobody()


# --- resolvers that are not as they should be
@pytest.fixture
def resolver(dns):
    made = []

    def make(*arguments, **options):
        made.append(liar.Resolver(dns, *arguments, **options))
        return made[-1]
    yield make
    for one in made:
        one.close()


def test_a_dead_resolver(gateway, dns):
    dns.freeze()
    try:
        proxy = gateway(dns=dns)
        begun = time.monotonic()
        refused(proxy, "somebody.example", "dns")
        assert time.monotonic() - begun < 10
    finally:
        dns.freeze(False)


def test_a_silent_resolver_holds_nobody_else_up(gateway, remote, resolver):
    """Streams to peers that need no DNS go on meanwhile: nothing blocks the loop."""
    mute = resolver(liar.silence)
    server = remote()
    proxy = gateway([peer("remote.test", server)], dns=mute, config={"workers": 1})
    waiting = [Legacy(proxy.outbound).begin(f"w{n}.example") for n in range(20)]
    for _ in range(3):
        Legacy(proxy.outbound).open("remote.test", timeout=5).close()
    for legacy in waiting:
        legacy.refused("dns", 30)


def test_a_slow_resolver(gateway, remote, dns, domain, resolver):
    name, chain = domain()
    server = remote(certificate=chain)
    dns.service(name, "127.0.0.1", server.port)
    slow = resolver(delay=0.2)
    reaches(gateway(dns=slow, config={"dns": {"timeout": "10s"}}), name, server)


@pytest.mark.parametrize("lie", ["target", "address", "denial"])
def test_a_lying_resolver(gateway, remote, dns, domain, resolver, lie):
    """DNSSEC is checked here, not there."""
    name, chain = domain()
    good, evil = remote(certificate=chain), remote(certificate=chain)
    dns.service(name, "127.0.0.1", good.port)
    twist = {"target": liar.forge(f"_xmpp-server._tcp.{name}.", "SRV", f"0 0 {evil.port} xmpp.{name}."),
             "address": liar.forge(f"xmpp.{name}.", "A", "127.0.0.9"), "denial": liar.deny(f"{name}.")}[lie]
    proxy = gateway(dns=resolver(twist))
    legacy = Legacy(proxy.outbound).begin(name)
    data, _ = legacy.to_end(30)
    assert data.endswith(s2s.told("dns-bogus")), data
    assert proxy.wait_records("stream-refused")[0]["event"]["code"] == "dns-bogus"
    evil.nobody()
    good.nobody()


def test_a_lie_about_an_unsigned_zone_leads_to_somebody_who_cannot_prove(gateway, remote, dns, domain, resolver, zoo):
    """DNSSEC cannot help there; the certificate does (CERT-1)."""
    name, chain = domain("plain.example")
    good, evil = remote(certificate=chain), remote(certificate=zoo.get("dns-id"))
    dns.service(name, "127.0.0.1", good.port)
    proxy = gateway(dns=resolver(liar.forge(f"_xmpp-server._tcp.{name}.", "SRV", f"0 0 {evil.port} xmpp.{name}.")))
    Legacy(proxy.outbound).begin(name).refused("remote-unverified")
    good.nobody()


def test_what_is_asked(gateway, remote, dns, domain, resolver):
    """NEG-41: SRV records and addresses, and what proves them; nothing else: no TXT of the removed _xmppconnect, no NS of the root."""
    name, chain = domain()
    server = remote(certificate=chain)
    dns.service(name, "127.0.0.1", server.port)
    watching = resolver()
    reaches(gateway(dns=watching), name, server)
    proof = {(".", "DNSKEY"), ("example.", "DS"), ("example.", "DNSKEY")}
    assert set(watching.asked) == proof | {(f"_xmpps-server._tcp.{name}.", "SRV"), (f"_xmpp-server._tcp.{name}.", "SRV"),
                                           (f"xmpp.{name}.", "A"), (f"xmpp.{name}.", "AAAA")}
