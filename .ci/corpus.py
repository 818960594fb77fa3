#!/usr/bin/env python3
"""Runs the corpus and compares it with tests/waiting-cases.txt, the cases that need keys not implemented yet.

usage: corpus.py CHECKS_FOLDER [options of run_bad_inputs.py]

Exits with 1 if an unlisted case fails, or if a listed case passes and its line must be removed.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

LIST = Path(__file__).resolve().parent.parent / "tests" / "waiting-cases.txt"


def waiting():
    lines = (line.split("#")[0].split() for line in LIST.read_text().splitlines())
    return {words[0]: " ".join(words[1:]) for words in lines if words}


def main():
    checks, options = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        run = subprocess.run([sys.executable, f"{checks}/run_bad_inputs.py", *options, "--out", str(out)])
        if not out.exists():
            sys.exit(run.returncode or 1)
        results = json.loads(out.read_text())
    listed = waiting()
    failed = {name for name, result in results.items() if result["bad"]}
    surprises = sorted(failed - listed.keys())
    finished = sorted(name for name in listed.keys() & results.keys() if name not in failed)
    for name in surprises:
        print(f"fails without being listed: {name}")
    for name in finished:
        print(f"passes; remove it from tests/waiting-cases.txt: {name}")
    print(f"{len(results)} cases, {len(failed) - len(surprises)} need missing keys, {len(surprises)} fail")
    sys.exit(1 if surprises or finished or not results else 0)


if __name__ == "__main__":
    main()
