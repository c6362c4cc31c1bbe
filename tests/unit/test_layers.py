# SPDX-License-Identifier: Apache-2.0
"""Includes point down only: what a folder of src/ may include of the others, and of what is outside."""

import pathlib
import re
import sys

import tap

SOURCE = pathlib.Path(sys.argv[1])

# The layers, lowest first. What a folder may use, besides itself and base.
MAY_USE = {
    "base": set(),
    "uri": set(),
    "wire": set(),
    "store": set(),
    "mqtt": set(),
    "softhsm": set(),
    "httpd": set(),
    "token": {"store"},
    "p11": {"uri"},
    "config": {"mqtt", "uri"},
    "policy": {"uri"},
    "admission": {"config"},
    "agent": {"p11", "policy", "config", "wire", "uri"},
    "provider": {"p11", "uri", "config"},
    "identity": {"config", "p11", "provider", "uri"},
    "secrets": {"identity", "policy", "config", "p11", "store", "uri"},
    "gateway": {"httpd", "secrets", "policy", "identity", "config", "p11", "store", "mqtt", "uri"},
    "ca": {"httpd", "identity", "config", "p11", "store", "uri"},
    "doctor": {"gateway", "identity", "config", "p11", "policy", "mqtt", "uri"},
    "cli": {"doctor", "ca", "gateway", "secrets", "identity", "config", "provider", "p11", "policy", "softhsm", "wire", "uri"},
}

# Libraries that belong to a few folders: all others reach them through these.
OWNERS = {
    "lmdb.h": {"store"},
    "mosquitto_broker.h": {"admission"},
    "sqlite3.h": {"softhsm"},
    "argon2.h": {"token", "ca"},
    "jansson.h": {"config", "identity", "secrets", "gateway", "doctor", "cli"},
    "event2/event.h": {"httpd", "ca", "gateway"},
    "event2/http.h": {"httpd", "ca", "gateway"},
    "curl/curl.h": {"identity"},
    "openssl/ssl.h": {"httpd", "gateway", "identity", "ca"},
    "dlfcn.h": {"p11", "provider"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)


def sources():
    for path in sorted((SOURCE / "src").rglob("*.[ch]")):
        yield path, path.relative_to(SOURCE / "src").parts[0]


def includes(path):
    return INCLUDE.findall(path.read_text(encoding="utf-8"))


def includes_point_down():
    wrong = []
    for path, folder in sources():
        if folder not in MAY_USE:
            wrong.append(f"{path}: the folder {folder} has no layer")
            continue
        for quote, name in includes(path):
            other = name.split("/")[0]
            if quote == '"' and other != folder and other != "base" and other != "holdfast" and other not in MAY_USE[folder]:
                wrong.append(f"{path.relative_to(SOURCE)}: {folder} must not include {name}")
    return wrong


def includes_name_their_folder():
    wrong = []
    for path, _ in sources():
        for quote, name in includes(path):
            where = SOURCE / ("include" if name.startswith("holdfast/") else "src") / name
            if quote == '"' and not where.exists():
                wrong.append(f'{path.relative_to(SOURCE)}: "{name}" is not a path below src/ or include/')
    return wrong


def only_its_owners_include_a_library():
    return [f"{path.relative_to(SOURCE)}: <{name}> belongs to {', '.join(sorted(OWNERS[name]))}"
            for path, folder in sources() for _, name in includes(path) if folder not in OWNERS.get(name, {folder})]


def pkcs11_types_come_from_one_header():
    return [f"{path.relative_to(SOURCE)}: include holdfast/pkcs11.h in place of <{name}>"
            for path, _ in sources() for _, name in includes(path) if name.startswith("p11-kit/pkcs11")]


def the_layers_have_no_cycle():
    order = list(MAY_USE)
    return [f"{folder} may use {other}, which stands above it"
            for folder in order for other in MAY_USE[folder] if order.index(other) >= order.index(folder)]


tap.run(includes_point_down, includes_name_their_folder, only_its_owners_include_a_library, pkcs11_types_come_from_one_header,
        the_layers_have_no_cycle)
