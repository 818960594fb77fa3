#!/usr/bin/env python3
"""Runs every command of the documentation, as a reader would paste it: each ```sh block of each page, from top to bottom, in an interactive
bash and in an interactive zsh, with the built program.

  tests/e2e/commands.py GATEWAY [--page README.md ...] [--shell bash ...] [--jaeger PATH] [--verbose]

A comment in front of a block, which the rendered page does not show, says what is special about it:

  <!-- terminal: NAME -->   it runs in a terminal of its own and stays in the foreground, such as the gateway. A later block for the same NAME
                            presses Ctrl-C first
  <!-- stop: NAME -->       Ctrl-C is pressed in that terminal, before the block
  <!-- listens: PORT -->    such a terminal is ready once this port, or the Unix socket with this name, accepts connections; 3000 by default
  <!-- prints: TEXT -->     the output contains TEXT; several are allowed
  <!-- exits: 1 -->         its last command exits with this code
  <!-- not run: REASON -->  it is skipped, and listed with the reason
  <!-- prepare: COMMAND --> runs before the block: what a reader of the page has, and this machine does not
  <!-- needs: PROGRAM -->   it is skipped if this program is not installed. `postgresql` is a server of this machine, where everyone may do
                            everything and which PGHOST and PGUSER name; it is started if this test runs as root. `jaeger` is the one
                            of --jaeger

In front of a block of another kind:

  <!-- file: NAME -->       the block is written to this file, before the next command
  <!-- output -->           each line of the block is in the output of the command before, in this order. `…` stands for any text; times,
                            ids, digests and entity tags need not be the same. A ```json block is one of the values in that output, however it is
                            laid out
  <!-- not output: WHAT --> a ```text or ```json block that is nothing that a command printed

Every other command must succeed, and a response of 400 or above must be named by `prints` or an output. Each page and shell has a copy of the
repository, a home folder and, where the system allows it, a network of its own, so the ports of the documentation are free. `cargo run` and `cargo install` are the program that was built before; `cargo test` is not run again."""
import argparse, concurrent.futures, json, os, pathlib, re, shutil, signal, socket, subprocess, sys, tempfile, threading, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["docs", "docs/cookbook", "docs/plugins", "docs/diagnostics", "packaging", "plugins/template"]
SHELLS = {"bash": ["bash", "--noprofile", "--norc", "--noediting", "-i"], "zsh": ["zsh", "-f", "-i"]}
# Run after each command that fails. Both shells have it in their own way.
TRAPS = {"bash": "trap 'echo \"@@FAILED $? $BASH_COMMAND\"' ERR\n", "zsh": "unsetopt prompt_sp\nTRAPZERR() { echo \"@@FAILED $? a command\"; }\n"}
# What differs from run to run. The first pattern that fits wins.
CHANGES = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"), (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"), (r"\b\d\d:\d\d:\d\d\b", "TIME"),
    (r"\d+\.\d+ ?ms", "DURATION"), (r'\\?"\d{10,20}\.[0-9a-z]+\\?"', "TAG"), (r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{16,}\b", "HEX"), (r"cursor=[\w-]+", "CURSOR"),
    (r"\b20\d{12}\b", "TIME"), (r"eyJ[\w-]+(\.[\w-]+)*", "TOKEN"), (r"[ \t\r]+", " "),
]
CARGO = """#!/bin/sh
case "$1" in
  run) while [ $# -gt 0 ] && [ "$1" != -- ]; do shift; done; [ $# -eq 0 ] || shift; exec gatewright "$@" ;;
  test) echo 'test result: ok' ;;
  install|build) ;;
  *) echo "cargo $1 is not known to the test of the documentation" >&2; exit 1 ;;
esac
"""
# What a response of this status says of it, if it is not the number.
ERRORS = {
    "400": "validation_error", "401": "unauthorized", "403": "forbidden", "404": "not_found", "405": "method_not_allowed", "406": "not_acceptable",
    "409": "conflict", "412": "precondition_failed", "413": "payload_too_large", "415": "unsupported_media_type", "422": "idempotency_mismatch",
    "428": "precondition_required", "429": "too_many_requests", "500": "internal_error", "502": "bad_gateway", "503": "unavailable", "504": "gateway_timeout",
}
# curl, which also notes the status of each response, unless it prints that in its own way.
CURL = """#!/bin/sh
for argument; do case "$argument" in -w|--write-out) exec {curl} "$@" ;; esac; done
said=$(mktemp)
{curl} --no-progress-meter -w '%{{stderr}}@@STATUS %{{http_code}}\\n' "$@" 2> "$said"
code=$?
sed -n 's/.*@@STATUS //p' "$said" >> {statuses}
sed 's/@@STATUS .*//' "$said" >&2
rm "$said"
exit $code
"""


class Block:
    def __init__(self, line, text, notes, fence="sh"):
        self.line, self.text, self.is_json = line, text, fence == "json" and any(values(text))
        said = lambda key: [value for name, value in notes if name == key]
        self.terminal, self.prints = next(iter(said("terminal")), None), said("prints")
        self.place = next(iter(said("listens")), "3000")
        self.exits, self.skip = int(next(iter(said("exits")), 0)), next(iter(said("not run")), None)
        self.file, self.prepare, self.needs = next(iter(said("file")), None), said("prepare"), said("needs")
        self.output, self.stop = "output" in dict(notes), said("stop")


def plain(text):
    """A line without what differs from run to run."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    for pattern, name in CHANGES:
        text = re.sub(pattern, name, text)
    return text.strip()


def values(text):
    """The JSON objects and lists in a text, each on one line."""
    at, decoder = 0, json.JSONDecoder()
    while found := re.compile(r"[\[{]").search(text, at):
        try:
            value, at = decoder.raw_decode(text, found.start())
            yield json.dumps(value, ensure_ascii=False)
        except ValueError:
            at = found.end()


def pattern(line):
    return re.compile(".*".join(re.escape(part) for part in plain(line).split("…")))


def is_named(status, text):
    error = ERRORS.get(status, status)
    return status in text or error in text or error.replace("_", "-") in text


def not_printed(block, printed):
    """The first line of the block that is not in what was printed, after the line before; the whole block if it is JSON."""
    if block.is_json:
        found = [plain(value) for value in values(printed)]
        return None if all(any(map(pattern(value).fullmatch, found)) for value in values(block.text)) else block.text
    lines = iter([plain(line) for line in printed.splitlines()])
    for line in filter(str.strip, block.text.splitlines()):
        if not any(map(pattern(line).fullmatch, lines)):
            return line
    return None


def postgresql(folder):
    """Starts a server on port 5432: (the function that stops it, the variables that name it), or None where it cannot run."""
    programs = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if os.geteuid() or not programs or "IN_NAMESPACE" not in os.environ:
        return None
    data, bin = folder / "data", programs[-1]
    folder.mkdir()
    folder.parent.chmod(0o755)
    shutil.chown(folder, "postgres")
    run = lambda *command: subprocess.run(["runuser", "-u", "postgres", "--", *map(str, command)], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    run(bin / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
    options = f"-c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    run(bin / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
    stop = lambda: run(bin / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    return stop, {"PGHOST": "127.0.0.1", "PGUSER": "postgres", "PATH": f"{bin}:{os.environ['PATH']}"}


def blocks(page):
    """The ```sh blocks of a page, files and outputs, with the comments in front of them."""
    found, notes, open_at, fence, lines = [], [], None, None, []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        bare = line.strip()
        if fence is not None:
            if bare == "```":
                if fence in ("sh", "shell", "bash", "console") or {"file", "output"} & set(dict(notes)):
                    found.append(Block(open_at, "\n".join(lines) + "\n", notes, fence))
                elif fence in ("text", "json") and "not output" not in dict(notes):
                    sys.exit(f"{page.relative_to(ROOT)}:{open_at}: is this <!-- output --> of the command before, or <!-- not output: what -->?")
                fence, notes, lines = None, [], []
            else:
                lines.append(line)
        elif bare.startswith("```"):
            fence, open_at = bare[3:].split(" ")[0], number
        elif note := re.fullmatch(r"<!-- (terminal|stop|listens|prints|exits|not run|prepare|needs|file|output|not output)(?:: (.*))? -->", bare):
            notes.append(note.groups())
        elif bare:
            notes = []
    return found


class Terminal:
    """An interactive shell. Its input is a pipe: a paste, line by line."""

    def __init__(self, shell, folder, environment):
        self.shell, self.read, self.changed = shell, "", threading.Condition()
        self.process = subprocess.Popen(SHELLS[shell], cwd=folder, env=environment, text=True, errors="replace", stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        threading.Thread(target=self.pump, daemon=True).start()
        self.send(TRAPS[shell])

    def pump(self):
        while text := os.read(self.process.stdout.fileno(), 65536).decode(errors="replace"):
            with self.changed:
                self.read += text
                self.changed.notify_all()

    def send(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def run(self, block, seconds=60):
        """Pastes the block: (what it printed, the exit code of its last command). The code is None when it did not end in time."""
        start, mark = len(self.read), f"@@DONE {block.line} "
        self.send(block.text + f"printf '{mark}%s@@\\n' $?\n")
        done = re.compile(re.escape(mark) + r"(\d+)@@")
        with self.changed:
            self.changed.wait_for(lambda: done.search(self.read, start) or self.process.poll() is not None, seconds)
            found = done.search(self.read, start)
            return (self.read[start:found.start()], int(found[1])) if found else (self.read[start:], None)

    def interrupt(self):
        """Presses Ctrl-C, and waits for the prompt."""
        for child in children(self.process.pid):
            os.kill(child, signal.SIGINT)
        end = time.monotonic() + 45
        while children(self.process.pid) and time.monotonic() < end:
            time.sleep(0.1)

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        for child in children(self.process.pid):
            os.kill(child, signal.SIGKILL)


def children(pid):
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True).stdout.split("\n")
    pairs = [tuple(map(int, line.split())) for line in listed if line.strip()]
    return [child for child, parent in pairs if parent == pid]


def reachable(place, folder):
    port = place.isdigit()
    with socket.socket(socket.AF_INET if port else socket.AF_UNIX) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", int(place)) if port else str(folder / place)) == 0


def run_page(page, shell, options):
    """What went wrong, how many commands ran, and what was skipped."""
    wrong, ran, skipped, terminals = [], 0, [], {}
    with tempfile.TemporaryDirectory(prefix="commands-") as scratch:
        scratch = pathlib.Path(scratch)
        folder, home, tools = scratch / "gatewright", scratch / "home", scratch / "bin"
        files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
        for file in filter(None, files):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / file).exists():
                shutil.copy2(ROOT / file, folder / file)
        for made in (home, tools, folder / "target/release"):
            made.mkdir(parents=True)
        for link in (tools / "gatewright", folder / "target/release/gatewright"):
            link.symlink_to(options.gateway)
        (tools / "cargo").write_text(CARGO)
        statuses = scratch / "statuses"
        (tools / "curl").write_text(CURL.format(curl=shutil.which("curl"), statuses=statuses))
        for tool in ("cargo", "curl"):
            (tools / tool).chmod(0o755)
        if options.jaeger:
            (folder / "jaeger").symlink_to(options.jaeger)
        environment = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm", "PS1": "", "PS2": ""}
        server, last, unnamed = None, "", set()
        if any("postgresql" in block.needs for block in blocks(page)) and (server := postgresql(scratch / "postgresql")):
            environment |= server[1] | {"PATH": f"{tools}:{server[1]['PATH']}"}
        here = Terminal(shell, folder, environment)
        try:
            for block in blocks(page):
                at = f"{page.relative_to(ROOT)}:{block.line} ({shell})"
                if block.file:
                    (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
                    (folder / block.file).write_text(block.text)
                    continue
                if block.output:
                    unnamed = {status for status in unnamed if not is_named(status, block.text)}
                    if last is not None and (line := not_printed(block, last)):
                        wrong.append(f"{at}: the command before does not print\n{line}\nbut\n{last}")
                    continue
                if unnamed:
                    wrong.append(f"{at}: the block before gets {', '.join(unnamed)}, which neither its `prints` nor its output names\n{last}")
                last, unnamed = None, set()
                given = {"postgresql": server, "jaeger": options.jaeger}
                needs = block.needs + ["jaeger"] * ("./jaeger" in block.text)
                skip = block.skip or next((f"no {program} here" for program in needs if not (given[program] if program in given else shutil.which(program))), None)
                if skip:
                    skipped.append(f"{at}: {skip}")
                    if not block.skip and "SKIPPED" in os.environ:
                        # .ci/run lists it at its end.
                        with open(os.environ["SKIPPED"], "a") as told:
                            told.write(f"commands of the documentation: {at}: {skip}\n")
                    continue
                if options.verbose:
                    print(f"--- {at}\n{block.text}", end="", flush=True)
                ran += 1
                statuses.unlink(missing_ok=True)
                for command in block.prepare:
                    said, code = here.run(Block(block.line, command + "\n", []))
                    if code != 0:
                        wrong.append(f"{at}: the preparation exits with {code}\n{said}")
                for name in block.stop:
                    terminals.pop(name).interrupt()
                if block.terminal:
                    if block.terminal in terminals:
                        terminals.pop(block.terminal).interrupt()
                    terminal = terminals[block.terminal] = Terminal(shell, folder, environment)
                    terminal.send(block.text)
                    end = time.monotonic() + 30
                    while not reachable(block.place, folder) and time.monotonic() < end:
                        time.sleep(0.1)
                    if not reachable(block.place, folder):
                        wrong.append(f"{at}: nothing listens on {block.place}\n{terminal.read}")
                    time.sleep(0.3)
                    printed, code = terminal.read, 0
                else:
                    printed, code = here.run(block)
                if options.verbose:
                    print(printed, flush=True)
                unnamed = {status for status in (statuses.read_text().split() if statuses.exists() else []) if status >= "400" and not any(is_named(status, text) for text in block.prints)}
                last = printed
                failed = re.findall(r"@@FAILED (\d+) (.*)", printed)
                if code is None:
                    wrong.append(f"{at}: did not end in time\n{printed}")
                elif code != block.exits:
                    wrong.append(f"{at}: exit code {code}\n{printed}")
                elif failed and not block.exits:
                    wrong.append(f"{at}: {failed[0][1]} exits with {failed[0][0]}\n{printed}")
                for text in block.prints:
                    if text not in printed:
                        wrong.append(f"{at}: does not print `{text}`\n{printed}")
            if unnamed:
                wrong.append(f"{at}: gets {', '.join(unnamed)}, which neither its `prints` nor its output names\n{last}")
        finally:
            for terminal in [here, *terminals.values()]:
                terminal.interrupt()
                terminal.close()
            if server:
                server[0]()
    return wrong, ran, skipped


def in_parallel(runs, options):
    """Runs each page with each shell in a process of its own: the exit code."""
    common = [sys.executable, __file__, options.gateway, *(["--jaeger", options.jaeger] if options.jaeger else []), *(["--verbose"] if options.verbose else [])]
    start = lambda run: subprocess.run([*common, "--page", str(run[0].relative_to(ROOT)), "--shell", run[1]], capture_output=True, text=True)
    total, failed = [0, 0, 0], False
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for run, done in zip(runs, pool.map(start, runs)):
            *lines, last = (done.stdout.splitlines() or [""])
            print(*lines, *done.stderr.splitlines(), sep="\n", end="\n" if lines or done.stderr else "", flush=True)
            counted = re.fullmatch(r"figure: documentation, (\d+) blocks run, (\d+) not run, (\d+) wrong", last)
            total = [before + int(more) for before, more in zip(total, counted.groups())] if counted else total
            # A page whose only commands are not run here is no fault.
            failed |= counted is None or int(counted[3]) > 0
            if counted is None:
                print(f"FAIL {run[0].relative_to(ROOT)} ({run[1]}): {last}", flush=True)
    print("figure: documentation, %d blocks run, %d not run, %d wrong" % tuple(total))
    return 1 if failed or not total[0] else 0


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # A shell that starts this in the background lets it ignore Ctrl-C, and so would all programs that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gateway")
    parser.add_argument("--page", action="append")
    parser.add_argument("--shell", action="append", choices=list(SHELLS))
    parser.add_argument("--jaeger")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--jobs", type=int, default=4, help="pages at once, each in a network of its own: they mostly wait")
    options = parser.parse_args()
    options.gateway, options.jaeger = os.path.realpath(options.gateway), options.jaeger and os.path.realpath(options.jaeger)
    every = (ROOT / "README.md", *(page for folder in FOLDERS for page in sorted((ROOT / folder).glob("*.md"))))
    pages = [page for page in ([ROOT / page for page in options.page] if options.page else every) if blocks(page)]
    runs = [(page, shell) for page in pages for shell in options.shell or SHELLS]
    # A network of its own: the ports of the documentation may be taken on this machine, or by another page.
    own = "-n" if os.geteuid() == 0 else "-rn"
    wrong, ran, skipped = [], 0, []
    if "IN_NAMESPACE" not in os.environ and subprocess.run(["unshare", own, "true"], capture_output=True).returncode == 0:
        if len(runs) > 1:
            sys.exit(in_parallel(runs, options))
        os.environ["IN_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", own, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, *sys.argv])
    for page, shell in runs:
        results = run_page(page, shell, options)
        wrong += results[0]
        ran += results[1]
        skipped += results[2]
    for line in skipped:
        print(f"not run: {line}")
    for line in wrong:
        print(f"FAIL {line}")
    print(f"figure: documentation, {ran} blocks run, {len(skipped)} not run, {len(wrong)} wrong")
    sys.exit(1 if wrong or not ran else 0)


main()
