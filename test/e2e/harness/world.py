# SPDX-License-Identifier: MIT
"""The laboratory of federation: an internet of three hosts, a signed DNS, and real servers.

  net   10.90.1.10 capulet.example (Prosody)   .12 escalus.example (ejabberd): TLS and certificates or nothing
        10.90.1.53 and .54: DNS                .66: whoever a test puts there
  a     10.90.1.1: legacy servers on loopback: montague.example (Prosody), abram.example (ejabberd), gregory.example (jabberd2)
  b     10.90.1.2: another one: tybalt.example (Prosody, whose connections all go to 127.0.0.1:15270)

By DNS, port 5269 of a and b is where the legacy domains' service is: portcullis listens there when a test starts it."""
from .clients import Slixmpp
from .dnslab import DnsLab
from .federated import LegacyEjabberd, LegacyJabberd2, LegacyProsody, ModernEjabberd, ModernProsody
from .netns import Network
from .wait import SLOW

USERS = {"nurse": "n1ght1ng4l3", "friar": "l4wr3nc3"}
MODERN = {"capulet.example": 10, "escalus.example": 12}
LEGACY = {"montague.example": "a", "abram.example": "a", "gregory.example": "a", "tybalt.example": "b"}


class World:
    def __init__(self, pki):
        self.pki, self.servers, self.clients, self.closers = pki, {}, [], []
        try:
            self.build()
        except BaseException:
            self.close()
            raise

    def build(self):
        self.network = Network("10.90.1.54")
        self.closers.append(self.network.close)
        self.net = self.network.host("net", 10, 12, 53, 54, 66)
        self.a, self.b = self.network.host("a", 1), self.network.host("b", 2)
        self.dns = DnsLab(self.net, "10.90.1.53", "10.90.1.54")
        self.closers.append(self.dns.close)
        for domain, number in MODERN.items():
            self.dns.service(domain, f"10.90.1.{number}", address6=f"fd90:1::{number}")
            self.dns.service(domain, f"10.90.1.{number}", role="client")
        for domain, host in LEGACY.items():
            self.dns.service(domain, getattr(self, host).addresses[0], address6=getattr(self, host).addresses6[0])
        for domain in (*MODERN, *LEGACY):
            self.pki.issue(domain, usage="serverAuth,clientAuth")

    def certificate(self, domain):
        return self.pki.path(domain + ".pem"), self.pki.path(domain + ".key")

    def server(self, domain):
        """The server of that domain, started when it is first asked for."""
        if domain not in self.servers:
            modern = dict(certificate=self.certificate(domain), ca=self.pki.ca)
            make = {
                "capulet.example": lambda: ModernProsody(self.net, USERS, domain, self.dns, "10.90.1.10", also=["fd90:1::10"], **modern),
                "escalus.example": lambda: ModernEjabberd(self.net, USERS, domain, self.dns, "10.90.1.12", **modern),
                "montague.example": lambda: LegacyProsody(self.a, USERS, domain, self.dns),
                "abram.example": lambda: LegacyEjabberd(self.a, USERS, domain, self.dns),
                "gregory.example": lambda: LegacyJabberd2(self.a, USERS, domain, self.dns),
                "tybalt.example": lambda: LegacyProsody(self.b, USERS, domain, self.dns, next_hop=True),
            }[domain]
            self.servers[domain] = make()
            self.closers.append(self.servers[domain].stop)
        return self.servers[domain]

    def client(self, domain, user="nurse"):
        """A client that is logged in at that domain, on the server's own host, and stays."""
        for client in self.clients:
            if client.jid == f"{user}@{domain}":
                return client
        server = self.server(domain)
        client = Slixmpp(f"{user}@{domain}", USERS[user], server.port, self.pki, prefix=server.host.prefix(),
                         host=server.listen_at, plain=domain in LEGACY)
        client.jid = f"{user}@{domain}"
        self.clients.append(client)
        client.wait_event("online", timeout=30 * SLOW)
        return client

    def forget(self, *domains):
        """These servers end; the next test that needs one gets a new one, with no half-open streams."""
        for client in [c for c in self.clients if c.jid.partition("@")[2] in domains]:
            client.kill()
            self.clients.remove(client)
        for domain in domains:
            server = self.servers.pop(domain, None)
            if server:
                self.closers.remove(server.stop)
                server.stop()

    def leave(self):
        """All clients log out."""
        for client in self.clients:
            client.kill()
        self.clients.clear()

    def close(self):
        self.leave()
        for closer in reversed(self.closers):
            closer()
