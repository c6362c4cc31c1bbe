#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A virtual YubiKey in a reader of its own: the PIV applet (NIST SP 800-73-4 and Yubico's additions) behind pcscd and vpcd.

"piv_card.py DIRECTORY" is a program, to be started by "unshare --mount --net" (and --map-root-user without root): pcscd knows
but one place for its socket, and vpcd listens on all addresses. Programs reach the reader by DIRECTORY/pcscd.comm
($PCSCLITE_CSOCK_NAME), a test pulls the card and looks at it by DIRECTORY/control.sock: a JSON line
[METHOD OF Control, ARGUMENT...] each way. It ends when its standard input does."""

import ctypes
import datetime
import fcntl
import hashlib
import json
import os
import pathlib
import secrets
import socket
import struct
import subprocess
import sys
import threading
import time
import warnings

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

warnings.simplefilter("ignore")  # of cryptography, that triple DES is old

ATR = bytes.fromhex("3BFD1300008131FE158073C021C057597562694B657940")  # a YubiKey 5's
READER, PORT = "Yubico YubiKey OTP+FIDO+CCID", 35963
SERIAL, VERSION = 7654321, bytes([5, 4, 3])
AID = bytes.fromhex("A000000308")
SLOTS = {"9a": "5FC105", "9c": "5FC10A", "9d": "5FC10B", "9e": "5FC101"}  # the data object with each one's certificate
CHUID = "5FC102"
MANAGEMENT_KEY = bytes.fromhex("0102030405060708" * 3)
PIN, PUK, TRIES = b"123456", b"12345678", 3
RSA_2048, P256, P384, TRIPLE_DES = 0x07, 0x11, 0x14, 0x03
CURVES = {P256: ec.SECP256R1, P384: ec.SECP384R1}
PIN_NEVER, PIN_ONCE, PIN_ALWAYS = 1, 2, 3
PIN_POLICY = {"9a": PIN_ONCE, "9c": PIN_ALWAYS, "9d": PIN_ONCE, "9e": PIN_NEVER}

OK, WRONG_LENGTH, NOT_VERIFIED, BLOCKED, BAD_DATA = 0x9000, 0x6700, 0x6982, 0x6983, 0x6A80
NOT_FOUND, WRONG_PARAMETERS, NO_REFERENCE, UNKNOWN_INSTRUCTION, TRIES_LEFT = 0x6A82, 0x6A86, 0x6A88, 0x6D00, 0x63C0


class Refused(Exception):
    """The status word that the card answers with."""


def tlv(tag, value):
    size = len(value)
    length = bytes([size]) if size < 0x80 else bytes([0x81, size]) if size < 0x100 else b"\x82" + size.to_bytes(2, "big")
    return bytes.fromhex(f"{tag:02x}" if tag < 0x100 else f"{tag:04x}") + length + value


def parse(data):
    """{tag: value} of one level of BER-TLV with one-byte tags."""
    found = {}
    while data:
        tag, size, data = data[0], data[1], data[2:]
        if size > 0x80:
            count = size & 0x7F
            size, data = int.from_bytes(data[:count], "big"), data[count:]
        found[tag], data = data[:size], data[size:]
    return found


class Reference:
    """A PIN or PUK."""

    def __init__(self, value):
        self.set(value)

    def set(self, value):
        self.value, self.left = value.ljust(8, b"\xff"), TRIES

    def check(self, given):
        if self.left == 0:
            raise Refused(BLOCKED)
        if given != self.value:
            self.left -= 1
            raise Refused(TRIES_LEFT | self.left if self.left else BLOCKED)
        self.left = TRIES


class Key:
    def __init__(self, algorithm, private, policy):
        self.algorithm, self.private, self.policy = algorithm, private, policy

    @classmethod
    def make(cls, algorithm, policy):
        if algorithm == RSA_2048:
            return cls(algorithm, rsa.generate_private_key(65537, 2048), policy)
        if algorithm not in CURVES:
            raise Refused(BAD_DATA)
        return cls(algorithm, ec.generate_private_key(CURVES[algorithm]()), policy)

    def public(self):
        key = self.private.public_key()
        if self.algorithm == RSA_2048:
            numbers = key.public_numbers()
            return tlv(0x81, numbers.n.to_bytes(256, "big")) + tlv(0x82, numbers.e.to_bytes(3, "big"))
        return tlv(0x86, key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint))

    def sign(self, data):
        if self.algorithm == RSA_2048:  # the padding came from outside
            numbers = self.private.private_numbers()
            return pow(int.from_bytes(data, "big"), numbers.d, numbers.public_numbers.n).to_bytes(256, "big")
        size = CURVES[self.algorithm].key_size // 8
        if len(data) > size:
            raise Refused(BAD_DATA)
        hash_of_size = {32: hashes.SHA256(), 48: hashes.SHA384()}[size]
        return self.private.sign(data.rjust(size, b"\0"), ec.ECDSA(utils.Prehashed(hash_of_size)))


class Applet:
    """What the card remembers, and its answer to each command."""

    def __init__(self, serial):
        self.serial = serial
        self.verified = 0  # how often a VERIFY succeeded since the applet was selected
        self.commands = 0
        self.factory()
        self.instructions = {0xA4: self.select, 0x20: self.verify, 0x24: self.change_reference, 0x2C: self.unblock,
                             0x47: self.generate, 0x87: self.authenticate, 0xCB: self.get_data, 0xDB: self.put_data,
                             0xF7: self.metadata, 0xF8: self.get_serial, 0xFB: self.reset, 0xFD: self.version,
                             0xFE: self.import_key, 0xFF: self.set_management_key}

    def factory(self):
        self.pin, self.puk, self.management_key = Reference(PIN), Reference(PUK), MANAGEMENT_KEY
        self.keys, self.objects = {}, {}
        self.power()

    def power(self):
        self.verified, self.fresh, self.managed, self.challenge = False, False, False, None
        self.chained, self.rest = b"", b""

    def handle(self, apdu):
        """A command APDU, short or extended, chained or not: the answer with its status word."""
        self.commands += 1
        data = apdu[7:7 + int.from_bytes(apdu[5:7], "big")] if len(apdu) > 7 and apdu[4] == 0 else apdu[5:5 + (apdu[4:5] or b"\0")[0]]
        cla, ins, p1, p2 = apdu[:4]
        if ins == 0xC0:  # GET RESPONSE
            return self.part()
        self.chained += data
        if cla & 0x10:
            return OK.to_bytes(2, "big")
        data, self.chained = self.chained, b""
        try:
            if ins not in self.instructions:
                raise Refused(UNKNOWN_INSTRUCTION)
            self.rest = self.instructions[ins](p1, p2, data) or b""
            return self.part()
        except Refused as refused:
            return refused.args[0].to_bytes(2, "big")

    def part(self):
        part, self.rest = self.rest[:256], self.rest[256:]
        return part + (bytes([0x61, min(len(self.rest), 256) & 0xFF]) if self.rest else OK.to_bytes(2, "big"))

    def select(self, p1, p2, data):
        if not data.startswith(AID):
            raise Refused(NOT_FOUND)
        self.power()
        return tlv(0x61, tlv(0x4F, bytes.fromhex("000010000100")) + tlv(0x79, tlv(0x4F, AID)))

    def verify(self, p1, p2, data):
        if p2 != 0x80:
            raise Refused(NO_REFERENCE)
        if p1 == 0xFF:
            self.verified = False
        elif data:
            self.verified = self.fresh = False
            self.pin.check(data)
            self.verified = self.fresh = True
        elif not self.verified:
            raise Refused(TRIES_LEFT | self.pin.left if self.pin.left else BLOCKED)

    def change_reference(self, p1, p2, data):
        reference = {0x80: self.pin, 0x81: self.puk}[p2]
        reference.check(data[:8])
        reference.set(data[8:])

    def unblock(self, p1, p2, data):
        self.puk.check(data[:8])
        self.pin.set(data[8:])

    def version(self, p1, p2, data):
        return VERSION

    def get_serial(self, p1, p2, data):
        return self.serial.to_bytes(4, "big")

    def reset(self, p1, p2, data):
        if self.pin.left or self.puk.left:
            raise Refused(0x6985)
        self.factory()

    def metadata(self, p1, p2, data):
        if p2 == 0x9B:
            default = self.management_key == MANAGEMENT_KEY
            return tlv(1, bytes([TRIPLE_DES])) + tlv(2, bytes([0, 1])) + tlv(5, bytes([default]))
        if p2 in (0x80, 0x81):
            reference = self.pin if p2 == 0x80 else self.puk
            return tlv(1, b"\xff") + tlv(5, b"\0") + tlv(6, bytes([TRIES, reference.left]))
        key = self.key(p2)
        return tlv(1, bytes([key.algorithm])) + tlv(2, bytes([key.policy, 1])) + tlv(3, b"\1") + tlv(4, key.public())

    def key(self, p2):
        if f"{p2:02x}" not in self.keys:
            raise Refused(NO_REFERENCE)
        return self.keys[f"{p2:02x}"]

    def need_management(self):
        if not self.managed:
            raise Refused(NOT_VERIFIED)

    def get_data(self, p1, p2, data):
        name = parse(data)[0x5C].hex().upper()
        if name == "7E":  # the discovery object: which PIN there is
            return tlv(0x7E, tlv(0x4F, AID + bytes.fromhex("000010000100")) + tlv(0x5F2F, b"\x40\x00"))
        if name not in self.objects:
            raise Refused(NOT_FOUND)
        return tlv(0x53, self.objects[name])

    def put_data(self, p1, p2, data):
        self.need_management()
        found = parse(data)
        name = found[0x5C].hex().upper()
        self.objects[name] = found[0x53]
        if not found[0x53]:
            del self.objects[name]

    def generate(self, p1, p2, data):
        self.need_management()
        template = parse(parse(data)[0xAC])
        key = self.make_key(f"{p2:02x}", template[0x80][0], template.get(0xAA, b"\0")[0])
        return tlv(0x7F49, key.public())

    def make_key(self, slot, algorithm, policy=0):
        if slot not in SLOTS:
            raise Refused(WRONG_PARAMETERS)
        self.keys[slot] = Key.make(algorithm, policy or PIN_POLICY[slot])
        return self.keys[slot]

    def import_key(self, p1, p2, data):
        self.need_management()
        numbers = {tag: int.from_bytes(value, "big") for tag, value in parse(data).items()}
        if p1 == RSA_2048:
            p, q, e = numbers[1], numbers[2], 65537
            d = pow(e, -1, (p - 1) * (q - 1))
            private = rsa.RSAPrivateNumbers(p, q, d, numbers[3], numbers[4], numbers[5], rsa.RSAPublicNumbers(e, p * q)).private_key()
        else:
            private = ec.derive_private_key(numbers[6], CURVES[p1]())
        slot = f"{p2:02x}"
        self.keys[slot] = Key(p1, private, numbers.get(0xAA) or PIN_POLICY[slot])

    def cipher(self, data, encrypt):
        cipher = Cipher(algorithms.TripleDES(self.management_key), modes.ECB())
        return (cipher.encryptor() if encrypt else cipher.decryptor()).update(data)

    def set_management_key(self, p1, p2, data):
        self.need_management()
        if data[:3] != bytes([TRIPLE_DES, 0x9B, 24]):
            raise Refused(BAD_DATA)
        self.management_key = data[3:]

    def authenticate(self, p1, p2, data):
        template = parse(parse(data)[0x7C])
        return self.authenticate_manager(template) if p2 == 0x9B else self.use_key(p1, p2, template)

    def authenticate_manager(self, template):
        """SP 800-73-4, part 2, appendix A.1: the card alone (81), or both sides (80)."""
        if template.get(0x80) == b"" or template.get(0x81) == b"":
            self.challenge = secrets.token_bytes(8)
            shown = self.cipher(self.challenge, True) if 0x80 in template else self.challenge
            return tlv(0x7C, tlv(0x80 if 0x80 in template else 0x81, shown))
        expected = self.challenge if 0x80 in template else self.cipher(self.challenge, True)
        self.challenge, self.managed = None, template.get(0x80, template.get(0x82)) == expected
        if not self.managed:
            raise Refused(NOT_VERIFIED)
        return tlv(0x7C, tlv(0x82, self.cipher(template[0x81], True))) if 0x81 in template else b""

    def use_key(self, p1, p2, template):
        key = self.key(p2)
        if p1 != key.algorithm:
            raise Refused(WRONG_PARAMETERS)
        if (key.policy == PIN_ONCE and not self.verified) or (key.policy == PIN_ALWAYS and not self.fresh):
            raise Refused(NOT_VERIFIED)
        self.fresh = False
        if 0x85 in template:
            peer = ec.EllipticCurvePublicKey.from_encoded_point(CURVES[key.algorithm](), template[0x85])
            return tlv(0x7C, tlv(0x82, key.private.exchange(ec.ECDH(), peer)))
        return tlv(0x7C, tlv(0x82, key.sign(template[0x81])))


class ReaderState(ctypes.Structure):
    """PC/SC's SCARD_READERSTATE, as pcsclite has it."""
    _fields_ = [("name", ctypes.c_char_p), ("user_data", ctypes.c_void_p), ("current", ctypes.c_ulong),
                ("event", ctypes.c_ulong), ("atr_len", ctypes.c_ulong), ("atr", ctypes.c_ubyte * 33)]


class Reader:
    """What pcscd says of the reader, as any of its clients gets to hear it."""

    def __init__(self):
        self.library, self.context = ctypes.CDLL("libpcsclite.so.1"), ctypes.c_long()
        wait_until(lambda: self.library.SCardEstablishContext(2, None, None, ctypes.byref(self.context)) == 0, "no pcscd")

    def has_card(self):
        state = ReaderState(f"{READER} 00 00".encode())
        self.library.SCardGetStatusChange(self.context, ctypes.c_ulong(0), ctypes.byref(state), ctypes.c_ulong(1))
        return bool(state.event & 0x20)  # SCARD_STATE_PRESENT


def wait_until(ready, what, timeout=10):
    end = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.01)


class Control:
    """What a test may do: see Card in hsm_kit.py. Also the card's side of vpcd's protocol."""

    def __init__(self, applet):
        self.applet, self.reader = applet, Reader()
        self.lock = threading.Lock()
        self.plugged = None

    def plug(self):
        if not self.plugged:
            self.plugged = socket.create_connection(("127.0.0.1", PORT))
            threading.Thread(target=self.serve, args=(self.plugged,), daemon=True).start()
            wait_until(self.reader.has_card, "pcscd does not see the card")

    def pull(self):
        """pcscd looks every 0.4 s: a card that is plugged in before would never have been away."""
        if self.plugged:
            self.plugged.shutdown(socket.SHUT_RDWR)
            self.plugged = None
            wait_until(lambda: not self.reader.has_card(), "pcscd still sees the card")

    def serve(self, connection):
        def receive(count):
            data = b""
            while len(data) < count:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # vpcd sends the length on its own
                more = connection.recv(count - len(data))
                if not more:
                    raise EOFError
                data += more
            return data

        try:
            while True:
                message = receive(int.from_bytes(receive(2), "big"))
                answer = self.message(message)
                if answer is not None:
                    connection.sendall(len(answer).to_bytes(2, "big") + answer)
        except (EOFError, OSError):
            self.applet.power()
        connection.close()

    def message(self, message):
        if len(message) > 1:
            with self.lock:
                return self.applet.handle(message)
        if message[0] == 4:
            return ATR
        self.applet.power()
        return None

    def factory(self):
        self.applet.factory()

    def tries(self):
        return self.applet.pin.left

    def commands(self):
        return self.applet.commands

    def slots(self):
        return sorted(self.applet.keys)

    def generate_key(self, slot, algorithm):
        """As "ykman piv keys generate" does it: a key, and no certificate."""
        self.applet.make_key(slot, algorithm)

    def generate(self, slot, algorithm, subject):
        """The same and "ykman piv certificates generate": a key with a certificate by itself."""
        key = self.applet.make_key(slot, algorithm).private
        name, now = x509.Name.from_rfc4514_string(f"CN={subject}"), datetime.datetime.utcnow()
        cert = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now,
                                       now + datetime.timedelta(days=30)).sign(key, hashes.SHA256())
        self.put_certificate(slot, cert.public_bytes(serialization.Encoding.DER).hex())

    def put_certificate(self, slot, der):
        """As "ykman piv certificates import" does it: a hexadecimal certificate, and an id for the card."""
        self.applet.objects[SLOTS[slot]] = tlv(0x70, bytes.fromhex(der)) + tlv(0x71, b"\0") + tlv(0xFE, b"")
        guid = hashlib.sha256(self.applet.serial.to_bytes(4, "big")).digest()[:16]
        fascn = bytes.fromhex("D4E739DA739CED39CE739D836858210842108421C84210C3EB")
        self.applet.objects[CHUID] = tlv(0x30, fascn) + tlv(0x34, guid) + tlv(0x35, b"20300101") + tlv(0x3E, b"") + tlv(0xFE, b"")


def loopback_up():
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: IFF_UP, IFF_RUNNING


def start_pcscd(directory):
    """In namespaces of our own: its socket comes to lie in directory, and it gets to see no reader but this one."""
    run, conf, drivers = directory / "run", directory / "reader.conf.d", pathlib.Path("/usr/lib/pcsc/drivers")
    run.mkdir()
    conf.mkdir()
    (run / "pcscd").mkdir()
    for what, where in ((run, "/run"), (directory, "/run/pcscd"), (drivers / "serial", drivers)):
        subprocess.run(["mount", "--bind", what, where], check=True)
    (conf / "vpcd").write_text(f'FRIENDLYNAME "{READER}"\nDEVICENAME /dev/null:{PORT}\n'
                               f"LIBPATH {drivers}/libifdvpcd.so\nCHANNELID {PORT}\n")
    command = ["pcscd", "--foreground", "-c", str(conf)]
    if "--disable-polkit" in subprocess.run(["pcscd", "--help"], capture_output=True, text=True).stdout:
        command.append("--disable-polkit")
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)


def answer(control, line):
    method, *arguments = json.loads(line)
    try:
        return {"result": getattr(control, method)(*arguments)}
    except Exception as e:
        return {"error": repr(e)}


def serve_control(control, listener):
    while True:
        connection, _ = listener.accept()
        with connection, connection.makefile("rw") as stream:
            for line in stream:
                stream.write(json.dumps(answer(control, line)) + "\n")
                stream.flush()


def main():
    directory = pathlib.Path(sys.argv[1])
    loopback_up()
    pcscd = start_pcscd(directory)
    control = Control(Applet(SERIAL))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "control.sock"))
    listener.listen()
    threading.Thread(target=serve_control, args=(control, listener), daemon=True).start()
    sys.stdin.read()
    pcscd.terminate()
    pcscd.wait()


if __name__ == "__main__":
    main()
