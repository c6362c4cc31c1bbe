# SPDX-License-Identifier: Apache-2.0
"""The bridge between two stock brokers, and what happens to its messages when something dies, hangs or refuses."""

import os
import socket
import struct
import subprocess
import threading
import time

import pytest

import bridge_kit
import mqtt_kit
from bridge_kit import Bridge, Mosquitto, Traffic, wait_until
from cloud_kit import Line

HEALTH = "te/device/main/service/holdfast-bridge-test/status/health"


class Rig:
    """Two brokers without TLS, and a bridge between them."""

    def __init__(self, build, env, workdir, server, free_port):
        self.local = Mosquitto(server, free_port(), workdir)
        self.cloud = Mosquitto(server, free_port(), workdir)
        self.bridge = Bridge(build, env, workdir, local_port=self.local.port, cloud_port=self.cloud.port, cloud_host="127.0.0.1")
        self.clients = []

    def start_brokers(self):
        self.local.start()
        self.cloud.start()

    def start(self, **options):
        self.start_brokers()
        self.bridge.start(**options)
        self.bridge.wait_up()
        return self

    def traffic(self, **options):
        self.clients.append(Traffic(self.local.port, self.cloud.port, **options))
        return self.clients[-1]

    def traffic_down(self, **options):
        self.clients.append(Traffic(self.cloud.port, self.local.port, sender="cloud/down", receiver="local/down", **options))
        return self.clients[-1]

    def client(self, *args, **options):
        self.clients.append(mqtt_kit.Client(*args, **options))
        assert self.clients[-1].ready.wait(10)
        return self.clients[-1]

    def close(self):
        for client in self.clients:
            client.close()
        self.bridge.stop()


@pytest.fixture
def rig(build, env, workdir, server, free_port):
    rig = Rig(build, env, workdir, server, free_port)
    yield rig
    rig.close()


@pytest.fixture
def fake():
    started = []

    def make(*args, **options):
        started.append(mqtt_kit.FakeBroker(*args, **options))
        return started[-1]

    yield make
    for broker in started:
        broker.close()


@pytest.fixture
def line():
    made = []

    def make(*args, **options):
        made.append(Line(*args, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def settle(rig, traffics, timeout=30):
    for traffic in traffics:
        traffic.wait_acknowledged()
    rig.bridge.wait_up()
    rig.bridge.wait_drained(timeout)
    for traffic in traffics:
        traffic.wait_received(timeout)


# Passing on

def test_messages_pass_in_both_directions(rig):
    rig.start()
    flows = [rig.traffic(qos=qos) for qos in (0, 1, 2)]
    down = rig.traffic_down(qos=1)
    for flow in [*flows, down]:
        flow.send(500)
    for flow in [*flows, down]:
        wait_until(lambda flow=flow: len(flow.numbers()) >= 500, "all messages")
        assert flow.count()[:3] == (0, 0, 0)
    status = rig.bridge.wait_drained()
    assert status["out.received"] == 1500 and status["in.received"] == 500 and status["out.rejected"] == 0


def test_what_a_message_bears_passes_with_it(rig):
    rig.start()
    heard = rig.client(rig.cloud.port, "hears", subscriptions=["cloud/#"])
    sends = rig.client(rig.local.port, "sends")
    big = os.urandom(3 << 20)
    props = (b"\x01\x01" + struct.pack(">BI", 2, 3600) + b"\x03" + mqtt_kit.text("text/plain") + b"\x08" + mqtt_kit.text("re/ply") +
             b"\x09" + mqtt_kit.text(b"\x00\xff") + b"\x26" + mqtt_kit.text("k") + mqtt_kit.text("v") + b"\x26" + mqtt_kit.text("k") +
             mqtt_kit.text("w"))
    sends.publish("local/up/grün/🔑", b"\x00\x01binary\xff", retain=True, props=props)
    sends.publish("local/up/big", big, qos=2)
    sends.publish("local/up/", b"")
    wait_until(lambda: len(heard.messages) == 3, "three messages")
    first = next(message for message in heard.messages if message.topic == "cloud/up/grün/🔑")
    assert first.payload == b"\x00\x01binary\xff" and first.retain
    got, wanted = mqtt_kit.parse_properties(first.properties), mqtt_kit.parse_properties(props)
    expiry = struct.unpack(">I", next(value for kind, value in got if kind == 2))[0]
    assert 3590 <= expiry <= 3600
    assert sorted(one for one in got if one[0] != 2) == sorted(one for one in wanted if one[0] != 2)
    assert {message.topic: message.payload for message in heard.messages}["cloud/up/big"] == big
    # Retained there, too.
    late = rig.client(rig.cloud.port, "late", subscriptions=["cloud/#"])
    wait_until(lambda: len(late.messages) == 1, "the retained message")


def test_a_message_that_has_expired_is_not_sent(rig):
    rig.start()
    heard = rig.client(rig.cloud.port, "hears", clean=False, subscriptions=["cloud/#"])
    sends = rig.client(rig.local.port, "sends")
    rig.cloud.stop()
    rig.bridge.wait("loss", cloud__connected=0)
    sends.publish("local/up/stale", b"", props=struct.pack(">BI", 2, 1))
    sends.publish("local/up/fresh", b"", props=struct.pack(">BI", 2, 1000))
    rig.bridge.wait("both in the spool", out__queued=2)
    time.sleep(1.5)
    rig.cloud.start()
    status = rig.bridge.wait_drained()
    wait_until(lambda: heard.messages, "the fresh message")
    assert [message.topic for message in heard.messages] == ["cloud/up/fresh"] and status["out.expired"] == 1


@pytest.mark.parametrize("version", [5, 4])
def test_rules_for_both_directions_do_not_loop(rig, version):
    rig.start(topics="b/# both 1 local/ cloud/", version=version)
    at_cloud = rig.client(rig.cloud.port, "c", subscriptions=["cloud/#"])
    at_local = rig.client(rig.local.port, "l", subscriptions=["local/#"])
    for i in range(20):
        at_local.publish("local/b/x", f"up {i}")
        at_cloud.publish("cloud/b/x", f"down {i}")
    wait_until(lambda: len(at_cloud.messages) >= 40 and len(at_local.messages) >= 40, "all messages")
    time.sleep(0.5)
    for client in (at_cloud, at_local):
        assert len(client.messages) == 40 and len({message.payload for message in client.messages}) == 40
    status = rig.bridge.wait_drained()
    assert status["out.received"] == 20 and status["in.received"] == 20


def test_the_health_topic_tells_how_it_is(rig):
    rig.start()
    watch = rig.client(rig.local.port, "watch", subscriptions=[HEALTH])

    def last():
        return watch.messages[-1].payload if watch.messages else None

    wait_until(lambda: last() == b'{"status":"up"}', "health up")
    rig.cloud.kill()
    wait_until(lambda: last() == b'{"status":"down"}', "health down")
    rig.cloud.start()
    wait_until(lambda: last() == b'{"status":"up"}', "health up again")
    rig.bridge.kill()
    wait_until(lambda: last() == b'{"status":"down"}', "the will")
    rig.bridge.start()
    wait_until(lambda: last() == b'{"status":"up"}', "health up again")
    assert rig.bridge.stop() < 2
    wait_until(lambda: last() == b'{"status":"down"}', "health down at the end")
    late = rig.client(rig.local.port, "late", subscriptions=[HEALTH])
    wait_until(lambda: late.messages, "the retained message")


# Dying and hanging

@pytest.mark.parametrize("qos", [1, 2])
def test_the_cloud_is_killed_and_comes_back(rig, qos):
    rig.start_brokers()
    up, down = rig.traffic(qos=qos, receiver_qos=0), rig.traffic_down(qos=1)
    # Before the bridge is there: a cloud that took its session up without what it had answered by PUBREC would lose that.
    rig.cloud.save()
    rig.bridge.start()
    rig.bridge.wait_up()
    sending = threading.Thread(target=up.run, args=(4,))
    sending.start()
    time.sleep(1)
    rig.cloud.kill()
    time.sleep(1)
    rig.cloud.start()
    sending.join()
    down.send(100)
    settle(rig, [up, down])
    count = up.count()
    # A broker that was killed knows nothing of a message on its way: it gets those again.
    assert count.lost == 0 and count.disordered == 0 and count.twice <= 20, count
    assert down.count().lost == 0


def test_the_cloud_hangs(rig):
    rig.start(keepalive=1)
    up = rig.traffic(qos=1)
    up.send(100)
    rig.cloud.hang()
    up.send(2000, rate=1000)
    rig.bridge.wait("dead peer", cloud__connected=0, cloud__cause=lambda cause: "silent" in cause)
    rig.cloud.go_on()
    settle(rig, [up])
    count = up.count()
    assert count.lost == 0 and count.disordered == 0, count


@pytest.mark.parametrize("qos", [1, 2])
def test_both_lines_are_cut_again_and_again(rig, line, qos):
    to_local, to_cloud = line(rig.local.port), line(rig.cloud.port)
    rig.start(local_port=to_local.port, cloud_port=to_cloud.port, min_ms=10, max_ms=50)
    up, down = rig.traffic(qos=qos), rig.traffic_down(qos=qos)
    sending = [threading.Thread(target=flow.run, args=(3,)) for flow in (up, down)]
    for thread in sending:
        thread.start()
    cuts = 0
    while any(thread.is_alive() for thread in sending):
        time.sleep(0.07 + 0.03 * (cuts % 4))
        (to_local if cuts % 2 else to_cloud).cut()
        cuts += 1
    settle(rig, [up, down])
    for flow in (up, down):
        count = flow.count()
        assert count.lost == 0 and count.disordered == 0, (cuts, count)
        if qos == 2:
            assert count.twice == 0, (cuts, count)
    assert cuts >= 15


def test_a_slow_line_is_not_a_dead_one(rig, line):
    to_cloud = line(rig.cloud.port, rate=50000)
    rig.start(cloud_port=to_cloud.port, keepalive=1)
    sends = rig.client(rig.local.port, "sends")
    sends.publish("local/up/big", os.urandom(250000))
    rig.bridge.wait("message passed on", out__received=1, out__queued=0)
    assert rig.bridge.log.count("connected to the cloud") == 1 and "silent" not in rig.bridge.log


@pytest.mark.parametrize("qos", [1, 2])
def test_the_bridge_is_killed_again_and_again(rig, qos):
    rig.start()
    up, down = rig.traffic(qos=qos), rig.traffic_down(qos=qos)
    sending = [threading.Thread(target=flow.run, args=(5, 800)) for flow in (up, down)]
    for thread in sending:
        thread.start()
    kills = 0
    while any(thread.is_alive() for thread in sending):
        time.sleep(0.25 + 0.05 * (kills % 5))
        rig.bridge.kill()
        rig.bridge.start()
        kills += 1
    settle(rig, [up, down])
    for flow in (up, down):
        count = flow.count()
        assert count.lost == 0 and count.disordered == 0, (kills, count)
        if qos == 2:
            assert count.twice == 0, (kills, count)
    assert kills >= 8


def test_the_local_broker_is_killed_while_the_cloud_is_away(rig):
    rig.start()
    up = rig.traffic(qos=1)
    rig.cloud.save()
    rig.cloud.kill()
    up.send(3000)
    up.wait_acknowledged()
    rig.bridge.wait("all of it in the spool", out__queued=3000)
    rig.local.kill()
    time.sleep(0.5)
    rig.local.start()
    rig.cloud.start()
    settle(rig, [up])
    assert up.count() == (0, 0, 0, 3000)


def test_both_brokers_and_the_bridge_are_away_together(rig):
    rig.start()
    up, down = rig.traffic(qos=2), rig.traffic_down(qos=1)
    rig.cloud.hang()
    up.send(500)
    up.wait_acknowledged()
    rig.bridge.wait("all of it in the spool", out__queued=500)
    rig.local.kill()
    rig.bridge.kill()
    rig.cloud.go_on()
    rig.cloud.stop()
    rig.bridge.start()
    rig.local.start()
    rig.cloud.start()
    down.send(200)
    settle(rig, [up, down])
    assert up.count()[:3] == (0, 0, 0) and up.count().received == 500
    assert down.count().lost == 0


def test_order_is_kept_with_a_window_of_one(rig):
    rig.start(window=1)
    up = rig.traffic(qos=1)
    sending = threading.Thread(target=up.run, args=(3, 400))
    sending.start()
    for _ in range(4):
        time.sleep(0.6)
        rig.bridge.kill()
        rig.bridge.start()
    sending.join()
    settle(rig, [up])
    numbers = up.numbers()
    # Not only the first of each: whatever arrives is never behind what came before it.
    assert up.count().lost == 0 and numbers == sorted(numbers)


# Limits

def test_a_full_spool_refuses_the_newest_and_loses_nothing(rig):
    rig.start(size=1 << 20)
    up = rig.traffic(qos=1, size=1000)
    rig.cloud.stop()
    up.send(3000)
    up.wait_acknowledged()
    status = rig.bridge.wait("full spool", out__refusing=1)
    assert status["out.queued"] < 3000
    rig.cloud.start()
    rig.bridge.wait("all of it passed on", out__received=3000, timeout=30)
    settle(rig, [up])
    assert up.count()[0] == 0 and up.count()[2] == 0


def test_a_full_spool_drops_the_oldest(rig):
    rig.start(size=1 << 20, overflow="drop-oldest")
    up = rig.traffic(qos=1, size=1000)
    rig.cloud.stop()
    up.send(3000)
    status = rig.bridge.wait("all of it taken", out__received=3000, timeout=30)
    assert status["out.refusing"] == 0 and status["out.queue_dropped"] == 3000 - status["out.queued"] > 0
    rig.cloud.start()
    rig.bridge.wait_drained()
    wait_until(lambda: 2999 in up.numbers(), "the newest message")
    numbers = up.numbers()
    assert numbers == list(range(3000 - len(numbers), 3000)) and len(numbers) == status["out.queued"]


@pytest.fixture
def small_disk(workdir):
    """A file system of 8 MiB."""
    path = workdir / "small"
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", path], capture_output=True, check=False).returncode != 0:
        pytest.skip("file systems cannot be mounted here")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def test_a_full_disk_loses_nothing(rig, small_disk):
    rig.start(spool=small_disk / "spool")
    up = rig.traffic(qos=1, size=1000)
    rig.cloud.stop()
    up.send(2000)
    up.wait_acknowledged()
    ballast = small_disk / "ballast"
    with open(ballast, "wb") as file:
        try:
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        except OSError:
            pass
    up.send(3000)
    up.wait_acknowledged()
    status = rig.bridge.wait("a spool that takes nothing", out__refusing=1)
    assert status["out.queued"] < 5000
    ballast.unlink()
    rig.cloud.start()
    rig.bridge.wait("all of it passed on", out__received=5000, timeout=40)
    settle(rig, [up])
    assert up.count()[0] == 0 and up.count()[2] == 0


def test_a_message_larger_than_the_spool_takes_blocks_nothing(rig):
    rig.start(size=1 << 20)
    up = rig.traffic(qos=1)
    up.sender.publish("local/up/big", bytes(2 << 20), tag="big")
    up.send(10)
    up.wait_acknowledged()
    wait_until(lambda: len(up.numbers()) == 10, "the small ones")
    assert rig.bridge.status()["out.dropped"] == 1 and "larger than the spool takes" in rig.bridge.log


# What the cloud does not take

def start_at(rig, cloud, **options):
    rig.local.start()
    rig.bridge.start(cloud_port=cloud.port, **options)
    rig.bridge.wait_up()


def send_numbers(rig, count, qos=1, **options):
    client = rig.client(rig.local.port, f"numbers-{qos}")
    for i in range(count):
        client.publish("local/up/n", f"{i:010d}", qos, tag=i, **options)
    return client


def numbers(broker):
    return [int(message.payload) for message in broker.messages]


@pytest.mark.parametrize("qos", [1, 2])
def test_a_refused_message_is_put_aside(rig, fake, qos):
    cloud = fake(lambda broker, message: 0x87 if int(message.payload) % 10 == 3 else 0)
    start_at(rig, cloud)
    send_numbers(rig, 50, qos)
    status = rig.bridge.wait("the rest passed on", out__queued=0, rejected__messages=5)
    assert numbers(cloud) == [i for i in range(50) if i % 10 != 3]
    assert status["out.rejected"] == 5 and "not authorized" in rig.bridge.log


def test_a_message_that_costs_the_connection_is_put_aside(rig, fake):
    cloud = fake(lambda broker, message: "close" if int(message.payload) == 7 else 0)
    start_at(rig, cloud, min_ms=50, max_ms=50)
    send_numbers(rig, 20)
    status = rig.bridge.wait("the rest passed on", out__queued=0, rejected__messages=1)
    assert set(numbers(cloud)) == set(range(20)) - {7} and len(cloud.connects) <= 8
    assert status["out.rejected"] == 1


def test_a_cloud_that_closes_now_and_then_loses_nothing(rig, fake):
    seen = []

    def answer(_, message):
        seen.append(message)
        return "close" if len(seen) % 40 == 0 else 0

    cloud = fake(answer)
    start_at(rig, cloud, min_ms=10, max_ms=10)
    send_numbers(rig, 300)
    status = rig.bridge.wait("all passed on", out__queued=0, out__received=300)
    assert set(numbers(cloud)) == set(range(300)) and status["rejected.messages"] == 0


def test_a_quota_is_waited_for(rig, fake):
    times = []

    def answer(_, message):
        if int(message.payload) == 5 and len(times) < 2:
            times.append(time.monotonic())
            return 0x97
        return 0

    cloud = fake(answer)
    start_at(rig, cloud)
    send_numbers(rig, 10)
    status = rig.bridge.wait("all passed on", out__queued=0, out__received=10)
    assert set(numbers(cloud)) == set(range(10)) and status["rejected.messages"] == 0 and len(cloud.connects) == 3


def test_the_limits_that_the_cloud_announces(rig, fake):
    held, most = set(), []

    def answer(broker, message):
        most.append(message)
        return 0

    connack = struct.pack(">BH", 0x21, 3) + b"\x24\x01" + b"\x25\x00" + struct.pack(">BI", 0x27, 200) + struct.pack(">BH", 0x13, 2)
    cloud = fake(answer, connack=connack)
    start_at(rig, cloud)
    client = rig.client(rig.local.port, "limits")
    client.publish("local/up/a", b"x" * 50, qos=2, retain=True)
    client.publish("local/up/b", b"x" * 300, qos=1)
    client.publish("local/up/c", b"", qos=1)
    status = rig.bridge.wait("what fits passed on", out__queued=0, rejected__messages=1)
    assert sorted(message[:4:2] + (message.retain,) for message in cloud.messages) == [("cloud/up/a", 1, False), ("cloud/up/c", 1, False)]
    assert status["out.rejected"] == 1 and "packet too large" in rig.bridge.log and not held


def test_the_limits_that_a_cloud_of_3_1_1_has_without_saying_so(rig, fake):
    cloud = fake(versions=(4,))
    start_at(rig, cloud, qos_max=1, payload_max=100)
    client = rig.client(rig.local.port, "limits")
    client.publish("local/up/a", b"x" * 100, qos=2)
    client.publish("local/up/b", b"x" * 101, qos=1)
    status = rig.bridge.wait("what fits passed on", out__queued=0, rejected__messages=1)
    assert [(message.topic, message.qos) for message in cloud.messages] == [("cloud/up/a", 1)]
    assert cloud.subscribed == [("cloud/down/#", 1)] and status["out.rejected"] == 1


def test_the_receive_maximum_is_the_window(rig, fake):
    cloud = fake(lambda broker, message: "ignore", connack=struct.pack(">BH", 0x21, 3))
    seen = []
    cloud.answer = lambda broker, message: seen.append(message) or "ignore"
    start_at(rig, cloud)
    send_numbers(rig, 50)
    rig.bridge.wait("a full window", out__queued=50, out__in_flight=3)
    time.sleep(0.3)
    assert len(seen) == 3


def test_a_cloud_that_speaks_only_3_1_1(rig, fake):
    cloud = fake(versions=(4,))
    start_at(rig, cloud)
    assert rig.bridge.status()["cloud.version"] == 4
    send_numbers(rig, 30, 1, props=b"\x26" + mqtt_kit.text("k") + mqtt_kit.text("v"))
    rig.bridge.wait("all passed on", out__queued=0, out__received=30)
    assert numbers(cloud) == list(range(30)) and [version for version, _ in cloud.connects] == [5, 4]
    cloud.send("cloud/down/x", b"hello", qos=2, packet_id=9)
    wait_until(lambda: (mqtt_kit.PUBCOMP, 9) in cloud.answered, "PUBCOMP")
    assert rig.bridge.wait_drained()["in.received"] == 1


# Exactly once, seen from the cloud's side

def test_a_message_that_comes_twice_with_qos_2_is_stored_once(rig, fake):
    cloud = fake()
    start_at(rig, cloud)
    heard = rig.client(rig.local.port, "hears", subscriptions=["local/down/#"])
    received = []
    cloud.swallow = lambda kind, flags, body: kind == mqtt_kit.PUBREC and not received.append(struct.unpack_from(">H", body)[0])
    cloud.send("cloud/down/x", b"once", qos=2, packet_id=11)
    wait_until(lambda: received == [11], "PUBREC")
    rig.bridge.kill()
    rig.bridge.start()
    rig.bridge.wait_up()
    cloud.send("cloud/down/x", b"once", qos=2, packet_id=11, dup=True)
    wait_until(lambda: received == [11, 11], "PUBREC again")
    cloud.swallow = lambda kind, flags, body: False
    cloud.stream.send(mqtt_kit.packet(mqtt_kit.PUBREL, struct.pack(">H", 11), 2))
    wait_until(lambda: (mqtt_kit.PUBCOMP, 11) in cloud.answered, "PUBCOMP")
    cloud.send("cloud/down/x", b"another", qos=2, packet_id=11)
    rig.bridge.wait_drained()
    wait_until(lambda: len(heard.messages) >= 2, "both messages")
    assert [message.payload for message in heard.messages] == [b"once", b"another"]


def test_a_broker_that_forgot_an_id_may_use_it_again(rig, fake):
    """It was killed, and is back with a session from before: its next message with that id is another one."""
    cloud = fake()
    start_at(rig, cloud)
    heard = rig.client(rig.local.port, "hears", subscriptions=["local/down/#"])
    received = []
    cloud.swallow = lambda kind, flags, body: kind == mqtt_kit.PUBREC and not received.append(struct.unpack_from(">H", body)[0])
    cloud.send("cloud/down/x", b"before", qos=2, packet_id=11)
    wait_until(lambda: received == [11], "PUBREC")
    cloud.swallow = lambda kind, flags, body: False
    connects = len(cloud.connects)
    cloud.stream.sock.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: len(cloud.connects) > connects and cloud.stream, "connection")
    rig.bridge.wait_up()
    cloud.send("cloud/down/x", b"after", qos=2, packet_id=11)
    wait_until(lambda: len(heard.messages) == 2, "both messages")
    assert [message.payload for message in heard.messages] == [b"before", b"after"]


def test_after_pubrel_only_pubrel_is_sent_again(rig, fake):
    cloud = fake()
    seen = []
    cloud.swallow = lambda kind, flags, body: not seen.append((kind, flags)) and kind == mqtt_kit.PUBREL
    start_at(rig, cloud)
    rig.client(rig.local.port, "one").publish("local/up/n", b"0", qos=2)
    wait_until(lambda: (mqtt_kit.PUBREL, 2) in seen, "PUBREL")
    rig.bridge.kill()
    seen.clear()
    cloud.swallow = lambda kind, flags, body: bool(seen.append((kind, flags)))
    rig.bridge.start()
    rig.bridge.wait("completion", out__queued=0, cloud__connected=1)
    assert (mqtt_kit.PUBREL, 2) in seen and not [kind for kind, _ in seen if kind == mqtt_kit.PUBLISH]
    assert len(cloud.messages) == 1


def test_what_may_have_been_sent_is_marked(rig, fake):
    cloud = fake(lambda broker, message: "ignore")
    seen = []
    cloud.answer = lambda broker, message: seen.append(message) or "ignore"
    start_at(rig, cloud)
    send_numbers(rig, 5)
    wait_until(lambda: len(seen) == 5, "five messages")
    assert not any(message.dup for message in seen)
    ids = [message.packet_id for message in seen]
    cloud.drop()
    wait_until(lambda: len(seen) >= 6, "the messages again")
    rig.bridge.kill()
    seen.clear()
    cloud.answer = lambda broker, message: seen.append(message) or 0
    rig.bridge.start()
    rig.bridge.wait("all passed on", out__queued=0, cloud__connected=1)
    assert all(message.dup for message in seen) and [message.packet_id for message in seen] == ids


# Changed options

def test_a_reload_changes_rules_without_a_new_connection(rig):
    rig.start(topics="a/# out 1 local/ cloud/")
    heard = rig.client(rig.cloud.port, "hears", subscriptions=["cloud/#"])
    sends = rig.client(rig.local.port, "sends")
    sends.publish("local/a/1", b"")
    wait_until(lambda: len(heard.messages) == 1, "the first message")
    rig.bridge.reload(topics="b/# out 1 local/ cloud/")
    wait_until(lambda: "UNSUBSCRIBE" in rig.local.log, "UNSUBSCRIBE")
    sends.publish("local/a/2", b"")
    sends.publish("local/b/1", b"")
    wait_until(lambda: len(heard.messages) == 2, "the second message")
    assert [message.topic for message in heard.messages] == ["cloud/a/1", "cloud/b/1"]
    assert rig.local.log.count("New client connected") == rig.local.log.count("as sends") + 1 or "new session" in rig.bridge.log
    # What a rule of an earlier process asked for is unsubscribed, too.
    rig.bridge.stop()
    rig.bridge.start(topics="c/# out 1 local/ cloud/")
    wait_until(lambda: rig.local.log.count("Received UNSUBSCRIBE") == 2, "UNSUBSCRIBE after a restart")


def test_a_reload_goes_to_another_cloud_and_keeps_the_local_side(rig, fake):
    rig.start()
    other = fake()
    rig.cloud.stop()
    up = send_numbers(rig, 20)
    rig.bridge.wait("messages in the spool", out__queued=20)
    rig.bridge.reload(cloud_port=other.port)
    rig.bridge.wait("all passed on", out__queued=0, cloud__connected=1)
    assert numbers(other) == list(range(20)) and len(up.acknowledged) == 20
    assert rig.bridge.log.count("connected to the local broker") == 1


def test_it_ends_in_time_whatever_the_cloud_does(rig):
    silent = mqtt_kit.socket.create_server(("127.0.0.1", 0))
    rig.local.start()
    rig.bridge.start(cloud_port=silent.getsockname()[1])
    rig.bridge.wait("local connection", local__connected=1)
    send_numbers(rig, 10)
    rig.bridge.wait("messages in the spool", out__queued=10)
    assert rig.bridge.stop() < 2
    silent.close()


def test_back_off_grows_and_is_reset(rig):
    rig.local.start()
    rig.bridge.start(min_ms=100, max_ms=100000)
    status = rig.bridge.wait("failures", cloud__failures=lambda failures: failures >= 4)
    assert "Connection_refused" in status["cloud.cause"] and status["cloud.retry_ms"] > 200
    rig.cloud.start()
    rig.bridge.reload()
    rig.bridge.wait("a connection at once", timeout=1, cloud__connected=1, cloud__failures=0)


def test_two_bridges_do_not_share_a_spool(rig, build, env, workdir):
    rig.start()
    other = Bridge(build, env, workdir, **rig.bridge.options)
    with pytest.raises(AssertionError):
        other.start()
    assert "already in use" in other.log
