# SPDX-License-Identifier: Apache-2.0
"""Runs functions as tests and reports them in the Test Anything Protocol."""

import sys


class Skip(Exception):
    pass


def run(*tests):
    """Runs each; a test fails by returning a list of complaints that is not empty."""
    print(f"1..{len(tests)}")
    failed = False
    for number, test in enumerate(tests, 1):
        try:
            complaints, skipped = test(), ""
        except Skip as reason:
            complaints, skipped = [], f" # SKIP {reason}"
        failed |= bool(complaints)
        print(f"{'not ok' if complaints else 'ok'} {number} - {test.__name__}{skipped}")
        for complaint in complaints:
            print(f"# {complaint}")
    sys.exit(failed)
