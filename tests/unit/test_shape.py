# SPDX-License-Identifier: Apache-2.0
"""Files and functions stay short enough to be read in one go, and every source says its licence."""

import pathlib
import sys

import tap

SOURCE = pathlib.Path(sys.argv[1])
FILE_MAX, FUNCTION_MAX = 600, 70
FOLDERS = ("src", "include", "bench", "tests/unit", "tests/fuzz")


def c_files():
    return sorted(path for folder in FOLDERS for path in (SOURCE / folder).rglob("*.[ch]"))


def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines()


def files_are_short():
    return [f"{path.relative_to(SOURCE)}: {len(lines_of(path))} lines, over {FILE_MAX}"
            for path in c_files() if len(lines_of(path)) > FILE_MAX]


def functions_are_short():
    wrong = []
    for path in c_files():
        start = None
        for number, line in enumerate(lines_of(path), 1):
            if line == "{":
                start = number
            elif line == "}" and start:
                if number - start + 1 > FUNCTION_MAX:
                    wrong.append(f"{path.relative_to(SOURCE)}:{start}: a function of {number - start + 1} lines, over {FUNCTION_MAX}")
                start = None
    return wrong


def the_licence_is_on_the_first_line():
    return [str(path.relative_to(SOURCE)) for path in c_files()
            if lines_of(path)[:1] != ["/* SPDX-License-Identifier: Apache-2.0 */"]]


tap.run(files_are_short, functions_are_short, the_licence_is_on_the_first_line)
