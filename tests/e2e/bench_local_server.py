# SPDX-License-Identifier: Apache-2.0
"""./dev bench: how many clients a second connect to the local MQTT server, TLS and MQTT both, with its key in a file, in our token, behind the
key agent, and in a TPM (swtpm, an emulator). They take turns in one run; figures are medians."""

import json
import socket
import ssl
import statistics
import threading
import time

import pytest

import hsm_kit
import mqtt_kit
from agent_kit import Agent
from core_kit import Core, wait_until

ROUNDS, SLICE_S, THREADS = 5, 0.8, 4
KINDS = {"p256": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}


class Contender:
    """A gateway with the server's key in one place; its group's authority is in the same token."""

    def __init__(self, name, request, pki, hsm, kind, key=None, agent=None):
        server, run, holdfast, build, workdir, free_port = (request.getfixturevalue(fixture) for fixture in
                                                            ("server", "run", "holdfast", "build", "workdir", "free_port"))
        directory = workdir / f"{name}-{kind}"
        directory.mkdir()
        self.core, self.port = Core(server, run, holdfast, build, directory, free_port()), free_port()
        group = directory / "group.json"
        group.write_text(json.dumps({"things": [f"bench-{i}" for i in range(THREADS)]}))
        self.core.set(device__cryptoki__module_path=hsm.module, device__cryptoki__pin_source=hsm.pin_file)
        run([holdfast, "core", "create-group-ca", "--config", self.core.config, "--token", hsm.label], timeout=120)
        if agent:
            self.core.set(device__cryptoki__mode="socket", device__cryptoki__pkcs11_socket_path=agent.pkcs11)
        self.core.set(mqtt__server__enabled="true", mqtt__server__bind__address="127.0.0.1", mqtt__server__bind__port=self.port,
                      mqtt__server__names="localhost", mqtt__server__client_ca_path=pki.ca, mqtt__server__things_path=group,
                      mqtt__server__discovery__enabled="false", mqtt__server__key_uri=key or hsm.create_key(f"bench-{kind}", kind))
        self.core.run()
        wait_until(lambda: self.core.status()["server"]["state"] == "up", f"server with its key in {name}: {self.core.status()['server']}", 60)
        self.contexts = []
        for i in range(THREADS):
            context = ssl.create_default_context(cafile=str(self.core.data / "group-ca.pem"))
            context.load_cert_chain(pki.dir / f"bench-{i}.pem", pki.dir / f"bench-{i}.key")
            self.contexts.append(context)

    def connect(self, i):
        with socket.create_connection(("127.0.0.1", self.port), 30) as plain, \
                self.contexts[i].wrap_socket(plain, server_hostname="localhost") as tls:
            body = mqtt_kit.text("MQTT") + bytes([4, 2, 0, 0]) + mqtt_kit.text(f"bench-{i}")
            tls.sendall(mqtt_kit.packet(mqtt_kit.CONNECT, body))
            assert tls.recv(4) == b"\x20\x02\0\0"

    def rate(self):
        counts, end, begin = [0] * THREADS, time.monotonic() + SLICE_S, time.monotonic()

        def work(i):
            while time.monotonic() < end:
                self.connect(i)
                counts[i] += 1

        threads = [threading.Thread(target=work, args=(i,)) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / (time.monotonic() - begin)


def find_hsm(request, name):
    try:
        return hsm_kit.SETUPS[name](request, name)
    except pytest.skip.Exception as reason:
        print(f"\n{name}: not measured: {reason}")
        return None


def test_connects(request, pki, server, build, workdir):
    ours, tpm = find_hsm(request, "ours"), find_hsm(request, "tpm")
    for i in range(THREADS):
        pki.key_and_cert(f"bench-{i}")
    agent = Agent(server, build, workdir / "agent", ours.module, pin_source=ours.pin_file)
    print(f"\nClients that connect to the local MQTT server a second, {THREADS} at once; \"/file\" is over the key in a file.\n\n"
          "key            file       token    /file       agent    /file         TPM    /file")
    for kind, arguments in KINDS.items():
        key = workdir / f"{kind}.pem"
        pki.openssl("req", "-newkey", *arguments, "-nodes", "-keyout", key, "-out", workdir / "unused.csr", "-subj", "/CN=x")
        all_of = {"file": Contender("file", request, pki, ours, kind, key=key), "token": Contender("token", request, pki, ours, kind)}
        all_of["agent"] = Contender("agent", request, pki, ours, kind, key=ours.uri + f";object=bench-{kind};type=private", agent=agent)
        if tpm:
            all_of["tpm"] = Contender("tpm", request, pki, tpm, kind)
        rates = {name: [] for name in all_of}
        for round in range(-1, ROUNDS):  # the first warms up
            for name, contender in all_of.items():
                rate = contender.rate()
                if round >= 0:
                    rates[name].append(rate)
        line = f"{'P-256' if kind == 'p256' else 'RSA-2048':9} {statistics.median(rates['file']):9.0f}"
        for name in list(rates)[1:]:
            ratio = statistics.median(mine / theirs for mine, theirs in zip(rates[name], rates["file"]))
            line += f" {statistics.median(rates[name]):11.0f} {ratio:8.2f}"
        print(line)
        for contender in all_of.values():
            contender.core.process.stop()
