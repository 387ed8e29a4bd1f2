#!/usr/bin/env python3
"""Readers that take a gzip file for one member.

usage: single_member_readers.py --list | [--stop | --quick] FILE.gz PLAIN

Decodes FILE.gz with each of them that is here (--quick: with Python's), and
compares with PLAIN. With --stop those must fail, or give less than PLAIN, that
stop after the first member in every version; Node and Java go on when they have
more bytes at hand just then.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zlib


def python_zlib(path):
    return zlib.decompress(open(path, "rb").read(), wbits=31)


def python_decompressobj(path):
    return zlib.decompressobj(wbits=31).decompress(open(path, "rb").read())


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          timeout=120).stdout


NODE_STREAM = """
const fs = require('fs');
const stream = new Blob([fs.readFileSync(process.argv[1])]).stream()
  .pipeThrough(new DecompressionStream('gzip'));
(async () => { for await (const part of stream) fs.writeSync(1, part); })()
  .catch(() => process.exit(1));
"""


def node_decompression_stream(path):
    return run("node", "-e", NODE_STREAM, path)


def node_gunzip_sync(path):
    script = "process.stdout.write(require('zlib').gunzipSync(require('fs').readFileSync(process.argv[1])))"
    return run("node", "-e", script, path)


JAVA_SOURCE = """
public class Gunzip {
  public static void main(String[] a) throws Exception {
    try (var in = new java.util.zip.GZIPInputStream(new java.io.FileInputStream(a[0]))) {
      in.transferTo(System.out);
      System.out.flush();
    }
  }
}
"""


def java_gzip_input_stream(path):
    with tempfile.TemporaryDirectory() as directory:
        source = os.path.join(directory, "Gunzip.java")
        with open(source, "w", encoding="ascii") as file:
            file.write(JAVA_SOURCE)
        return run("java", source, path)


NGINX = """
daemon off; pid {dir}/pid; error_log {dir}/error; {user}
events {{}}
http {{
  access_log off; client_body_temp_path {dir}/1; proxy_temp_path {dir}/2; fastcgi_temp_path {dir}/3;
  uwsgi_temp_path {dir}/4; scgi_temp_path {dir}/5;
  server {{ listen 127.0.0.1:{port}; root {dir}/www; gzip_static on; }}
}}
"""


@contextlib.contextmanager
def nginx_serving(path):
    """Yields a URL under which nginx has `path` in gzip's encoding."""
    with tempfile.TemporaryDirectory() as directory, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        os.chmod(directory, 0o755)
        os.mkdir(os.path.join(directory, "www"))
        shutil.copyfile(path, os.path.join(directory, "www", "file.gz"))
        config = os.path.join(directory, "conf")
        user = "user root;" if os.geteuid() == 0 else ""
        with open(config, "w", encoding="ascii") as file:
            file.write(NGINX.format(dir=directory, port=port, user=user))
        server = subprocess.Popen(["nginx", "-e", directory + "/error", "-c", config],
                                  stderr=subprocess.DEVNULL)
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}/file"
        finally:
            server.terminate()
            server.wait(30)


def curl_from_nginx(path):
    with nginx_serving(path) as url:
        return run("curl", "-sS", "-f", "--compressed", "--noproxy", "*", url)


# Each with the programs it needs and whether it surely stops after the first member.
READERS = ((python_zlib, (), True), (python_decompressobj, (), True),
           (node_decompression_stream, ("node",), False), (node_gunzip_sync, ("node",), False),
           (java_gzip_input_stream, ("java",), False), (curl_from_nginx, ("nginx", "curl"), True))


def here():
    for reader, programs, stops in READERS:
        if all(shutil.which(program) for program in programs):
            yield reader, stops
        else:
            print(f"skipped: {reader.__name__} needs {' and '.join(programs)}", file=sys.stderr)


def decode(reader, path):
    try:
        return reader(path)
    except (zlib.error, subprocess.SubprocessError) as error:
        return f"failed: {error}".encode()


def main(arguments):
    if arguments == ["--list"]:
        print(" ".join(reader.__name__ for reader, _ in here()))
        return 0
    must_stop, is_quick = arguments[0] == "--stop", arguments[0] == "--quick"
    path, plain_path = arguments[-2:]
    plain = open(plain_path, "rb").read()
    wrong = 0
    for reader, stops in here():
        if (must_stop and not stops) or (is_quick and not reader.__name__.startswith("python")):
            continue
        got = decode(reader, path)
        if (got == plain) == must_stop:
            wrong += 1
            what = "gives all of it" if must_stop else f"gives {len(got)} bytes: {got[:80]!r}"
            print(f"{reader.__name__}: {path}: {what}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
