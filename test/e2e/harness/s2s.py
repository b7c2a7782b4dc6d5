# SPDX-License-Identifier: MIT
"""The bytes between servers that the tests send and expect."""
import re

from . import wire

CLIENT, SERVER = "jabber:client", "jabber:server"
DIALBACK = "jabber:server:dialback"
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
FEATURE = b"<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"
FEATURES_DIALBACK = b"<stream:features>" + FEATURE + b"</stream:features>"
FEATURES_STARTTLS = f"<stream:features><starttls xmlns='{wire.TLS}'/></stream:features>".encode()
FEATURES_NONE = b"<stream:features/>"
FEATURES_BIDI = b"<stream:features><bidi xmlns='urn:xmpp:features:bidi'/>" + FEATURE + b"</stream:features>"
BIDI = b"<bidi xmlns='urn:xmpp:bidi'/>"
NOT_XML = b"HTTP/1.1 400 Bad Request\r\n\r\n"
UNSUPPORTED = wire.stream_error("unsupported-stanza-type")
# Section 5, vector 7: all that may be said to a remote server before the first byte of TLS.
PREFIX = re.compile(rb"(<\?xml[^>]*>)?<stream:stream[^>]*><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
KEY = "ea2650ebea7d727ae6f2d8dd28c361166aa9da45f7f247979eefc13e049cdda7"

# What the legacy side is told, by the word of the record: condition and text.
TOLD = {
    "dns": ("remote-connection-failed", "The remote server could not be found"),
    "dns-bogus": ("remote-connection-failed", "The remote server could not be found"),
    "no-service": ("remote-connection-failed", "The remote domain does not offer this service"),
    "remote-down": ("remote-connection-failed", "The remote server could not be reached"),
    "remote-timeout": ("remote-connection-failed", "The remote server did not answer in time"),
    "remote-closed": ("remote-connection-failed", "The remote server closed the connection"),
    "remote-invalid": ("remote-connection-failed", "The remote server sent something that cannot be used"),
    "remote-redirect": ("remote-connection-failed", "The remote server refused the stream"),
    "remote-other-domain": ("remote-connection-failed", "The remote server answered for another domain"),
    "no-tls": ("policy-violation", "The remote server does not offer TLS, which policy requires"),
    "remote-injection": ("remote-connection-failed", "The connection to the remote server was tampered with"),
    "remote-tls": ("remote-connection-failed", "TLS with the remote server failed"),
    "remote-unverified": ("policy-violation", "The certificate of the remote server could not be verified"),
    "stripped": ("policy-violation", "The TLS feature was stripped and the peer certificate could not be verified"),
    "weak-tls": ("policy-violation", "A newer version of TLS is required"),
    "certificate-changed": ("policy-violation", "The peer certificate has changed and has not been accepted"),
    "not-ours": ("invalid-from", "This domain is not configured here"),
    "loop": ("remote-connection-failed", "The remote server cannot be reached from here"),
    "not-intercepted": ("policy-violation", "This port takes redirected connections only"),
    "peer-unverified": ("not-authorized", "The certificate does not prove this domain, which policy requires"),
    "self-claim": ("not-authorized", "This domain is served here"),
    "unsolicited-dialback": ("policy-violation", "That was not asked for"),
    "dialback-failed": ("not-authorized", "Dialback failed"),
    "forged-from": ("invalid-from", None), "addressing": ("improper-addressing", None),
}


def attributes(**values):
    return "".join(f" {name.rstrip('_').replace('__', ':')}='{value}'" for name, value in values.items() if value is not None)


def header(to, sender="im.test", version="1.0", identity=None, namespace=SERVER, extra="", prolog=True, lang=None):
    """A stream header between servers, attributes in the order of a legacy Prosody."""
    db = f" xmlns:db='{DIALBACK}'" if namespace == SERVER else ""
    text = attributes(from_=sender, to=to, id=identity, version=version, xml__lang=lang)
    return (("<?xml version='1.0'?>" if prolog else "") +
            f"<stream:stream xmlns='{namespace}'{db} xmlns:stream='{wire.STREAMS}'{text}{extra}>").encode()


def prefix(to, sender=None, namespace=SERVER):
    """All that portcullis says to a remote server before TLS, byte for byte; of a client not even who it is (NEG-29)."""
    db = f" xmlns:db='{DIALBACK}'" if namespace == SERVER else ""
    text = attributes(from_=sender if namespace == SERVER else None, to=to, version="1.0", xml__lang="en")
    return f"<?xml version='1.0'?><stream:stream{text} xmlns='{namespace}'{db} xmlns:stream='{wire.STREAMS}'>".encode() + wire.STARTTLS


def own_header(sender, to=None, version=True, namespace=SERVER, lang="en"):
    """A header that portcullis itself answers with, as a pattern; group 1 is the id."""
    db = f" xmlns:db='{DIALBACK}'" if namespace == SERVER else ""
    return (rb"<\?xml version='1\.0'\?><stream:stream from='" + re.escape(sender.encode()) + rb"' id='([^']+)'" +
            (b" to='" + re.escape(to.encode()) + b"'" if to else b"") + (rb" version='1\.0'" if version else b"") +
            (b" xml:lang='" + lang.encode() + b"'" if lang else b"") +
            re.escape(f" xmlns='{namespace}'{db} xmlns:stream='{wire.STREAMS}'>".encode()))


def told(word):
    """The stream error for that word of the record, and the stream's end."""
    condition, text = TOLD[word]
    return wire.stream_error(condition, text and text.replace("'", "&apos;"))


def result(sender, to, key=KEY):
    return f"<db:result from='{sender}' to='{to}'>{key}</db:result>".encode()


def answer(sender, to, kind="valid"):
    return f"<db:result from='{sender}' to='{to}' type='{kind}'/>".encode()


def verify(sender, to, identity, key=KEY):
    return f"<db:verify from='{sender}' to='{to}' id='{identity}'>{key}</db:verify>".encode()


def verified(sender, to, identity, kind="valid"):
    return f"<db:verify from='{sender}' to='{to}' id='{identity}' type='{kind}'/>".encode()


def message(sender, to, body="hi"):
    return f"<message from='{sender}' to='{to}'><body>{body}</body></message>".encode()


def value(start_tag, name):
    """An attribute of the first start tag in these bytes; None: it has none."""
    found = re.search(rb"<[^?>][^>]*\s" + name.encode() + rb"=(['\"])(.*?)\1", start_tag)
    return found.group(2).decode() if found else None


def older(header_bytes):
    """The header as a server older than 1.0 would have sent it."""
    return re.sub(rb"(<stream:stream[^>]*?) version='1\.0'", rb"\1", header_bytes)


def limited(features):
    """As the other side sees them: with the proxy's own limit, which between servers is that of a proven pair from the start."""
    return wire.limited(features, 524288)
