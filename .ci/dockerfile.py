"""What deploy/test-image needs of deploy/Dockerfile, without Docker.

    dockerfile.py bases                  each base image has an exact version, and a Rust that is new enough; nothing large or private is copied
    dockerfile.py copy STAGE FOLDER      carries out the COPY instructions of the stage: FOLDER/STAGE is its root, FOLDER/OTHER that of another
    dockerfile.py context FOLDER         whether the folder contains what the compiler reads
"""

import os
import re
import shutil
import subprocess
import sys

# A version of three numbers; `latest`, `1` and `1.95` are moved to other images.
EXACT = re.compile(r"(?:[\w.-]+(?::\d+)?/)*[\w.-]+:v?\d+\.\d+\.\d+(?:-[\w.-]+)?(?:@sha256:[0-9a-f]{64})?")


def fail(message):
    sys.exit(f"deploy/Dockerfile: {message}")


def read():
    """The instructions of each stage, and the variables before the first one."""
    text = re.sub(r"(?m)^\s*#.*\n", "", open("deploy/Dockerfile").read()).replace("\\\n", " ")
    variables, stages = {}, {}
    for line in filter(None, map(str.strip, text.splitlines())):
        word, rest = line.split(None, 1)
        if word == "FROM":
            base, *name = re.split(r"\s+AS\s+", re.sub(r"^--\S+\s+", "", rest), flags=re.IGNORECASE)
            base = re.sub(r"\$\{?(\w+)\}?", lambda variable: variables.get(variable[1], ""), base)
            current = name[0] if name else str(len(stages))
            stages[current] = {"base": base, "lines": []}
        elif stages:
            stages[current]["lines"].append((word, rest))
        elif word == "ARG":
            name, _, value = rest.partition("=")
            variables[name] = value
    return stages


def copies(stage):
    """The COPY instructions of a stage: their options, sources and target, and the folder where they run."""
    folder = "/"
    for word, rest in stage["lines"]:
        if word == "WORKDIR":
            folder = os.path.join(folder, rest)
        if word == "ADD":
            fail("COPY instead of ADD, which the test does not know")
        if word == "COPY":
            words = rest.split()
            options = dict(word[2:].partition("=")[::2] for word in words if word.startswith("--"))
            *sources, target = [word for word in words if not word.startswith("--")]
            yield options, sources, os.path.join(folder, target)


def bases():
    stages, skip = read(), ignored()
    # Gigabytes, and what is nobody's business.
    for name in ("target", ".git", "data", "config/examples/data"):
        if not skip(name):
            fail(f".dockerignore does not keep {name}/ out of the build")
    for name, stage in stages.items():
        images = [stage["base"]] + [options["from"] for options, _, _ in copies(stage) if "from" in options]
        for image in images:
            if image != "scratch" and image not in stages and not EXACT.fullmatch(image):
                fail(f"the image {image!r} of the stage {name} has no exact version, such as rust:1.95.0-slim-bookworm")
    wanted = re.search(r'(?m)^rust-version = "([\d.]+)"', open("Cargo.toml").read())[1]
    rust = re.search(r"rust:([\d.]+)", stages["build"]["base"])
    if not rust or numbers(rust[1]) < numbers(wanted):
        fail(f"{stages['build']['base']} has no Rust {wanted}")


def numbers(version):
    return [int(part) for part in version.split(".")]


def ignored():
    """The patterns of .dockerignore, as a function of a path in the context."""
    def pattern(line):
        # `**/` is any number of folders, and `*` no slash.
        parts = re.split(r"(\*\*/|\*)", line.strip("/"))
        return "".join({"**/": "(?:.*/)?", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts)
    lines = [line.strip() for line in open(".dockerignore") if line.strip() and not line.startswith("#")]
    if any(line.startswith("!") for line in lines):
        fail("the test does not know exceptions in .dockerignore")
    return re.compile("|".join(map(pattern, lines))).fullmatch


def copy(name, folder):
    stage, skip = read()[name], ignored()
    root = os.path.join(folder, name)
    os.makedirs(root, exist_ok=True)
    for options, sources, target in copies(stage):
        unknown = options.keys() - {"from", "chown", "chmod"}
        if unknown:
            fail(f"the test does not know --{', --'.join(unknown)} of COPY")
        of_context = "from" not in options
        base = "." if of_context else os.path.join(folder, options["from"])
        for source in sources:
            source = os.path.normpath(os.path.join(base, source.lstrip("/")))
            to = os.path.normpath(root + target)
            if not os.path.isdir(source) and (target.endswith("/") or os.path.isdir(to)):
                to = os.path.join(to, os.path.basename(source))
            for path in tree(source, skip if of_context else lambda path: False):
                place(path, to if path == source else os.path.join(to, os.path.relpath(path, source)), options)


def tree(path, skip):
    """A file, or a folder and everything in it, without what is skipped."""
    if path != "." and skip(path):
        return
    yield path
    if os.path.isdir(path) and not os.path.islink(path):
        for entry in sorted(os.listdir(path)):
            yield from tree(os.path.normpath(os.path.join(path, entry)), skip)


def place(path, to, options):
    """Copies as Docker does: with its mode, and an owner that is root without --chown."""
    if os.path.isdir(path) and not os.path.islink(path):
        os.makedirs(to, exist_ok=True)
        shutil.copymode(path, to)
    else:
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy2(path, to, follow_symlinks=False)
    user, _, group = options.get("chown", "0:0").partition(":")
    os.chown(to, int(user), int(group or user), follow_symlinks=False)
    if "chmod" in options:
        os.chmod(to, int(options["chmod"], 8))


def context(folder):
    for file in ("Cargo.toml", "Cargo.lock"):
        if not os.path.isfile(os.path.join(folder, file)):
            fail(f"{file} is not copied to the stage that builds")
    done = subprocess.run(["cargo", "metadata", "--no-deps", "--format-version", "1"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        fail(f"what is copied is no complete workspace:\n{done.stderr}")
    files = 0
    for path in tree(folder, lambda path: os.path.basename(path) in ("tests", "tests.rs")):
        if path.endswith(".rs"):
            files += 1
            for named in re.findall(r'include_(?:str|bytes)!\((?:concat!\()?\s*"([^"]+)"', open(path).read()):
                if not os.path.exists(os.path.join(os.path.dirname(path), named)):
                    fail(f"{os.path.relpath(path, folder)} includes {named}, which is not copied")
    if files < 100:
        fail(f"only {files} files of Rust are copied")


globals()[sys.argv[1]](*sys.argv[2:])
