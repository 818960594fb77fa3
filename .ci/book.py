#!/usr/bin/env python3
"""What .ci/book does besides mdBook.

  sources ROOT  every link of the Markdown files in the repository exists, also of those that are not in the book, such as README.md, and so do
                the files of the repository that pages name; a page names what its examples need before they do: environment variables, a
                copy of the repository, and on pages of plugins other files
  prepare SRC   the pages in SRC get links as they must be in the book, and SUMMARY.md the pages that are listed by their files
  check BOOK    every link and anchor of the built book exists, and every page is within two clicks of the first one"""
import collections, html.parser, pathlib, posixpath, re, subprocess, sys, urllib.parse

CLICKS = 2


def title(page):
    return page.read_text().split("\n", 1)[0].lstrip("# ").strip()


def prose(page):
    """A page without its code."""
    return re.sub(r"^ *```.*?^ *```|`[^`\n]*`", "", page.read_text(), flags=re.M | re.S)


def anchors(page):
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ +(.*)", re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def unnamed(page):
    """The variables without a default that a block of YAML reads, and no line before names, so that a reader who copies it gets an error."""
    reads, text = re.compile(r"(?<!\$)\$\{env\.(\w+)\}"), page.read_text()
    for block in re.finditer(r"^ *```yaml\n(.*?)^ *```", text, re.M | re.S):
        before = reads.sub("", text[:block.end()])
        yield from sorted(name for name in set(reads.findall(block[1])) if not re.search(rf"\b{name}\b", before))


def unnamed_files(page):
    """The files that the YAML of a page reads, and no line before names."""
    text = page.read_text()
    for block in re.finditer(r"^ *```yaml\n(.*?)^ *```", text, re.M | re.S):
        for path in re.findall(r"\b(?:\w+_)?file: ([a-z][\w./-]*)", block[1]):
            if f"`{path}`" not in text[:block.start()] and f"`{path.split('/')[0]}`" not in text[:block.start()]:
                yield path


def missing(page, root):
    """Paths in the text of a page, such as `src/path.rs`, that are nowhere in the repository."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.M | re.S)
    for path in re.findall(r"`((?:src|plugins|tests|docs|deploy|packaging|config|\.ci|benches)/[\w./-]+)`", text):
        if not (root / path).exists() and not (page.parent / path).exists():
            yield path


def files_of_the_repository(page):
    """The files of the repository that commands of a page need, if nothing before says that they run in a copy of it."""
    text = page.read_text()
    for block in re.finditer(r"^ *```sh\n(.*?)^ *```", text, re.M | re.S):
        if not re.search(r"\bcop(y|ies) of th(e|is)\s+repository\b|git clone", text[:block.end()]):
            yield from re.findall(r"(?<![\w/.])(?:config|deploy|tests|packaging)/[\w./-]+", block[1])


def sources(root):
    listed = subprocess.run(["git", "ls-files", "-z", "*.md"], cwd=root, capture_output=True, text=True, check=True).stdout
    # Of other projects.
    names = [name for name in listed.split("\0") if name and not name.startswith(("assets/", "plugins/jwt/fixtures/"))]
    wrong, links = [], 0
    for page in (root / name for name in names):
        for link in re.findall(r'\]\(([^)\s]+)[^)]*\)|(?:src|href)="([^"]+)"|^\[[^\]]+\]: *(\S+)', prose(page), re.M):
            url = urllib.parse.urlsplit("".join(link))
            if url.scheme or url.netloc:
                continue
            links += 1
            target = page.parent / urllib.parse.unquote(url.path) if url.path else page
            if not target.exists():
                wrong.append(f"{page.relative_to(root)}: {url.geturl()} does not exist")
            elif url.fragment and target.suffix == ".md" and url.fragment not in anchors(target):
                wrong.append(f"{page.relative_to(root)}: {url.geturl()} has no such anchor")
        # These name files of their time, and files of the reader.
        if page.name not in ("CHANGELOG.md", "writing-a-plugin.md"):
            wrong += [f"{page.relative_to(root)}: there is no {path}" for path in missing(page, root)]
        if page.parent.name == "plugins":
            wrong += [f"{page.relative_to(root)}: its YAML needs the file {path}, which nothing before it names" for path in unnamed_files(page)]
        if "docs" in page.relative_to(root).parts:
            wrong += [f"{page.relative_to(root)}: nothing says that {path} is in a copy of the repository" for path in files_of_the_repository(page)]
        # The reference begins with what `${env.NAME}` is.
        if page.name != "configuration.md":
            wrong += [f"{page.relative_to(root)}: its YAML needs the variable {name}, which nothing before it names" for name in unnamed(page)]
    for line in wrong:
        print(line)
    print(f"figure: sources, {len(names)} files, {links} links, {len(wrong)} wrong")
    return bool(wrong) or links < 100


def prepare(source):
    decisions = sorted((source / "decisions").glob("0*.md"))
    with (source / "decisions/README.md").open("a") as index:
        index.write("\n| page | decision |\n|---|---|\n")
        index.writelines(f"| [{page.stem[:3]}]({page.name}) | {title(page)} |\n" for page in decisions)
    summary = (source / "SUMMARY.md").read_text()
    for folder, pages in [("decisions", decisions), ("diagnostics", sorted((source / "diagnostics").glob("GW*.md")))]:
        entries = "".join(f"\n  - [{title(page).replace('[', '(').replace(']', ')')}]({folder}/{page.name})" for page in pages)
        summary = re.sub(rf"(- \[[^]]*\]\({folder}/README\.md\))", lambda found: found[1] + entries, summary)
    (source / "SUMMARY.md").write_text(summary)
    # What is one folder above docs in the repository is beside the pages in the book. A folder has no page there.
    for page in list(source.rglob("*.md")):
        above = "../" * (len(page.relative_to(source).parts) - 1)
        text = page.read_text()
        text = text.replace(f"]({above}../", f"]({above}")
        text = text.replace(f"]({above}docs/", f"]({above}")
        # mdBook makes index.html of a README, and leaves the links to it as they are.
        text = re.sub(r"\]\(([a-z./]*)README\.md", r"](\1index.md", text)
        text = re.sub(r"\[([^]]+)\]\((?:\.\./)*(?:deploy|config)(?:/[a-z]+)?/?\)", r"\1", text)
        page.unlink()
        page.with_name(page.name.replace("README", "index")).write_text(text)


class Page(html.parser.HTMLParser):
    """The ids of a page, and its links outside the navigation."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.main = set(), [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.update(value for key, value in attributes.items() if key in ("id", "name") and value)
        self.main += tag == "main"
        for key in ("href", "src"):
            if self.main and attributes.get(key):
                self.links.append(attributes[key])

    def handle_endtag(self, tag):
        self.main -= tag == "main"


def check(book):
    files = {str(path.relative_to(book)) for path in book.rglob("*") if path.is_file()}
    others = {"404.html", "print.html", "toc.html"}
    pages = {name: Page((book / name).read_text()) for name in files if name.endswith(".html") and name not in others}
    wrong, leads, links = [], collections.defaultdict(set), 0
    for name, page in pages.items():
        for link in page.links:
            url = urllib.parse.urlsplit(link)
            if url.scheme or url.netloc:
                continue
            links += 1
            path = urllib.parse.unquote(url.path)
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
            if target not in files:
                wrong.append(f"{name}: {link} does not exist")
            elif target in pages:
                leads[name].add(target)
                if url.fragment and urllib.parse.unquote(url.fragment) not in pages[target].ids:
                    wrong.append(f"{name}: {link} has no such anchor")
    reached, edge = {"index.html"}, {"index.html"}
    for _ in range(CLICKS):
        edge = {target for page in edge for target in leads[page]} - reached
        reached |= edge
    wrong += [f"{name} is more than {CLICKS} clicks from the first page" for name in sorted(pages.keys() - reached)]
    for line in wrong:
        print(line)
    print(f"figure: book, {len(pages)} pages, {links} links, {len(wrong)} wrong")
    return bool(wrong) or len(pages) < 100


{"sources": lambda root: sys.exit(sources(root)), "prepare": prepare, "check": lambda book: sys.exit(check(book))}[sys.argv[1]](pathlib.Path(sys.argv[2]))
