# SPDX-License-Identifier: MIT
"""A certificate authority made at run time with the openssl program."""
import datetime
import os
import ssl
import subprocess

DOMAINS = ("im.test", "other.test", "localhost")


def openssl(*arguments, **options):
    return subprocess.run(("openssl",) + arguments, check=True, capture_output=True, timeout=60, **options)


class Pki:
    def __init__(self, directory):
        self.directory = directory
        self.ca, self.ca_key = self.path("ca.pem"), self.path("ca.key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "90",
                "-subj", "/CN=portcullis test CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature",
                "-keyout", self.ca_key, "-out", self.ca)
        for domain in DOMAINS:
            self.issue(domain, usage="serverAuth,clientAuth")
        self.issue("im.test", name="im-rsa", key=("-newkey", "rsa:2048"))

    def path(self, name):
        return os.path.join(self.directory, name)

    def issue(self, domain, name=None, key=("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"), days=60, san=None, usage="serverAuth"):
        """NAME.pem (leaf, then the CA) and NAME.key; returns both paths."""
        name = name or domain
        leaf, private, chain = self.path(name + ".leaf"), self.path(name + ".key"), self.path(name + ".pem")
        openssl("req", "-x509", *key, "-noenc", "-days", str(days), "-subj", f"/CN={domain}", "-CA", self.ca,
                "-CAkey", self.ca_key, "-addext", f"subjectAltName={san or 'DNS:' + domain}",
                "-addext", "basicConstraints=critical,CA:FALSE", "-addext", f"extendedKeyUsage={usage}",
                "-addext", "keyUsage=digitalSignature", "-keyout", private, "-out", leaf)
        with open(chain, "w", encoding="ascii") as out:
            out.write(open(leaf, encoding="ascii").read() + open(self.ca, encoding="ascii").read())
        os.chmod(private, 0o600)
        return chain, private

    def expired(self, domain):
        """A self-signed certificate of last year; only the `ca` command can date one back."""
        name, conf = self.path("expired"), self.path("expired.cnf")
        with open(conf, "w", encoding="ascii") as out:
            out.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={name}.db\nnew_certs_dir={self.directory}\nrand_serial=yes\n"
                      f"default_md=sha256\npolicy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n[e]\nsubjectAltName=DNS:{domain}\n"
                      "basicConstraints=CA:FALSE\n")
        open(name + ".db", "w", encoding="ascii").close()
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-subj", f"/CN={domain}",
                "-keyout", name + ".key", "-out", name + ".csr")
        openssl("ca", "-config", conf, "-batch", "-notext", "-selfsign", "-keyfile", name + ".key", "-in", name + ".csr",
                "-startdate", "20200101000000Z", "-enddate", "20210101000000Z", "-out", name + ".pem")
        return name + ".pem", name + ".key"

    def ocsp(self, name):
        """A good OCSP response for NAME.pem, as DER."""
        leaf, index = self.path(name + ".leaf"), self.path(name + ".index")
        serial = openssl("x509", "-in", leaf, "-noout", "-serial").stdout.decode().strip().partition("=")[2]
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=60)
        with open(index, "w", encoding="ascii") as out:
            out.write(f"V\t{end:%y%m%d%H%M%SZ}\t\t{serial}\tunknown\t/CN={name}\n")
        request, response = self.path(name + ".ocsp-request"), self.path(name + ".ocsp")
        openssl("ocsp", "-issuer", self.ca, "-cert", leaf, "-no_nonce", "-reqout", request)
        openssl("ocsp", "-index", index, "-CA", self.ca, "-rsigner", self.ca, "-rkey", self.ca_key, "-reqin", request,
                "-respout", response, "-ndays", "5")
        return response

    def context(self, alpn=None, version=None):
        """A verifying client context."""
        context = ssl.create_default_context(cafile=self.ca)
        if alpn:
            context.set_alpn_protocols(alpn)
        if version:
            context.minimum_version = context.maximum_version = version
        return context
