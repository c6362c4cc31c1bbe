# SPDX-License-Identifier: Apache-2.0
"""Tokens of SoftHSM2's: what is in them, told through PKCS #11, and their directories. Also a program: dump or fill MODULE LABEL PIN."""

import ctypes
import hashlib
import json
import os
import sqlite3
import struct
import sys

from pkcs11_client import Attribute, Client, Mechanism, Refused, Ulong, encoded

CKA_CLASS, CKA_EC_POINT, CKA_WRAP_TEMPLATE, CKA_UNWRAP_TEMPLATE, CKA_ALLOWED_MECHANISMS = 0, 0x181, 0x40000211, 0x40000212, 0x40000600
CKO_SECRET_KEY, CKK_AES, CKM_AES_KEY_GEN, CKM_AES_CBC, CKM_AES_ECB = 4, 0x1f, 0x1080, 0x1082, 0x1081
# All that SoftHSM2 knows of.
ATTRIBUTES = [0, 1, 2, 3, 0x10, 0x11, 0x12, 0x80, 0x81, 0x82, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x90, *range(0x100, 0x10d),
              0x110, 0x111, *range(0x120, 0x134), 0x160, 0x161, 0x162, 0x163, 0x164, 0x165, 0x166, 0x170, 0x171, 0x172, 0x180,
              0x181, 0x202, 0x210, CKA_WRAP_TEMPLATE, CKA_UNWRAP_TEMPLATE, CKA_ALLOWED_MECHANISMS]


class Direct(Client):
    """A module loaded by itself; logged in."""

    def __init__(self, path, label, pin):
        self.load(path)
        self.call("Initialize", None)
        self.session = self.open(label)
        self.call("Login", self.session, 1, pin.encode(), len(pin))

    def value(self, handle, type):
        """Hex, "sensitive", or None where there is no such attribute; of a template, how long it is."""
        query = Attribute(type, None, 0)
        try:
            self.call("GetAttributeValue", self.session, handle, ctypes.byref(query), 1)
            if type in (CKA_WRAP_TEMPLATE, CKA_UNWRAP_TEMPLATE):
                return f"{query.len} bytes"
            room = ctypes.create_string_buffer(max(1, query.len))
            query.value = ctypes.cast(room, ctypes.c_void_p)
            self.call("GetAttributeValue", self.session, handle, ctypes.byref(query), 1)
        except Refused as refused:
            return "sensitive" if refused.name == "0x11" else None
        return room.raw[:query.len].hex()

    def dump(self):
        return [{f"{type:x}": value for type in ATTRIBUTES if (value := self.value(handle, type)) is not None}
                for handle in self.find(self.session)]

    def fill(self):
        """A key with rules: allowed mechanisms, templates, dates, and no right to encrypt."""
        kind, yes = encoded(CKK_AES), b"\1"
        rules = self.array([(0x100, kind), (0x162, yes)])
        attributes = [(CKA_CLASS, encoded(CKO_SECRET_KEY)), (0x100, kind), (1, yes), (2, yes), (0x103, yes), (0x104, b"\0"),
                      (0x161, encoded(16)), (3, b"rules"), (0x102, b"\x30"), (0x110, b"20260101"), (0x111, b"20361231"),
                      (CKA_ALLOWED_MECHANISMS, encoded(CKM_AES_CBC) + encoded(CKM_AES_ECB)), (CKA_WRAP_TEMPLATE, bytes(rules)),
                      (CKA_UNWRAP_TEMPLATE, bytes(rules))]
        array = self.array(attributes)
        self.call("GenerateKey", self.session, ctypes.byref(Mechanism(CKM_AES_KEY_GEN, None, 0)), array, len(attributes),
                  ctypes.byref(Ulong()))

    kept = []

    def array(self, attributes):
        array = (Attribute * len(attributes))()
        for place, (type, value) in zip(array, attributes):
            room = ctypes.create_string_buffer(value, len(value))
            self.kept.append(room)
            place.type, place.value, place.len = type, ctypes.cast(room, ctypes.c_void_p), len(value)
        self.kept.append(array)
        return array


def tree_hash(directory):
    """Of every name, mode, time of change and byte below it."""
    digest = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        stat = path.stat()
        digest.update(f"{path.relative_to(directory)} {stat.st_mode} {stat.st_mtime_ns} {stat.st_size}\n".encode())
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def read_rows(data):
    """(type, kind, value) of an object's file, or of a map in one."""
    rows, at = [], 0
    while at < len(data):
        type, kind = struct.unpack_from(">QQ", data, at)
        at += 16
        if kind == 1:
            value, size = data[at], 1
        elif kind == 2:
            value, size = struct.unpack_from(">Q", data, at)[0], 8
        else:
            count = struct.unpack_from(">Q", data, at)[0]
            size = 8 + count * (8 if kind == 5 else 1)
            value = data[at + 8:at + size]
        at += size
        rows.append((type, kind, value))
    return rows


def native_mechanisms(value):
    return struct.pack(f"<{len(value) // 8}Q", *struct.unpack(f">{len(value) // 8}Q", value))


def native_map(value):
    """As the db backend keeps it: the machine's own numbers."""
    out = b""
    for type, kind, value in read_rows(value):
        value = struct.pack("<?", bool(value)) if kind == 1 else struct.pack("<Q", value) if kind == 2 else struct.pack("<Q", len(value)) + value
        out += struct.pack("<QI", type, kind) + value
    return out


def to_database(directory):
    """Makes of a token of the backend "file" one of the backend "db", by the schema of SoftHSM2's source: Debian builds it without."""
    db = sqlite3.connect(directory / "sqlite3.db")
    db.execute("create table object (id integer primary key autoincrement)")
    for table, type in {"text": "text", "integer": "integer", "binary": "blob", "array": "blob", "boolean": "boolean",
                        "datetime": "datetime", "real": "real"}.items():
        db.execute(f"create table attribute_{table} (value {type}, type integer, object_id integer references object(id) "
                   "on delete cascade, id integer primary key autoincrement)")
    files = [directory / "token.object", *sorted(path for path in directory.glob("*.object") if path.name != "token.object")]
    tables = {1: "boolean", 2: "integer", 3: "binary", 4: "array", 5: "binary"}
    for file in files:
        object = db.execute("insert into object default values").lastrowid
        for type, kind, value in read_rows(file.read_bytes()[8:]):
            if kind == 2 and value >= 1 << 63:
                value -= 1 << 64
            value = bool(value) if kind == 1 else native_map(value) if kind == 4 else native_mechanisms(value) if kind == 5 else value
            db.execute(f"insert into attribute_{tables[kind]} (value, type, object_id) values (?, ?, ?)", (value, type, object))
    db.commit()
    db.close()
    for path in [*files, *directory.glob("*.lock"), directory / "generation"]:
        os.remove(path)


def main(action, module, label, pin):
    token = Direct(module, label, pin)
    if action == "fill":
        token.fill()
    else:
        json.dump(token.dump(), sys.stdout)
    token.finalize()


if __name__ == "__main__":
    main(*sys.argv[1:])
