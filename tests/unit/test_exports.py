# SPDX-License-Identifier: Apache-2.0
"""A shared object exports its ABI and nothing else: its names land in other people's processes."""

import pathlib
import re
import subprocess
import sys

import tap

BUILD = pathlib.Path(sys.argv[1])


def exported(path):
    if not path.exists():
        raise tap.Skip(f"{path.name} is not built")
    lines = subprocess.run(["nm", "-D", "--defined-only", str(path)], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1].split("@")[0] for line in lines.splitlines()}


def the_token_exports_pkcs11_only():
    names = exported(BUILD / "src/token/libholdfast-token.so")
    wrong = [name for name in sorted(names) if not re.fullmatch(r"C_[A-Z][A-Za-z]+", name)]
    return wrong + [f"{name} is missing" for name in ("C_GetFunctionList", "C_GetInterface", "C_GetInterfaceList")
                    if name not in names]


def the_provider_exports_its_entry_only():
    return sorted(exported(BUILD / "src/provider/holdfast.so") ^ {"OSSL_provider_init"})


tap.run(the_token_exports_pkcs11_only, the_provider_exports_its_entry_only)
