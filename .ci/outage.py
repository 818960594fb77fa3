#!/usr/bin/env python3
"""Runs the check of a PostgreSQL that fails: `outage.py FILE ARGUMENTS...`.

The check lists the processes of the server and signals each of them. One that ends in between (a closed connection, a finished
worker) is no longer there to be stopped, which is no fault.
"""

import os
import runpy
import sys

kill = os.kill


def signal_if_there(pid, number):
    try:
        kill(pid, number)
    except ProcessLookupError:
        pass


os.kill = signal_if_there
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))
runpy.run_path(sys.argv[0], run_name="__main__")
