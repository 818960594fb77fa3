#!/usr/bin/env python3
"""Writes docs/first-screen.svg: what a terminal of 100 columns shows when the default file is served, from a real run.

    tests/e2e/first_screen.py target/debug/gatewright docs/first-screen.svg
"""

import fcntl, html, os, pty, re, select, shutil, signal, struct, subprocess, sys, tempfile, termios, time, urllib.error, urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COLUMNS, SIZE = 100, 14
COLORS = {2: "#8b949e", 31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 36: "#79c0ff"}
PORT, ADMIN = int(os.environ.get("PORT", "3000")), int(os.environ.get("ADMIN_PORT", "9901"))


def request(path):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}").read()
    except urllib.error.HTTPError:
        pass


def edit(file, old, new):
    text = open(file).read()
    assert old in text, old
    open(file, "w").write(text.replace(old, new))


def record(program):
    """What the terminal shows."""
    home = tempfile.mkdtemp()
    folder = f"{home}/gateway"
    os.makedirs(f"{folder}/config")
    file = shutil.copy(f"{ROOT}/config/gateway.yaml", f"{folder}/config/gateway.yaml")
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 30, COLUMNS, 0, 0))
    environment = {"PATH": os.environ["PATH"], "HOME": home, "TERM": "xterm-256color", "PORT": str(PORT)}
    environment["GATEWRIGHT__ADMIN__ADDRESS"] = f"127.0.0.1:{ADMIN}"
    # Below any limit of open files, which would be a warning.
    environment["GATEWRIGHT__LISTENERS__WEB__LIMITS__CONNECTIONS"] = "100"
    child = subprocess.Popen([program], cwd=folder, env=environment, stdin=other, stdout=other, stderr=other, start_new_session=True)
    os.close(other)
    shown = b""

    def until(text):
        nonlocal shown
        end = time.time() + 20
        while text not in shown and time.time() < end:
            if select.select([main], [], [], 0.1)[0]:
                shown += os.read(main, 65536)
        assert text in shown, (text, shown.decode())

    try:
        until(b"Ctrl-C stops.")
        request("/")
        request("/api/users")
        until(b"/api/users ")
        edit(file, "quota: 100", "quota: 50")
        until(b"reloaded:")
        edit(file, "quota: 50", "qouta: 50")
        until(b"configuration rejected")
        edit(file, "qouta: 50", "quota: 50")
        until(b"matches the running one again")
        child.send_signal(signal.SIGINT)
        until(b"stopped")
    finally:
        child.kill()
        child.wait()
        shutil.rmtree(home)
    return shown.decode().replace("\r", "").replace(home, "/home/ada")


def spans(line):
    """The line as SVG text."""
    style, written, out = set(), 0, []
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        found = re.fullmatch(r"\x1b\[([0-9;]*)m", piece)
        if found:
            for code in (int(code or 0) for code in found[1].split(";")):
                style = set() if code == 0 else style | {code - 60 if 90 <= code <= 97 else code}
        elif piece:
            color = next((COLORS[code] for code in sorted(style, reverse=True) if code in COLORS), "#e6edf3")
            color = "#79c0ff" if 34 in style else color
            weight = ' font-weight="bold"' if 1 in style else ""
            out.append(f'<tspan fill="{color}"{weight}>{html.escape(piece)}</tspan>')
    return "".join(out)


def svg(text):
    lines = [line for line in ("$ gatewright\n" + text).rstrip("\n").split("\n")]
    height, width = 20, COLUMNS * SIZE * 0.602 + 40
    rows = [
        f'<text x="20" y="{50 + index * height}" xml:space="preserve">{spans(line)}</text>' for index, line in enumerate(lines)
    ]
    total = 50 + len(lines) * height
    dots = "".join(f'<circle cx="{22 + 18 * index}" cy="18" r="6" fill="{color}"/>' for index, color in enumerate(["#ff5f56", "#ffbd2e", "#27c93f"]))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{total}" viewBox="0 0 {width:.0f} {total}"'
        f' font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="{SIZE}">\n'
        f'<rect width="100%" height="100%" rx="8" fill="#0d1117"/>{dots}\n' + "\n".join(rows) + "\n</svg>\n"
    )


if __name__ == "__main__":
    program, target = os.path.abspath(sys.argv[1]), sys.argv[2]
    text = record(program)
    open(target, "w").write(svg(text))
    print(text)
