#!/usr/bin/env python3
"""Tests of check_style.py: what each rule must flag, and look-alikes it must leave alone."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import check_style  # noqa: E402


def found_in(code, path="fs/store/sample.cc"):
    """The texts of all violations in `code`, put below an opening comment."""
    opening = "// A sample.\n" + ("#pragma once\n" if path.endswith(".h") else "")
    return [what for _, what in check_style.violations(path, opening + code)]


class MustBeFlagged(unittest.TestCase):
    def flagged(self, code, fragment, path="fs/store/sample.cc"):
        texts = found_in(code, path)
        self.assertTrue(any(fragment in text for text in texts),
                        f"{fragment!r} expected for {code!r}, got {texts}")

    def test_include_upwards(self):
        for path, target in [
                ("codec/base/a.h", "codec/member.h"), ("codec/a.cc", "fs/sys/io.h"),
                ("codec/a.cc", "fs/store/x.h"), ("fs/sys/a.h", "codec/member.h"),
                ("fs/sys/a.h", "fs/store/x.h"), ("fs/store/a.cc", "fs/vfs/inode.h"),
                ("fs/store/a.cc", "fs/fuse/adapter.h"), ("fs/vfs/a.cc", "fs/fuse/adapter.h"),
                ("fs/fuse/a.cc", "tools/mount.h"), ("tools/a.cc", "tests/unit/helper.h")]:
            self.flagged(f'#include "{target}"\n', "must not include", path)
            self.flagged(f"#include <{target}>\n", "must not include", path)

    def test_include_that_hides_its_layer(self):
        self.flagged('#include "../fuse/adapter.h"\n', "from the top")
        self.flagged('#include "base_file.h"\n', "from the top")

    def test_fuse_outside_its_directory(self):
        for header in ("fuse.h", "fuse_lowlevel.h", "fuse3/fuse.h", "fuse_opt.h", "linux/fuse.h"):
            self.flagged(f"#include <{header}>\n", "fs/fuse alone")
            self.flagged(f"#include <{header}>\n", "fs/fuse alone", "tools/main.cc")
        self.flagged("void Reply(fuse_req_t request);\n", "outside fs/fuse", "fs/vfs/attr.h")

    def test_files_in_codec(self):
        self.flagged("#include <unistd.h>\n", "knows no files", "codec/member.cc")
        self.flagged("#include <fstream>\n", "knows no files", "codec/member.cc")

    def test_long_file_and_long_line(self):
        self.flagged("int a;\n" * 400, "401 lines")
        self.flagged("int a;" + " " * 94 + "\n" + "// " + "x" * 98 + "\n", "101 columns")

    def test_long_functions(self):
        body = "  Step();\n" * 69
        for head in ("void F() {", "TEST(Suite, Case) {", "int C::F(int a) const {",
                     "C::C(int a) : a_(a) {", "template <class T>\nauto F(T t) -> int {",
                     "struct stat F() {", "bool operator()(int a) const noexcept override {",
                     "void F() REQUIRES(mutex_) {", "const auto f = [](int a) {"):
            self.flagged(f"namespace n {{\n{head}\n{body}}}\n}}\n", "function of 7")
            self.flagged(f"class CAPABILITY(\"m\") C : D {{\n public:\n{head}\n{body}}}\n}};\n",
                         "function of 7")

    def test_long_function_with_blocks_and_literals(self):
        body = "  if (a) {\n    s = \"}\";  // }\n  } else { c = '}'; n = 1'000; }\n" * 24
        self.flagged("void F() {\n" + body + "}\n", "function of 74 lines")

    def test_openings(self):
        self.assertIn("file must begin", check_style.violations("fs/sys/a.h", "#pragma once\n")[0][1])
        self.assertIn("file must begin", check_style.violations("fs/sys/a.cc", "")[0][1])
        self.assertIn("#pragma once", check_style.violations("fs/sys/a.h", "// A.\nint a;\n")[0][1])

    def test_unfinished(self):
        for word in ("TODO", "FIXME", "XXX"):
            self.flagged(f"// {word}: later\n", word)
            self.flagged(f"int a;  /* {word}(me) */\n", word, "tests/unit/a_test.cc")

    def test_using_namespace(self):
        self.flagged("using  namespace std;\n", "using namespace", "tests/unit/a_test.cc")

    def test_sleep(self):
        for call in ("usleep(5);", "::nanosleep(&t, nullptr);", "sleep(1);",
                     "std::this_thread::sleep_for(1ms);", "std::this_thread::sleep_until(t);"):
            self.flagged(f"void F() {{\n  {call}\n}}\n", "wait for the condition")

    def test_raw_calls(self):
        for call in ("::open(path, 0)", "open(path, 0)", "openat(fd, path, 0)", "::read(fd, p, n)",
                     "pread(fd, p, n, 0)", "::write (fd, p, n)", "pwrite(fd, p, n, 0)",
                     "::rename(a, b)", "std::rename(a, b)", "unlink(a)", "unlinkat(fd, a, 0)",
                     "fsync(fd)", "fdatasync(fd)", "ftruncate(fd, 0)", "std::fopen(a, b)"):
            for line in (f"  {call};", f"  return {call};", f"  int r = {call};",
                         f"  if (a && {call} < 0) return;", f"  while (!{call}) {{}}",
                         f"  auto f = [this] {{ return {call}; }};", f"  else {call};",
                         f"  F({call});", f"  (void){call};"):
                for path in ("fs/store/a.cc", "fs/fuse/a.cc", "codec/a.cc", "tools/a.cc"):
                    self.flagged(line + "\n", "outside fs/sys", path)

    def test_misplaced_files(self):
        self.flagged("", "not a layer", "fs/other/a.h")
        self.flagged("", "compiles", "tools/more/a.cc")
        self.flagged("", "compiles", "tests/a_test.cc")


class MustPass(unittest.TestCase):
    def passes(self, code, path="fs/store/sample.cc"):
        self.assertEqual(found_in(code, path), [])

    def test_include_downwards(self):
        for path, target in [
                ("codec/a.cc", "codec/base/result.h"), ("fs/sys/a.h", "codec/base/result.h"),
                ("fs/store/a.cc", "fs/sys/io.h"), ("fs/store/a.cc", "codec/member.h"),
                ("fs/vfs/a.cc", "fs/store/content.h"), ("fs/fuse/a.cc", "fs/vfs/inode.h"),
                ("tools/a.cc", "fs/fuse/adapter.h"), ("tests/unit/fs/fuse/a_test.cc", "tools/a.h")]:
            self.passes(f'#include "{target}"\n', path)
        self.passes("#include <fuse_lowlevel.h>\nvoid F(fuse_req_t r);\n", "fs/fuse/adapter.h")
        self.passes('// #include "fs/fuse/adapter.h"\n')

    def test_calls_of_our_own(self):
        self.passes("void F() {\n  file.read(p, n);\n  file->write(p, n);\n  Io::pread(p);\n"
                    "  io::open(p);\n  Reopen(p);\n  thread_read(p);\n}\n")
        self.passes("struct Ops {\n  Result<void> rename(int a);\n  int* fsync(int fd);\n};\n"
                    .replace("int* fsync", "Code fsync"))
        self.passes("// open( and ::read( in a comment\nconst char* k = \"open(x)\";\n")
        self.passes("ops.open = Open;\nops.read = Read;\nint F() { return timer.sleep_for(2); }\n")

    def test_raw_calls_where_they_belong(self):
        self.passes("int F() { return ::open(p, 0); }\n", "fs/sys/io.cc")
        self.passes("int F() { return ::open(p, 0) + usleep(1); }\n", "tests/mount/a_test.cc")

    def test_sizes_at_their_limit(self):
        self.passes("int a;\n" * 399)
        self.passes("// " + "x" * 97 + "\n")
        self.passes("// " + "\u00e9" * 97 + "\n")
        self.passes("void F() {\n" + "  Step();\n" * 68 + "}\n")
        self.passes("namespace a {\nclass B {\n public:\n" + "  void F() {\n    G();\n  }\n" * 40 +
                    "};\n}\n")
        self.passes("constexpr int kTable[] = {\n" + "  1,\n" * 100 + "};\n")
        self.passes("enum class E {\n" + "  kA,\n" * 100 + "};\n")
        self.passes("#define M(x) \\\n  do { \\\n" * 40 + "\nvoid F() {\n}\n")

    def test_raw_strings_hide_their_contents(self):
        self.passes('const char* k = R"x(using namespace std; { ::open( )")x";\n')


if __name__ == "__main__":
    unittest.main()
