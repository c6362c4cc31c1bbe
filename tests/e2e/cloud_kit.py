# SPDX-License-Identifier: Apache-2.0
"""A cloud on 127.0.0.1: a stock mosquitto that demands client certificates, with somebody behind it who answers as Cumulocity, AWS or
Azure do; and the HTTP proxy in front of it."""

import base64
import socket
import threading
import time

import mqtt_kit


def only_3_1_1(plain_port):
    """For connect_kit.fake_broker: a stock broker behind one that refuses MQTT 5."""

    def serve(connection):
        packet = connection.recv(1000)
        if not packet:
            return  # a check of TLS alone
        if packet[packet.index(b"MQTT") + 4] != 4:
            connection.sendall(bytes([0x20, 2, 0, 1]))
            return
        server = socket.create_connection(("127.0.0.1", plain_port))
        server.sendall(packet)
        threading.Thread(target=pump, args=(server, connection), daemon=True).start()
        pump(connection, server)

    return serve


class Cloud:
    """Somebody behind the broker's second, plain listener. seen: what has come, as (topic, payload)."""

    filters = ["#"]

    def __init__(self, port, silent=False):
        self.seen, self.silent = [], silent
        self.mqtt = mqtt_kit.Client(port, "other-cloud", version=4, subscriptions=self.filters, on_message=self.receive, qos=1)
        assert self.mqtt.ready.wait(5), "no SUBACK"

    def receive(self, message):
        self.seen.append((message.topic, message.payload.decode(errors="replace")))
        if not self.silent:
            self.answer(message.topic)

    def answer(self, topic):
        pass

    def close(self):
        self.mqtt.close()


class Cumulocity(Cloud):
    """Knows 100 on s/us, and gives a token to whoever asks on s/uat."""

    filters = ["s/us", "s/uat", "s/us/#", "measurement/#", "event/#"]
    token = "71,eyJhbGciOiJ0ZXN0In0"

    def answer(self, topic):
        if topic == "s/uat":
            self.mqtt.publish("s/dat", self.token)


class Azure(Cloud):
    """Answers a twin request by its $rid, with this status."""

    filters = ["$iothub/twin/GET/#", "devices/#"]
    status = 200

    def answer(self, topic):
        if topic.startswith("$iothub/twin/GET/?$rid="):
            self.mqtt.publish(f"$iothub/twin/res/{self.status}/?$rid={topic.rsplit('=', 1)[1]}", '{"desired":{}}')


class Aws(Cloud):
    """Nothing to do: the broker itself gives the device back what it published."""

    filters = ["thinedge/#"]


def pump(source, target, rate=None):
    """Hands on all that comes, until either end closes. rate: bytes a second."""
    try:
        while data := source.recv(4096 if rate else 65536):
            target.sendall(data)
            if rate:
                time.sleep(len(data) / rate)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Acceptor(threading.Thread):
    """Listens, and hands each connection to handle(connection), in a thread of its own. A subclass starts it when it is complete."""

    def __init__(self, address="127.0.0.1", port=0):
        super().__init__(daemon=True)
        self.listener = socket.create_server((address, port))
        self.port = self.listener.getsockname()[1]

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.handle, args=(connection,), daemon=True).start()

    def stop(self):
        mqtt_kit.stop_listening(self.listener, self)


class Line(Acceptor):
    """A line to a server's port that can be cut, or be slow from the client on: rate, in bytes a second."""

    def __init__(self, server_port, rate=None):
        super().__init__()
        self.server_port, self.rate, self.open = server_port, rate, []
        if rate:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.start()

    def handle(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.server_port))
        except OSError:
            client.close()
            return
        self.open += [client, server]
        threading.Thread(target=pump, args=(server, client), daemon=True).start()
        pump(client, server, self.rate)
        client.close()
        server.close()

    def cut(self):
        ends, self.open = self.open, []
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.stop()
        self.cut()


class Proxy(Acceptor):
    """An HTTP proxy that knows CONNECT alone. login: "user:password", or None; answer: in place of a tunnel; on_ask: told how many
    have asked, before the answer. asked: the request lines; heads: each with its headers."""

    def __init__(self, login=None, answer=None, on_ask=lambda count: None):
        super().__init__()
        self.login, self.answer, self.on_ask, self.asked, self.heads, self.open = login, answer, on_ask, [], [], []
        self.start()

    def handle(self, client):
        self.open.append(client)
        try:
            head = b""
            while b"\r\n\r\n" not in head:
                part = client.recv(4096)
                if not part:
                    return
                head += part
            self.heads.append(head.decode())
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
            threading.Thread(target=pump, args=(server, client), daemon=True).start()
            pump(client, server)
        except OSError:
            pass

    def close(self):
        self.stop()
        for connection in self.open:
            connection.close()
