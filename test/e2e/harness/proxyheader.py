# SPDX-License-Identifier: MIT
"""PROXY headers as the specification's tables have them, made and taken apart without the program's help."""
import ipaddress
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
FAMILIES = {4: 0x11, 6: 0x21}
ALPN, AUTHORITY, CRC32C, NOOP, SSL = 0x01, 0x02, 0x03, 0x04, 0x20
SSL_VERSION, SSL_CN, SSL_CIPHER = 0x21, 0x22, 0x23


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def v1(source, destination):
    (host, port), (to_host, to_port) = source, destination
    return f"PROXY TCP{ipaddress.ip_address(host).version} {host} {to_host} {port} {to_port}\r\n".encode()


def tlv(kind, value):
    return struct.pack(">BH", kind, len(value)) + value


def frame(command, family, body):
    return SIGNATURE + struct.pack(">BBH", command, family, len(body)) + body


def v2(source, destination, tlvs=b"", checksum=False):
    ends = [ipaddress.ip_address(host) for host, _ in (source, destination)]
    body = b"".join(end.packed for end in ends) + struct.pack(">HH", source[1], destination[1]) + tlvs
    if not checksum:
        return frame(0x21, FAMILIES[ends[0].version], body)
    header = frame(0x21, FAMILIES[ends[0].version], body + tlv(CRC32C, bytes(4)))
    return header[:-4] + struct.pack(">I", crc32c(header))


def local():
    return frame(0x20, 0, b"")


def split_tlvs(data):
    found = {}
    while data:
        kind, size = struct.unpack(">BH", data[:3])
        assert kind not in found and len(data) >= 3 + size, data
        found[kind], data = data[3:3 + size], data[3 + size:]
    return found


def parse_v2(data):
    """(command, source, destination, TLVs, what stands behind the header)."""
    assert data[:12] == SIGNATURE, data[:12]
    command, family, size = struct.unpack(">BBH", data[12:16])
    body, rest = data[16:16 + size], data[16 + size:]
    assert len(body) == size
    width = {0x00: 0, 0x11: 4, 0x21: 16}[family]
    source = destination = None
    if width:
        ports = struct.unpack(">HH", body[2 * width:2 * width + 4])
        source = (str(ipaddress.ip_address(body[:width])), ports[0])
        destination = (str(ipaddress.ip_address(body[width:2 * width])), ports[1])
        body = body[2 * width + 4:]
    return command, source, destination, split_tlvs(body), rest


def parse_ssl(value):
    """(client flags, verify, sub-TLVs)."""
    flags, verify = struct.unpack(">BI", value[:5])
    return flags, verify, split_tlvs(value[5:])
