# SPDX-License-Identifier: MIT
"""The bytes of the protocol that the tests send and expect."""
import base64
import re

STREAMS = "http://etherx.jabber.org/streams"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"

STARTTLS = f"<starttls xmlns='{TLS}'/>".encode()
PROCEED = f"<proceed xmlns='{TLS}'/>".encode()
TLS_FAILURE = f"<failure xmlns='{TLS}'/>".encode()
CLOSE = b"</stream:stream>"
HEADER_PATTERN = re.compile(rb"<(stream:)?stream\s[^>]*>")
FEATURES_STARTTLS = f"<stream:features><starttls xmlns='{TLS}'><required/></starttls></stream:features>".encode()
MECHANISMS = f"<mechanisms xmlns='{SASL}'><mechanism>PLAIN</mechanism></mechanisms>".encode()
FEATURES_AUTH = b"<stream:features>" + MECHANISMS + b"</stream:features>"
FEATURES_BIND = b"<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"
SUCCESS = f"<success xmlns='{SASL}'/>".encode()
COMPRESS = b"<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>"
COMPRESS_FAILURE = b"<failure xmlns='http://jabber.org/protocol/compress'><setup-failed/></failure>"


def header(to="im.test", version="1.0", lang="en", namespace="jabber:client", streams=STREAMS, extra="", prolog=True):
    parts = ["<?xml version='1.0'?>" if prolog else "", "<stream:stream"]
    parts += [f" to='{to}'"] if to is not None else []
    parts += [f" version='{version}'"] if version is not None else []
    parts += [f" xml:lang='{lang}'"] if lang else []
    return ("".join(parts) + f"{extra} xmlns='{namespace}' xmlns:stream='{streams}'>").encode()


def backend_header(identity="b1-id", domain="im.test", version="1.0"):
    v = f" version='{version}'" if version else ""
    return (f"<?xml version='1.0'?><stream:stream from='{domain}' id='{identity}'{v} xml:lang='en' xmlns='jabber:client' "
            f"xmlns:stream='{STREAMS}'>").encode()


def reply_header(domain="im.test", to=None, version=True, lang="en"):
    """What the proxy's own header must look like, as a pattern; group 1 is the stream id."""
    return (rb"<\?xml version='1\.0'\?><stream:stream from='" + re.escape(domain.encode()) + rb"' id='([^']+)'" +
            (b" to='" + re.escape(to.encode()) + b"'" if to else b"") + (rb" version='1\.0'" if version else b"") +
            b" xml:lang='" + lang.encode() + rb"' xmlns='jabber:client' xmlns:stream='http://etherx\.jabber\.org/streams'>")


def limited(features, size=16384, idle=None):
    """Features of a backend as the client sees them: with the proxy's own limits at the end (XEP-0478). The size is that of
    limits.unauthenticated-stanza; after authentication of limits.stanza, 524288 by default."""
    end = b"</stream:features>"
    assert features.endswith(end)
    limits = f"<max-bytes>{size}</max-bytes>" + (f"<idle-seconds>{idle}</idle-seconds>" if idle else "")
    return features[:-len(end)] + f"<limits xmlns='urn:xmpp:stream-limits:0'>{limits}</limits>".encode() + end


def stream_error(condition, text=None, application=""):
    note = f"<text xmlns='{ERRORS}' xml:lang='en'>{text}</text>" if text else ""
    return f"<stream:error><{condition} xmlns='{ERRORS}'/>{note}{application}</stream:error></stream:stream>".encode()


def error_pattern(condition):
    """Any stream error of that condition, with or without a text, and the stream's end."""
    return (rb"<stream:error><" + condition.encode() + rb" xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
            rb"(<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>[^<]*</text>)?"
            rb"(<stanza-too-big xmlns='urn:xmpp:errors'/>)?</stream:error></stream:stream>")


def plain(user="juliet", password="r0m30myr0m30"):
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


def auth(payload=None, mechanism="PLAIN"):
    return f"<auth xmlns='{SASL}' mechanism='{mechanism}'>{payload or plain()}</auth>".encode()
