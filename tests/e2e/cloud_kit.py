# SPDX-License-Identifier: Apache-2.0
"""A cloud on 127.0.0.1: a stock mosquitto that demands client certificates, with somebody behind it who answers as Cumulocity, AWS or
Azure do; and the HTTP proxy in front of it."""

import base64
import socket
import struct
import threading


class Mqtt(threading.Thread):
    """An MQTT 3.1.1 client that hands what it gets to on_message(topic, payload). Plain TCP; QoS 1 both ways."""

    def __init__(self, port, client_id, filters, on_message, clean=True):
        super().__init__(daemon=True)
        self.on_message, self.lock, self.next_id, self.granted = on_message, threading.Lock(), 1, threading.Event()
        self.socket = socket.create_connection(("127.0.0.1", port))
        self._send(0x10, self._text("MQTT") + bytes([4, 2 if clean else 0, 0, 0]) + self._text(client_id))
        assert self._read()[0] == 0x20
        self.start()
        if not filters:
            return
        self._send(0x82, struct.pack(">H", self._new_id()) + b"".join(self._text(name) + b"\1" for name in filters))
        assert self.granted.wait(5), "no SUBACK"

    @staticmethod
    def _text(value):
        data = value.encode() if isinstance(value, str) else value
        return struct.pack(">H", len(data)) + data

    def _new_id(self):
        self.next_id += 1
        return self.next_id

    def _send(self, head, body):
        length, left = b"", len(body)
        while True:
            left, digit = left // 128, left % 128
            length += bytes([digit | (0x80 if left else 0)])
            if not left:
                break
        with self.lock:
            self.socket.sendall(bytes([head]) + length + body)

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise OSError("closed")
            data += part
        return data

    def _read(self):
        head, length, shift = self._exactly(1)[0], 0, 0
        while True:
            digit = self._exactly(1)[0]
            length |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                return head, self._exactly(length)

    def publish(self, topic, payload):
        data = payload.encode() if isinstance(payload, str) else payload
        self._send(0x32, self._text(topic) + struct.pack(">H", self._new_id()) + data)

    def run(self):
        try:
            while True:
                head, body = self._read()
                if head & 0xF0 == 0x90:
                    self.granted.set()
                if head & 0xF0 != 0x30:
                    continue
                size = struct.unpack(">H", body[:2])[0]
                topic, rest = body[2:2 + size].decode(), body[2 + size:]
                if head & 0x06:
                    self._send(0x40, rest[:2])
                    rest = rest[2:]
                self.on_message(topic, rest)
        except OSError:
            pass

    def close(self):
        self.socket.close()


class Cloud:
    """Somebody behind the broker's second, plain listener. seen: what has come, as (topic, payload)."""

    filters = ["#"]

    def __init__(self, port, silent=False):
        self.seen, self.silent = [], silent
        self.mqtt = Mqtt(port, "other-cloud", self.filters, self.receive)

    def receive(self, topic, payload):
        self.seen.append((topic, payload.decode(errors="replace")))
        if not self.silent:
            self.answer(topic, payload)

    def answer(self, topic, payload):
        pass

    def close(self):
        self.mqtt.close()


class Cumulocity(Cloud):
    """Knows 100 on s/us, and gives a token to whoever asks on s/uat."""

    filters = ["s/us", "s/uat", "s/us/#", "measurement/#", "event/#"]
    token = "71,eyJhbGciOiJ0ZXN0In0"

    def answer(self, topic, payload):
        if topic == "s/uat":
            self.mqtt.publish("s/dat", self.token)


class Azure(Cloud):
    """Answers a twin request by its $rid, with this status."""

    filters = ["$iothub/twin/GET/#", "devices/#"]
    status = 200

    def answer(self, topic, payload):
        if topic.startswith("$iothub/twin/GET/?$rid="):
            self.mqtt.publish(f"$iothub/twin/res/{self.status}/?$rid={topic.rsplit('=', 1)[1]}", '{"desired":{}}')


class Aws(Cloud):
    """Nothing to do: the broker itself gives the device back what it published."""

    filters = ["thinedge/#"]


class Proxy(threading.Thread):
    """An HTTP proxy that knows CONNECT alone. login: "user:password", or None; answer: in place of a tunnel; on_ask: told how many
    have asked, before the answer. asked: the request lines."""

    def __init__(self, login=None, answer=None, on_ask=lambda count: None):
        super().__init__(daemon=True)
        self.login, self.answer, self.on_ask, self.asked = login, answer, on_ask, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = []
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, client):
        try:
            head = b""
            while b"\r\n\r\n" not in head:
                part = client.recv(4096)
                if not part:
                    return
                head += part
            lines = head.decode().split("\r\n")
            self.asked.append(lines[0])
            self.on_ask(len(self.asked))
            if self.answer:
                client.sendall(self.answer)
                client.close()
                return
            expected = "Basic " + base64.b64encode((self.login or "").encode()).decode()
            headers = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines[1:] if ":" in line}
            if self.login and headers.get("proxy-authorization") != expected:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"
                               b"Content-Length: 0\r\n\r\n")
                client.close()
                return
            host, port = lines[0].split()[1].rsplit(":", 1)
            server = socket.create_connection((host.strip("[]"), int(port)))
            self.open.append(server)
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            threading.Thread(target=self._pump, args=(server, client), daemon=True).start()
            self._pump(client, server)
        except OSError:
            pass

    @staticmethod
    def _pump(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
        for connection in self.open:
            connection.close()
