#!/usr/bin/env python3
"""Holds the house rules: python3 tests/style/check_style.py [TOP_OF_TREE]

Reads every .cc and .h below codec/, fs/, tools/ and tests/, prints one line
"path:line: what is wrong" for each violation, and exits 1 if there was one.
The rules are the functions named check_*; check_style_test.py shows each of
them a snippet that it must flag. C++ is read by pattern, not parsed: a rule
may miss contrived code, but what it flags is to be changed.
"""

import os
import re
import sys

MAX_FILE_LINES = 400
MAX_COLUMNS = 100
MAX_FUNCTION_LINES = 70

# Each directory with those that its files may include from, besides itself.
# The longest matching entry is a file's layer.
LAYERS = {
    "codec/base": (),
    "codec": ("codec/base",),
    "fs/sys": ("codec/base",),
    "fs/store": ("fs/sys", "codec", "codec/base"),
    "fs/vfs": ("fs/store", "fs/sys", "codec", "codec/base"),
    "fs/fuse": ("fs/vfs", "fs/store", "fs/sys", "codec", "codec/base"),
    "tools": ("fs/fuse", "fs/vfs", "fs/store", "fs/sys", "codec", "codec/base"),
    "tests": ("tools", "fs/fuse", "fs/vfs", "fs/store", "fs/sys", "codec", "codec/base"),
}

# Where CMakeLists.txt looks for sources; a .cc elsewhere would never be compiled.
COMPILED = re.compile(
    r"(codec|fs|tests/unit|tests/mount|tests/model|tests/crash)/.*\.cc"
    r"|tools/[^/]+\.cc|tests/fuzz/[^/]+_fuzz\.cc|tests/bench/[^/]+_bench\.cc")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
FUSE_HEADER = re.compile(r"(fuse3?/|linux/fuse|fuse\w*\.h)")
FILE_HEADER = re.compile(r"(fcntl\.h|unistd\.h|sys/(stat|file|mman|uio)\.h|fstream|filesystem)$")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")
USING_NAMESPACE = re.compile(r"\busing\s+namespace\b")
FUSE_TYPE = re.compile(r"\b(fuse_req_t|fuse_reply_\w+)\b")
SLEEP = re.compile(
    r"(?<![\w.>])(?:::\s*)?(?:std::this_thread::|this_thread::)?"
    r"\b(sleep|usleep|nanosleep|clock_nanosleep|sleep_for|sleep_until)\s*\(")

RAW_CALLS = (
    "open openat openat2 creat read readv pread pread64 preadv preadv2 write writev pwrite pwrite64 "
    "pwritev pwritev2 rename renameat renameat2 unlink unlinkat fsync fdatasync syncfs "
    "sync_file_range ftruncate truncate fallocate posix_fallocate copy_file_range sendfile linkat "
    "symlinkat mkdirat mknodat fstatat utimensat fopen freopen mkstemp mkostemp").split()
RAW_CALL = re.compile(
    r"(?P<before>\b[\w>\]]+\s+)?(?P<scope>(?:\b\w+\s*)?::\s*)?"
    r"(?<![\w.~])(?<!->)(?P<name>" + "|".join(RAW_CALLS) + r")\s*\(")
EXPRESSION_KEYWORDS = {"return", "else", "do", "case", "co_return", "co_await", "co_yield", "throw"}


class SourceFile:
    """One file: its path from the top, its lines, and the code in them alone."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.lines = text.splitlines()
        self.code = strip_comments_and_strings(text)
        self.code_lines = self.code.splitlines()

    def is_header(self):
        return self.path.endswith(".h")

    def is_product(self):
        return not self.path.startswith("tests/")

    def layer(self):
        return layer_of(self.path)


def layer_of(path):
    """The entry of LAYERS that `path` lies below, or None."""
    matches = [name for name in LAYERS if path.startswith(name + "/")]
    return max(matches, key=len) if matches else None


TOKEN = re.compile(
    r"""(?P<comment>//(?:\\\n|[^\n])*|/\*.*?\*/)
      | (?P<raw>R"(?P<tag>[^()\s\\"]{0,16})\(.*?\)(?P=tag)")
      | (?P<string>"(?:\\.|[^"\\\n])*")
      | (?P<number>\b\d[\w.']*)
      | (?P<char>'(?:\\.|[^'\\\n])+')""", re.DOTALL | re.VERBOSE)


def strip_comments_and_strings(text):
    """`text` with comments and the insides of literals blanked; every offset stays the same."""

    def blank(match):
        whole = match.group()
        if match.group("number"):
            return whole
        hidden = re.sub(r"[^\n]", " ", whole)
        if match.group("comment") or len(whole) < 2:
            return hidden
        return '"' + hidden[1:-1] + '"'

    return TOKEN.sub(blank, text)


def without_directives(code):
    """`code` with preprocessor lines, continued ones included, blanked."""
    return re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", lambda m: re.sub(r"[^\n]", " ", m.group()), code,
                  flags=re.MULTILINE)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


# --- The rules: each yields (line, what is wrong) ------------------------------


def check_place(source):
    layer = source.layer()
    if layer is None:
        yield 1, "directory is not a layer of the project (see LAYERS in check_style.py)"
    if source.path.endswith(".cc") and not COMPILED.fullmatch(source.path):
        yield 1, "no target of CMakeLists.txt compiles a file of this name in this place"


def check_include_direction(source):
    layer = source.layer()
    for number, line in enumerate(source.lines, 1):
        match = INCLUDE.match(line)
        if not match or not source.code_lines[number - 1].lstrip().startswith("#"):
            continue
        quote, target = match.groups()
        target_layer = layer_of(target)
        if target_layer is None:
            if quote == '"':
                yield number, f'"{target}": name project headers from the top of the tree'
        elif layer and target_layer != layer and target_layer not in LAYERS[layer]:
            yield number, f"{layer} must not include {target_layer} ({target})"


def check_system_headers(source):
    layer = source.layer()
    for number, line in enumerate(source.lines, 1):
        match = INCLUDE.match(line)
        if not match or match.group(1) != "<":
            continue
        target = match.group(2)
        if FUSE_HEADER.match(target) and source.is_product() and layer != "fs/fuse":
            yield number, f"<{target}> belongs to fs/fuse alone"
        if FILE_HEADER.match(target) and layer in ("codec", "codec/base"):
            yield number, f"<{target}>: codec knows no files"


def check_fuse_types(source):
    if source.is_product() and source.layer() != "fs/fuse":
        for match in FUSE_TYPE.finditer(source.code):
            yield line_of(source.code, match.start()), f"{match.group(1)} outside fs/fuse"


def check_size(source):
    if len(source.lines) > MAX_FILE_LINES:
        yield MAX_FILE_LINES + 1, f"{len(source.lines)} lines; at most {MAX_FILE_LINES}"
    for number, line in enumerate(source.lines, 1):
        if len(line) > MAX_COLUMNS:
            yield number, f"{len(line)} columns; at most {MAX_COLUMNS}"


def check_function_size(source):
    for first, last in functions(source.code):
        if last - first + 1 > MAX_FUNCTION_LINES:
            yield first, f"function of {last - first + 1} lines; at most {MAX_FUNCTION_LINES}"


def check_opening(source):
    if not source.lines or not source.lines[0].startswith("//"):
        yield 1, "file must begin with a comment that says what it is for"
    if source.is_header() and not re.search(r"^#pragma once$", source.code, re.MULTILINE):
        yield 1, "header without #pragma once"


def check_unfinished(source):
    for number, line in enumerate(source.lines, 1):
        match = UNFINISHED.search(line)
        if match:
            yield number, f"{match.group(1)}: finish it, or say what holds today"


def check_using_namespace(source):
    for match in USING_NAMESPACE.finditer(source.code):
        yield line_of(source.code, match.start()), "using namespace"


def check_sleep(source):
    if source.is_product():
        for match in SLEEP.finditer(source.code):
            yield (line_of(source.code, match.start(1)),
                   f"{match.group(1)}() in product code: wait for the condition")


def check_raw_calls(source):
    if not source.is_product() or source.layer() == "fs/sys":
        return
    code = without_directives(source.code)
    for match in RAW_CALL.finditer(code):
        scope = re.sub(r"\s", "", match.group("scope") or "")
        before = (match.group("before") or "").strip()
        if scope not in ("", "::", "std::"):
            continue  # a function of ours, of that class or namespace
        if not scope and before and before not in EXPRESSION_KEYWORDS and not before.endswith("]"):
            continue  # "Type name(": a declaration
        yield (line_of(code, match.start("name")),
               f"{scope}{match.group('name')}() outside fs/sys: use what fs/sys offers")


TYPE_HEAD = re.compile(r"^\s*(template\s*<.*>\s*)?(class|struct|union|enum)\b", re.DOTALL)
SIGNATURE_END = re.compile(
    r"\)\s*((const|volatile|noexcept|override|final|mutable|&&?|try)\s*|->[^;{}]*|[A-Z_]+\s*(\([^()]*\))?\s*)*$")


def kind_of_block(head, inside):
    """What the block after `head` is: "function", "scope" (its functions count) or "other"."""
    if inside in ("function", "other"):
        return "other"
    if re.search(r"\bnamespace\b", head) or re.search(r'\bextern\s*"\s*"\s*$', head):
        return "scope"
    if TYPE_HEAD.match(head) and not SIGNATURE_END.search(head):
        return "scope"
    return "function" if "(" in head else "other"


def functions(code):
    """The (first line, last line) of each outermost function body in `code`, signature included."""
    code = without_directives(code)
    stack = []  # (kind, offset of the head) of each open brace
    head_start = 0
    for match in re.finditer(r"[{};]", code):
        token, offset = match.group(), match.start()
        if token == "{":
            head = re.sub(r"^\s*(public|private|protected)\s*:", "", code[head_start:offset])
            kind = kind_of_block(head, stack[-1][0] if stack else "scope")
            stack.append((kind, head_start))
        elif token == "}" and stack:
            kind, start = stack.pop()
            if kind == "function":
                start += len(code[start:offset]) - len(code[start:offset].lstrip())
                yield line_of(code, start), line_of(code, offset)
        head_start = offset + 1


CHECKS = [value for name, value in sorted(globals().items()) if name.startswith("check_")]


def violations(path, text):
    """All violations in a file of these contents: sorted (line, what is wrong)."""
    source = SourceFile(path, text)
    return sorted(found for check in CHECKS for found in check(source))


def source_paths(top):
    for root in ("codec", "fs", "tools", "tests"):
        for directory, subdirectories, names in os.walk(os.path.join(top, root)):
            subdirectories.sort()
            for name in sorted(names):
                if name.endswith((".cc", ".h")):
                    yield os.path.relpath(os.path.join(directory, name), top)


def main(top):
    file_count = violation_count = 0
    for path in source_paths(top):
        file_count += 1
        with open(os.path.join(top, path), encoding="utf-8", errors="replace") as file:
            text = file.read()
        for line, what in violations(path, text):
            violation_count += 1
            print(f"{path}:{line}: {what}")
    print(f"{file_count} files, {violation_count} violations")
    return 1 if violation_count or not file_count else 0


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", "..")))
