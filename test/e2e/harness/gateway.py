# SPDX-License-Identifier: MIT
"""portcullis between servers, as a process: where other servers come in (`inbound`), where the legacy server goes out
(`outbound`), where local clients do (`clients`)."""
from .proxy import Portcullis, merge
from .wait import account, free_port

# The key that signs the real root since 2018: an anchor that holds for the tests that ask no DNS.
ROOT = ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n"


def peer(domain, target=None, **more):
    """A rule of `peers`. target: whose address is to be connected to."""
    return dict({"domain": domain}, **({"connect": getattr(target, "address", target)} if target else {}),
                **{name.replace("_", "-"): value for name, value in more.items()})


class Gateway(Portcullis):
    """`backend`: where the legacy servers take other servers, one address, or one for each domain. dns: a DnsLab.
    EXCUSE is what a rule needs that is weaker than its role."""

    def __init__(self, pki, backend, peers=(), domains=("im.test",), dns=None, config=None, **options):
        self.inbound, self.outbound, self.clients = free_port(), free_port(), free_port()
        self.peers, self.dns, self.pki = list(peers), dns, pki
        super().__init__(pki, backend, config=config, domains=domains, **options)

    def defaults(self, pki, backend, domains, certificate):
        base = super().defaults(pki, "", domains, certificate)
        backends = backend if isinstance(backend, dict) else dict.fromkeys(domains, backend)
        for domain in base["domains"]:
            domain["backend"] = {"s2s": backends[domain["name"]]} if backends[domain["name"]] else {}
        return merge(base, {
            "listeners": self.listeners("127.0.0.1"),
            "tls": {"ca-file": pki.ca}, "peers": self.peers, "dns": self.resolvers(),
            "timeouts": {"connect": "3s"},
        })

    def listeners(self, address):
        return [{"role": "s2s-inbound", "address": f"{address}:{self.inbound}"},
                {"role": "s2s-outbound", "address": f"{address}:{self.outbound}"},
                {"role": "c2s-outbound", "address": f"{address}:{self.clients}"}]

    def resolvers(self):
        if self.dns:
            return {"servers": [self.dns.server()], "trust-anchor": self.dns.anchor, "timeout": "2s"}
        anchor = f"{self.directory}/root.ds"
        with open(anchor, "w", encoding="ascii") as out:
            out.write(ROOT)
        return {"servers": ["127.0.0.1@9"], "trust-anchor": anchor, "timeout": "1s"}


EXCUSE = {"reason": "a test", "until": "2199-12-31"}


class HostGateway(Gateway):
    """On a host of the laboratory: port 5269 for other servers. intercept: connections that the legacy servers of the host open
    to port 5269 of anybody are led to it by the packet filter (`redirect`); otherwise they come by themselves."""

    def __init__(self, world, host, backends, intercept=True, **options):
        self.host, self.intercept = host, intercept
        super().__init__(world.pki, backends, domains=tuple(backends), dns=world.dns, prefix=host.prefix(), **options)

    def listeners(self, address):
        self.inbound, self.outbound = 5269, 15270
        how = {"intercept": "redirect"} if self.intercept else {}
        return [{"role": "s2s-inbound", "address": "[::]:5269"}] + [
            {"role": "s2s-outbound", "address": address, **how} for address in ("127.0.0.1:15270", "[::1]:15270")]

    def redirect(self, rules=None):
        """The rules of docs/federation.md: all but portcullis' own account goes to the outbound listener."""
        self.host.nft(rules or REDIRECT.format(account=account()))
        return self

    def undo_redirect(self):
        self.host.check("nft", "delete", "table", "inet", "portcullis")


REDIRECT = """
table inet portcullis {{
	chain output {{
		type nat hook output priority -100;
		meta skuid != "{account}" tcp dport 5269 redirect to :15270
	}}
}}
"""
