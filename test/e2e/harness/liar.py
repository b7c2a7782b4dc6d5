# SPDX-License-Identifier: MIT
"""A resolver that stands between portcullis and a good one, and says what the test wants."""
import socket
import socketserver
import struct
import threading
import time

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from .dnslab import free_dns_port


class Resolver:
    """`twist(query, answer)` gives the answer to send, None for silence; both are dns.message.Message. delay: seconds before
    each answer. `asked` holds the questions, (name, kind) each."""

    def __init__(self, lab, twist=lambda query, answer: answer, delay=0):
        self.lab, self.twist, self.delay, self.asked = lab, twist, delay, []
        self.address, self.port = "127.0.0.1", free_dns_port()
        self.anchor = lab.anchor
        resolver = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                if (wire := resolver.answer(self.request[0])) is not None:
                    self.request[1].sendto(wire, self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self):
                while len(head := self.rfile.read(2)) == 2:
                    wire = resolver.answer(self.rfile.read(struct.unpack("!H", head)[0]), tcp=True)
                    if wire is None:
                        return
                    self.wfile.write(struct.pack("!H", len(wire)) + wire)

        socketserver.ThreadingTCPServer.allow_reuse_address = True
        self.servers = [socketserver.ThreadingUDPServer(("127.0.0.1", self.port), Udp),
                        socketserver.ThreadingTCPServer(("127.0.0.1", self.port), Tcp)]
        for server in self.servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def server(self):
        return f"{self.address}@{self.port}"

    def ask(self, wire, tcp):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as s:
            s.settimeout(5)
            s.connect((self.lab.address, self.lab.port))
            if not tcp:
                s.send(wire)
                return s.recv(65535)
            with s.makefile("rwb") as stream:
                stream.write(struct.pack("!H", len(wire)) + wire)
                stream.flush()
                return stream.read(struct.unpack("!H", stream.read(2))[0])

    def answer(self, wire, tcp=False):
        query = dns.message.from_wire(wire)
        self.asked.append((query.question[0].name.to_text(), dns.rdatatype.to_text(query.question[0].rdtype)))
        time.sleep(self.delay)
        said = self.twist(query, dns.message.from_wire(self.ask(wire, tcp)))
        return None if said is None else said.to_wire(max_size=65535 if tcp else 4096)

    def close(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()


def silence(*_):
    return None


def forge(name, kind, data):
    """That record set says something else now, unsigned; everything else is as it was."""
    def twist(query, answer):
        question = query.question[0]
        if (question.name.to_text(), dns.rdatatype.to_text(question.rdtype)) == (name, kind):
            answer = dns.message.make_response(query)
            answer.flags |= dns.flags.RA
            answer.answer = [dns.rrset.from_text(name, 60, "IN", kind, data)]
        return answer
    return twist


def deny(name):
    """There is no such name, it says, and proves nothing."""
    def twist(query, answer):
        if query.question[0].name.to_text().endswith(name):
            answer = dns.message.make_response(query)
            answer.flags |= dns.flags.RA
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer
    return twist
