# SPDX-License-Identifier: Apache-2.0
"""MQTT 3.1.1 and 5 in a page: a client, and a broker that misbehaves as it is told. Not for use outside the tests."""

import collections
import itertools
import socket
import struct
import threading
import time

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = range(1, 15)

Message = collections.namedtuple("Message", "topic payload qos retain dup properties packet_id")


# Bytes

def varint(value):
    out = b""
    while True:
        value, digit = divmod(value, 128)
        out += bytes([digit | (128 if value else 0)])
        if not value:
            return out


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(data)) + data


def packet(kind, body=b"", flags=0):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def properties(data=b""):
    return varint(len(data)) + data


def publish(topic, payload, qos=0, packet_id=None, retain=False, dup=False, version=5, props=b""):
    body = text(topic) + (struct.pack(">H", packet_id) if qos else b"") + (properties(props) if version == 5 else b"")
    return packet(PUBLISH, body + (payload.encode() if isinstance(payload, str) else payload), dup << 3 | qos << 1 | retain)


def take_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def parse_publish(flags, body, version):
    qos = flags >> 1 & 3
    length = struct.unpack_from(">H", body)[0]
    topic, at = body[2:2 + length].decode(), 2 + length
    packet_id, props = None, b""
    if qos:
        packet_id, at = struct.unpack_from(">H", body, at)[0], at + 2
    if version == 5:
        size, at = take_varint(body, at)
        props, at = body[at:at + size], at + size
    return Message(topic, body[at:], qos, bool(flags & 1), bool(flags & 8), props, packet_id)


def parse_properties(data):
    """[(identifier, bytes of its value)], in order."""
    sizes = {1: 1, 2: 4, 0x23: 2}
    found, at = [], 0
    while at < len(data):
        kind, at, start = data[at], at + 1, at + 1
        if kind in sizes:
            at += sizes[kind]
        elif kind == 0x0b:
            at = take_varint(data, at)[1]
        else:
            for _ in range(2 if kind == 0x26 else 1):
                at += 2 + struct.unpack_from(">H", data, at)[0]
        found.append((kind, data[start:at]))
    return found


class Stream:
    """Packets from and to a socket."""

    def __init__(self, sock):
        self.sock, self.data = sock, bytearray()

    def next(self):
        """(type, flags, body) of the next packet; EOFError at the end."""
        while True:
            if len(self.data) >= 2:
                size, shift, at = 0, 0, 1
                while at < len(self.data):
                    byte = self.data[at]
                    at += 1
                    size |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        if len(self.data) < at + size:
                            break
                        first, body = self.data[0], bytes(self.data[at:at + size])
                        del self.data[:at + size]
                        return first >> 4, first & 15, body
            more = self.sock.recv(1 << 18)
            if not more:
                raise EOFError
            self.data += more

    def send(self, data):
        self.sock.sendall(data)


def stop_listening(listener, thread):
    """Ends the thread that waits in accept(), before its descriptor's number is another's: woken up, it would take connections there."""
    listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    listener.close()


# A client

class Client:
    """Publishes and receives in a thread of its own. It connects again, and takes its session up, until close(). What it sent
    and nobody acknowledged it does not send again: that is what the tests count."""

    def __init__(self, port, client_id, version=5, clean=True, subscriptions=(), context=None, on_message=None, qos=2):
        self.port, self.client_id, self.version, self.clean, self.context = port, client_id, version, clean, context
        self.subscriptions, self.qos, self.on_message = subscriptions, qos, on_message
        self.messages, self.acknowledged, self.reasons = [], set(), {}
        self.ready, self.lock, self.ids = threading.Event(), threading.Lock(), itertools.cycle(range(1, 65000))
        self.stream, self.closed, self.waiting, self.released = None, False, {}, set()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def connect_packet(self):
        props = struct.pack(">BI", 0x11, 0xffffffff) + struct.pack(">BH", 0x21, 65535)
        body = text("MQTT") + bytes([self.version, 2 if self.clean else 0]) + struct.pack(">H", 0)
        return packet(CONNECT, body + (properties(b"" if self.clean else props) if self.version == 5 else b"") + text(self.client_id))

    def open(self):
        sock = socket.create_connection(("127.0.0.1", self.port), 5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context:
            sock = self.context.wrap_socket(sock, server_hostname="localhost")
        sock.settimeout(None)
        stream = Stream(sock)
        stream.send(self.connect_packet())
        kind, _, body = stream.next()
        assert kind == CONNACK and body[1] == 0, (kind, body)
        if not body[0]:
            self.released.clear()
        if self.subscriptions:
            filters = b"".join(text(one) + bytes([self.qos | (8 if self.version == 5 else 0)]) for one in self.subscriptions)
            stream.send(packet(SUBSCRIBE, struct.pack(">H", 65001) + (b"\0" if self.version == 5 else b"") + filters, 2))
        else:
            self.ready.set()
        with self.lock:
            self.stream = stream
        return stream

    def run(self):
        while not self.closed:
            try:
                stream = self.open()
                while True:
                    self.take(stream, *stream.next())
            except (OSError, EOFError, AssertionError, IndexError):
                self.stream = None
                time.sleep(0.05)

    def take(self, stream, kind, flags, body):
        if kind == PUBLISH:
            message = parse_publish(flags, body, self.version)
            if message.qos:
                stream.send(packet(PUBACK if message.qos == 1 else PUBREC, struct.pack(">H", message.packet_id)))
            if message.qos == 2:
                if message.packet_id in self.released:
                    return
                self.released.add(message.packet_id)
            self.messages.append(message)
            if self.on_message:
                self.on_message(message)
        elif kind == PUBREL:
            self.released.discard(struct.unpack_from(">H", body)[0])
            stream.send(packet(PUBCOMP, body[:2]))
        elif kind in (PUBACK, PUBREC, PUBCOMP):
            packet_id, reason = struct.unpack_from(">H", body)[0], body[2] if len(body) > 2 else 0
            if kind == PUBREC and reason < 0x80:
                stream.send(packet(PUBREL, body[:2], 2))
            if kind == PUBREC or kind == PUBACK:
                tag = self.waiting.pop(packet_id, None)
                self.acknowledged.add(tag)
                self.reasons[tag] = reason
        elif kind == SUBACK:
            self.ready.set()

    def publish(self, topic, payload, qos=1, tag=None, retain=False, props=b""):
        """False where it could not be sent. tag: what acknowledged and reasons will have."""
        packet_id = next(self.ids) if qos else None
        if qos:
            self.waiting[packet_id] = tag
        try:
            with self.lock:
                stream = self.stream
                if not stream:
                    return False
                stream.send(publish(topic, payload, qos, packet_id, retain, version=self.version, props=props))
            return True
        except OSError:
            return False

    def close(self):
        self.closed = True
        stream = self.stream
        if stream:
            try:
                stream.send(packet(DISCONNECT))
                stream.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            if self.stream:
                try:
                    self.stream.send(packet(DISCONNECT))
                    self.stream.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.thread.join(5)


# A broker

class FakeBroker:
    """One client at a time, no TLS. answer(broker, message) tells what to do with each PUBLISH: a reason code, or "close", "ignore".
    It keeps what it took in messages; send() publishes to the client. Where swallow(type, flags, body) says so, a packet was never seen."""

    def __init__(self, answer=None, versions=(4, 5), connack=b"", port=0, session=True, on_subscribe=None):
        self.answer, self.versions, self.connack, self.session = answer or (lambda broker, message: 0), versions, connack, session
        self.messages, self.connects, self.subscribed, self.answered = [], [], [], []
        self.received, self.stream, self.version, self.known, self.closed = {}, None, 5, False, False
        self.swallow = lambda kind, flags, body: False
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.closed:
            try:
                sock, _ = self.listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:
                return
            try:
                self.serve(Stream(sock))
            except (OSError, EOFError):
                pass
            finally:
                self.stream = None
                sock.close()

    def serve(self, stream):
        kind, _, body = stream.next()
        version = body[6]
        self.connects.append((version, body))
        if version not in self.versions:
            stream.send(packet(CONNACK, b"\0\x01"))
            return
        self.version = version
        present = self.session and self.known
        self.known = True
        stream.send(packet(CONNACK, bytes([present, 0]) + (properties(self.connack) if version == 5 else b"")))
        self.stream = stream
        while True:
            got = stream.next()
            if not self.swallow(*got) and self.take(stream, *got) == "close":
                return

    def take(self, stream, kind, flags, body):
        if kind == PUBLISH:
            return self.take_publish(stream, parse_publish(flags, body, self.version))
        if kind == PUBREL:
            self.received.pop(struct.unpack_from(">H", body)[0], None)
            stream.send(packet(PUBCOMP, body[:2]))
        elif kind == SUBSCRIBE:
            at = 2
            if self.version == 5:
                size, at = take_varint(body, at)
                at += size
            reasons = b""
            while at < len(body):
                length = struct.unpack_from(">H", body, at)[0]
                self.subscribed.append((body[at + 2:at + 2 + length].decode(), body[at + 2 + length]))
                at += 3 + length
                reasons += b"\1"
            stream.send(packet(SUBACK, body[:2] + (b"\0" if self.version == 5 else b"") + reasons))
        elif kind == UNSUBSCRIBE:
            stream.send(packet(UNSUBACK, body[:2] + (b"\0\0" if self.version == 5 else b"")))
        elif kind == PINGREQ:
            stream.send(packet(PINGRESP))
        elif kind in (PUBACK, PUBREC, PUBCOMP):
            self.answered.append((kind, struct.unpack_from(">H", body)[0]))
            if kind == PUBREC:
                stream.send(packet(PUBREL, body[:2], 2))
        elif kind == DISCONNECT:
            return "close"
        return None

    def take_publish(self, stream, message):
        reason = self.answer(self, message)
        if reason in ("close", "ignore"):
            return reason
        if reason < 0x80 and not (message.qos == 2 and message.packet_id in self.received):
            self.messages.append(message)
            if message.qos == 2:
                self.received[message.packet_id] = True
        if message.qos:
            body = struct.pack(">H", message.packet_id) + (bytes([reason]) if self.version == 5 and reason else b"")
            stream.send(packet(PUBACK if message.qos == 1 else PUBREC, body))
        return None

    def send(self, topic, payload, qos=0, packet_id=None, dup=False, props=b""):
        self.stream.send(publish(topic, payload, qos, packet_id, dup=dup, version=self.version, props=props))

    def drop(self):
        stream = self.stream
        if stream:
            stream.sock.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.closed = True
        try:
            self.drop()
        except OSError:
            pass
        stop_listening(self.listener, self.thread)
