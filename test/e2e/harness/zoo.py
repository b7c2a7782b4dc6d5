# SPDX-License-Identifier: MIT
"""Certificates of servers, good ones and every bad kind, made on demand: each names its own domain `KIND.zoo.test`, so that
one server can show all of them. What each proves is in VALID and INVALID; the words are those of RFC 9525."""
import hashlib
import os

from .pki import openssl

SUFFIX = ".zoo.test"
XMPP_ADDR, SRV_NAME = "1.3.6.1.5.5.7.8.5", "1.3.6.1.5.5.7.8.7"
EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")

# KIND: subject alternative names, {} is the domain. What the record calls the identifier that met, where one does.
IDENTITIES = {
    "dns-id": "DNS:{}",
    "srv-server": f"otherName:{SRV_NAME};IA5:_xmpp-server.{{}}",
    "srv-client": f"otherName:{SRV_NAME};IA5:_xmpp-client.{{}}",
    "xmpp-addr": f"otherName:{XMPP_ADDR};FORMAT:UTF8,UTF8:{{}}",
    "cn-only": "email:hostmaster@zoo.test",
    "wildcard": "DNS:*.zoo.test",
    "partial-wildcard": "DNS:partial-w*.zoo.test",
    "deep-wildcard": "DNS:*.*.test",
    "wildcard-itself": "DNS:*.{}",
    "srv-wildcard": f"otherName:{SRV_NAME};IA5:_xmpp-server.*.zoo.test",
    "other-name": "DNS:somebody.else.test",
    "address": "IP:127.0.0.1",
}
PROVEN = {
    "dns-id": "DNS-ID dns-id.zoo.test", "srv-server": "SRV-ID _xmpp-server.srv-server.zoo.test",
    "xmpp-addr": "XmppAddr xmpp-addr.zoo.test", "wildcard": "DNS-ID *.zoo.test",
    "srv-wildcard": "SRV-ID _xmpp-server.*.zoo.test", "server-only": "DNS-ID server-only.zoo.test",
    "no-usage": "DNS-ID no-usage.zoo.test", "intermediate": "DNS-ID intermediate.zoo.test",
}
# To a client: another name of service (CERT-2).
PROVEN_TO_CLIENTS = {kind: matched for kind, matched in PROVEN.items() if "_xmpp-server" not in matched}
PROVEN_TO_CLIENTS["srv-client"] = "SRV-ID _xmpp-client.srv-client.zoo.test"
# With a DNS-ID that is right, and something else that is not; the alert that a peer hears of it (RFC 8446 section 6.2).
FAULTS = {"expired": "certificate expired", "not-yet": "bad certificate", "self-signed": "unknown ca", "untrusted": "unknown ca",
          "authority": None, "client-only": None, "constrained": None, "rsa-1024": None, "sha1": None}
KINDS = tuple(IDENTITIES) + tuple(FAULTS) + ("server-only", "no-usage", "intermediate")
CONFIG = """
[ca]
default_ca=d
[d]
database={directory}/db
new_certs_dir={directory}
rand_serial=yes
unique_subject=no
default_md=sha256
policy=p
[p]
commonName=supplied
[req]
distinguished_name=n
[n]
"""
LEAF = """
basicConstraints=critical,CA:{authority}
keyUsage=digitalSignature{more}
{usage}
subjectAltName=@names
[names]
{names}
"""
AUTHORITY = """
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign,digitalSignature
{constraint}
"""


def names_section(text):
    """`a:b` into the lines of a section, where a comma may stand in a value."""
    kind, _, value = text.partition(":")
    return f"{kind}.1={value}"


class Zoo:
    """`get(kind)`: certificate chain and key. `domain(kind)`: the domain that it is shown for."""

    def __init__(self, pki):
        self.pki, self.directory, self.made = pki, os.path.join(pki.directory, "zoo"), {}
        os.mkdir(self.directory)
        os.chmod(self.directory, 0o755)
        with open(self.path("cnf"), "w", encoding="ascii") as out:
            out.write(CONFIG.format(directory=self.directory))
        open(self.path("db"), "w", encoding="ascii").close()

    def path(self, name):
        return os.path.join(self.directory, name)

    @staticmethod
    def domain(kind):
        return kind + SUFFIX

    def get(self, kind):
        if kind not in self.made:
            self.made[kind] = self.make(kind)
        return self.made[kind]

    def make(self, kind):
        issuer = (self.pki.ca, self.pki.ca_key)
        if kind == "untrusted":
            issuer = self.authority("stranger", None)
        elif kind == "constrained":
            issuer = self.authority("bounded", issuer, "nameConstraints=critical,permitted;DNS:elsewhere.test")
        elif kind == "intermediate":
            issuer = self.authority("middle", issuer)
        names = IDENTITIES.get(kind, "DNS:{}").format(self.domain(kind))
        usage = {"server-only": "serverAuth", "client-only": "clientAuth", "no-usage": None}.get(kind, "serverAuth,clientAuth")
        more = {"expired": ("-startdate", "20200101000000Z", "-enddate", "20210101000000Z"),
                "not-yet": ("-startdate", "20400101000000Z", "-enddate", "20410101000000Z"), "sha1": ("-md", "sha1")}.get(kind, ())
        leaf = LEAF.format(authority="TRUE" if kind == "authority" else "FALSE", more=",keyCertSign" if kind == "authority" else "",
                           usage=f"extendedKeyUsage={usage}" if usage else "", names=names_section(names))
        key = ("-newkey", "rsa:1024") if kind == "rsa-1024" else EC
        return self.issue(kind, self.domain(kind), leaf, None if kind == "self-signed" else issuer, key, more)

    def issue(self, name, subject, extensions, issuer, key=EC, more=()):
        """NAME.pem with every certificate below the root, NAME.key. issuer None: signed with its own key."""
        request, private, leaf = self.path(name + ".csr"), self.path(name + ".key"), self.path(name + ".leaf")
        with open(self.path(name + ".ext"), "w", encoding="utf-8") as out:
            out.write(extensions)
        openssl("req", "-new", *key, "-noenc", "-config", self.path("cnf"), "-subj", f"/CN={subject}", "-keyout", private,
                "-out", request)
        signer = ("-cert", issuer[0], "-keyfile", issuer[1]) if issuer else ("-selfsign", "-keyfile", private)
        dates = () if "-startdate" in more else ("-days", "60")
        openssl("ca", "-config", self.path("cnf"), "-batch", "-notext", "-utf8", *signer, "-in", request, "-out", leaf, "-extfile",
                self.path(name + ".ext"), *dates, *more)
        with open(self.path(name + ".pem"), "w", encoding="ascii") as out:
            out.write(open(leaf, encoding="ascii").read())
            if issuer and issuer[0] != self.pki.ca:
                out.write(open(issuer[0], encoding="ascii").read())
        os.chmod(private, 0o600)
        return self.path(name + ".pem"), private

    def authority(self, name, issuer, constraint=""):
        return self.issue(name, f"portcullis test {name}", AUTHORITY.format(constraint=constraint), issuer)


def fingerprints(chain):
    """(certificate, public key) SHA-256 of the leaf in that file, lower-case hex."""
    der = openssl("x509", "-in", chain, "-outform", "DER").stdout
    public = openssl("x509", "-in", chain, "-noout", "-pubkey").stdout
    return hashlib.sha256(der).hexdigest(), hashlib.sha256(openssl("pkey", "-pubin", "-outform", "DER", input=public).stdout).hexdigest()
