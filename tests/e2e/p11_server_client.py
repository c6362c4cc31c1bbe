# SPDX-License-Identifier: Apache-2.0
"""A client of tedge-p11-server's socket: one request and one response a connection, postcard inside. Written from the
protocol's description, not from our C; the agent must serve it."""

import base64
import socket
import struct

SCHEMES = {"ecdsa-p256": 0, "ecdsa-p384": 1, "ecdsa-p521": 2, "rsa-pss": 3, "rsa-pkcs1": 4}
TLS = {"rsa_pkcs1_sha256": 0x0401, "ecdsa_p256": 0x0403, "ecdsa_p384": 0x0503, "ecdsa_p521": 0x0603,
       "rsa_pss_rsae_sha256": 0x0804}

RESPONSES = {1: 3, 2: 4, 5: 4}  # all others: the next number


class ServerError(Exception):
    """An Error frame."""


# Writing

def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def blob(data):
    data = data.encode() if isinstance(data, str) else bytes(data)
    return varint(len(data)) + data


def option(data, write=blob):
    return b"\0" if data is None else b"\1" + write(data)


def frame(number, *fields):
    return b"\0" + varint(number) + b"".join(fields)


# Reading

class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise ValueError(f"the response ends early: {self.data.hex()}")
        self.at += count
        return self.data[self.at - count:self.at]

    def u8(self):
        return self.take(1)[0]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
            shift += 7

    def bytes(self):
        return self.take(self.varint())

    def string(self):
        return self.bytes().decode("utf-8")

    def bool(self):
        return {0: False, 1: True}[self.u8()]

    def option(self, read):
        return read() if self.bool() else None

    def list(self, read):
        return [read() for _ in range(self.varint())]


class Client:
    """One agent. since: the release whose frames are sent; before 1.7.0 there was no pin."""

    def __init__(self, path, since="main", timeout=20):
        self.path = str(path)
        self.with_pin = since != "1.5.0"
        self.timeout = timeout

    def connect(self):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(self.path)  # waits where the server is busy with others, which with a time-out it would not
        connection.settimeout(self.timeout)
        return connection

    def exchange(self, request):
        """Any bytes; the response's bytes."""
        with self.connect() as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            return read_all(connection)

    def call(self, number, *fields):
        return decode(self.exchange(frame(number, *fields)), RESPONSES.get(number, number + 1))

    def pin(self, pin):
        return option(pin) if self.with_pin else b""

    def ping(self):
        self.call(8)

    def choose_scheme(self, offered, uri=None, pin=None):
        """(scheme, algorithm)"""
        codes = [TLS.get(name, name) for name in offered]
        reader = self.call(1, varint(len(codes)), *map(varint, codes), option(uri), self.pin(pin))
        return reader.option(reader.varint), reader.u8()

    def sign(self, data, uri=None, pin=None):
        return self.call(2, blob(data), option(uri), self.pin(pin)).bytes()

    def sign_with(self, data, scheme, uri=None, pin=None):
        code = None if scheme is None else SCHEMES[scheme]
        return self.call(5, blob(data), option(uri), option(code, varint), self.pin(pin)).bytes()

    def public_key_pem(self, uri=None):
        return self.call(6, option(uri)).string()

    def create_key(self, uri, kind, size, label, id=None, pin=None):
        """(pem, uri)"""
        reader = self.call(10, blob(uri), varint({"rsa": 0, "ec": 1}[kind]), varint(size), blob(label), option(id), option(pin))
        return reader.string(), reader.string()

    def tokens_uris(self):
        reader = self.call(12)
        return reader.list(reader.string)

    def init_token(self, label, so_pin=None, pin=None, uri=None):
        return self.call(14, blob(label), option(so_pin), option(pin), option(uri)).string()

    def list_tokens(self):
        reader = self.call(16)
        return reader.list(lambda: {
            "slot": reader.varint(), "label": reader.string(), "model": reader.string(), "manufacturer": reader.string(),
            "serial": reader.string(), "initialized": reader.bool(), "uri": reader.string()})

    def change_pin(self, new_pin, uri=None, old_pin=None, so_pin=None, reset=False):
        return self.call(18, option(uri), blob(new_pin), option(old_pin), option(so_pin), bytes([reset])).string()

    def delete_key(self, uri, pin=None):
        reader = self.call(20, blob(uri), option(pin))
        return reader.list(reader.string)

    def list_keys(self, uri=None, pin=None):
        reader = self.call(22, option(uri), option(pin))
        return reader.list(lambda: {"class": reader.string(), "type": reader.string(), "label": reader.string(),
                                    "id": reader.string(), "uri": reader.string()})


def read_all(connection):
    parts = []
    while True:
        part = connection.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


def decode(response, number):
    """A Reader behind the frame's number, or ServerError."""
    reader = Reader(response)
    if reader.varint() != 0:
        raise ValueError(f"not a frame of version 1: {response.hex()}")
    got = reader.varint()
    if got == 0:
        raise ServerError(reader.string())
    if got != number:
        raise ValueError(f"frame {got} where {number} is due")
    return reader


def spki(pem, curve="P-256"):
    """The PEM of an SPKI, which openssl reads, out of the protocol's own."""
    lines = pem.strip().splitlines()
    assert lines[0] == "-----BEGIN PUBLIC KEY-----" and lines[-1] == "-----END PUBLIC KEY-----", pem
    raw = base64.b64decode("".join(lines[1:-1]), validate=True)
    if len(raw) == 32:
        algorithm = der(0x30, bytes.fromhex("06032b6570"))
    elif raw[0] == 0x04 and len(raw) in (65, 97, 133):
        oid = {65: "06082a8648ce3d030107", 97: "06052b81040022", 133: "06052b81040023"}[len(raw)]
        algorithm = der(0x30, bytes.fromhex("06072a8648ce3d0201" + oid))
    else:
        algorithm = der(0x30, bytes.fromhex("06092a864886f70d010101" + "0500"))
    body = base64.encodebytes(der(0x30, algorithm + der(0x03, b"\0" + raw))).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{body}-----END PUBLIC KEY-----\n"


def der(tag, content):
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = struct.pack(">I", length).lstrip(b"\0")
    return bytes([tag, 0x80 | len(size)]) + size + content
