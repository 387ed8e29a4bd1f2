"""What a process of posix.py can be told to do: system calls, their answers as text or numbers."""
import ctypes
import fcntl
import mmap
import os
import signal
import socket
import stat
import struct
import subprocess

import posix_acl_text

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, AT_SYMLINK_NOFOLLOW = -100, 0x100
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2

TYPE_NAMES = {stat.S_IFREG: "regular", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink",
              stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket", stat.S_IFCHR: "char",
              stat.S_IFBLK: "block"}


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


def times_argument(times):
    """Of (atime, mtime), each nanoseconds, "now" or "omit"; None stays None."""
    if times is None:
        return None
    array = (ctypes.c_long * 4)()
    for i, each in enumerate(times):
        special = {"now": UTIME_NOW, "omit": UTIME_OMIT}.get(each)
        seconds, nanoseconds = (0, special) if special else divmod(each, 10 ** 9)
        array[2 * i:2 * i + 2] = [seconds, nanoseconds]
    return array


class Calls:
    """What an actor can be told to do; descriptors have names and stay open."""

    def __init__(self):
        self.fds = {}

    mkdir, rmdir, unlink, symlink, readlink = os.mkdir, os.rmdir, os.unlink, os.symlink, os.readlink
    chmod, chown, lchown, truncate, access = os.chmod, os.chown, os.lchown, os.truncate, os.access
    mkfifo, umask, chdir = os.mkfifo, os.umask, os.chdir

    def mknod(self, path, mode, device=(0, 0)):
        os.mknod(path, mode, os.makedev(*device))

    def link(self, source, target, follow=False):
        os.link(source, target, follow_symlinks=follow)

    def rename(self, source, target, flags=0):
        check(LIBC.renameat2(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), flags))

    def utimens(self, path, times, follow=True):
        check(LIBC.utimensat(AT_FDCWD, os.fsencode(path), times_argument(times),
                             0 if follow else AT_SYMLINK_NOFOLLOW))

    def futimens(self, name, times):
        check(LIBC.futimens(self.fds[name], times_argument(times)))

    def stat(self, path):
        return TYPE_NAMES[stat.S_IFMT(os.stat(path).st_mode)]

    def lstat(self, path):
        return TYPE_NAMES[stat.S_IFMT(os.lstat(path).st_mode)]

    def listdir(self, path):
        return sorted(os.listdir(path))

    def bind(self, path):
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path)

    def connect(self, path):
        with socket.socket(socket.AF_UNIX) as made:
            made.connect(path)

    def talk(self, path):
        """Binds a socket, connects to it, and sends something through."""
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind(path)
            server.listen()
            client.connect(path)
            accepted, _ = server.accept()
            client.sendall(b"word")
            with accepted:
                return accepted.recv(10)

    def open(self, name, path, flags, mode=0o666):
        self.close(name)
        self.fds[name] = os.open(path, flags, mode)

    def close(self, name):
        if name in self.fds:
            os.close(self.fds.pop(name))

    def read(self, name, count):
        return os.read(self.fds[name], count)

    def pread(self, name, count, offset):
        return os.pread(self.fds[name], count, offset)

    def write(self, name, data):
        return os.write(self.fds[name], data)

    def pwrite(self, name, data, offset):
        return os.pwrite(self.fds[name], data, offset)

    def seek(self, name, offset, whence):
        return os.lseek(self.fds[name], offset, whence)

    def ftruncate(self, name, size):
        os.ftruncate(self.fds[name], size)

    def fallocate(self, name, size):
        os.posix_fallocate(self.fds[name], 0, size)

    def fsync(self, name):
        os.fsync(self.fds[name])

    def fchmod(self, name, mode):
        os.fchmod(self.fds[name], mode)

    def fchown(self, name, uid, gid):
        os.fchown(self.fds[name], uid, gid)

    def fchdir(self, name):
        os.fchdir(self.fds[name])

    def fstat(self, name):
        found = os.fstat(self.fds[name])
        size = "" if stat.S_ISDIR(found.st_mode) else " %d bytes" % found.st_size
        return "%s %04o links %d%s" % (TYPE_NAMES[stat.S_IFMT(found.st_mode)],
                                       stat.S_IMODE(found.st_mode), found.st_nlink, size)

    def linkfd(self, name, target):
        """A new name for what a descriptor is open on."""
        os.link("/proc/self/fd/%d" % self.fds[name], target, follow_symlinks=True)

    def dup(self, name, new_name):
        self.close(new_name)
        self.fds[new_name] = os.dup(self.fds[name])

    def reopen(self, name, new_name, flags):
        """Once more, by way of /proc."""
        self.open(new_name, "/proc/self/fd/%d" % self.fds[name], flags)

    def direct_read(self, name, count, offset):
        """Into memory that is aligned to pages, as O_DIRECT wants it."""
        with mmap.mmap(-1, count) as memory:
            return bytes(memory[:os.preadv(self.fds[name], [memory], offset)])

    def direct_write(self, name, data, offset):
        with mmap.mmap(-1, len(data)) as memory:
            memory[:] = data
            return os.pwritev(self.fds[name], [memory], offset)

    def datasync(self, name):
        os.fdatasync(self.fds[name])

    def flock(self, name, operation):
        """"sh", "ex" or "un", without waiting."""
        bits = {"sh": fcntl.LOCK_SH, "ex": fcntl.LOCK_EX, "un": fcntl.LOCK_UN}[operation]
        fcntl.flock(self.fds[name], bits | fcntl.LOCK_NB)

    def lock(self, name, operation, start, length, of_process=True):
        """"r", "w" or "un" of a range: the process's lock, or the open file's. Without waiting."""
        kind = {"r": fcntl.F_RDLCK, "w": fcntl.F_WRLCK, "un": fcntl.F_UNLCK}[operation]
        fcntl.fcntl(self.fds[name], fcntl.F_SETLK if of_process else fcntl.F_OFD_SETLK,
                    struct.pack("hhqqixxxx", kind, os.SEEK_SET, start, length, 0))

    def who_locks(self, name, start, length):
        """The first lock in the way of a write lock: kind, start, length, by process or file."""
        answer = struct.unpack("hhqqixxxx", fcntl.fcntl(
            self.fds[name], fcntl.F_GETLK,
            struct.pack("hhqqixxxx", fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)))
        return "none" if answer[0] == fcntl.F_UNLCK else \
            (answer[0], answer[2], answer[3], "file" if answer[4] == -1 else "process")

    def map(self, name, fd_name, length, shared=True, writable=True):
        self.unmap(name)
        self.fds["map " + name] = mmap.mmap(
            self.fds[fd_name], length, mmap.MAP_SHARED if shared else mmap.MAP_PRIVATE,
            mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0))

    def unmap(self, name):
        if "map " + name in self.fds:
            self.fds.pop("map " + name).close()

    def load(self, name, at, count):
        """From a map. A signal ends a child, not this process."""
        return self.in_child(lambda: bytes(self.fds["map " + name][at:at + count]))

    def store(self, name, at, data):
        def put():
            self.fds["map " + name][at:at + len(data)] = data
            return b""
        return self.in_child(put)

    def msync(self, name, at, count):
        self.fds["map " + name].flush(at, count)

    @staticmethod
    def in_child(work):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            LIBC.prctl(4, 0)  # PR_SET_DUMPABLE: no core dump
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(work())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            data = pipe.read()
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            return signal.Signals(os.WTERMSIG(status)).name
        return data

    def setacl(self, path, text, kind="access"):
        os.setxattr(path, posix_acl_text.NAMES[kind], posix_acl_text.encode(text))

    def getacl(self, path, kind="access"):
        return posix_acl_text.decode(os.getxattr(path, posix_acl_text.NAMES[kind]))

    def removeacl(self, path, kind="access"):
        os.removexattr(path, posix_acl_text.NAMES[kind])

    def setxattr(self, path, name, value, flags=0, follow=True):
        os.setxattr(path, name, value, flags, follow_symlinks=follow)

    def getxattr(self, path, name, follow=True):
        return os.getxattr(path, name, follow_symlinks=follow)

    def listxattr(self, path, follow=True):
        return sorted(os.listxattr(path, follow_symlinks=follow))

    def removexattr(self, path, name, follow=True):
        os.removexattr(path, name, follow_symlinks=follow)

    def execute(self, path, *arguments):
        return subprocess.run([path, *arguments], executable=path, capture_output=True).stdout

    def start(self, name, path, *arguments):
        self.fds[name] = subprocess.Popen([path, *arguments], executable=path)

    def stop(self, name):
        process = self.fds.pop(name)
        process.kill()
        process.wait()
