"""One side of posix.py: system calls as different users in one directory, and their answers.

What is compared is the text that a Side notes for each call: its answer or its errno, and of each
file that it watches the type, mode, links, owner, group, size and what became of its times. A time
is "kept", "now", so many seconds off, or, when it was set to something else, that.
"""
import errno
import multiprocessing
import os
import shutil
import signal
import socket
import stat
import time

from posix_calls import LIBC, TYPE_NAMES, Calls

PR_SET_PDEATHSIG = 1
CLOCK_REALTIME_COARSE = 5  # the clock that files are stamped with

# uid, gid, supplementary groups. STAFF is the group that some are in besides their own.
STAFF = 61009
USERS = {
    "root": (0, 0, []),
    "root's other": (0, 0, []),  # a second process
    "ann": (61001, 61001, []),
    "ann+": (61001, 61001, [61008, STAFF]),
    "bob": (61002, 61002, []),
    "bob+": (61002, 61002, [STAFF, 61007]),
    "cat": (61003, 61001, []),  # in ann's own group
}
ANN, BOB = USERS["ann"][0], USERS["bob"][0]


class Actor:
    """A process that is one user, for good."""

    def __init__(self, uid, gid, groups):
        self.directory = None
        self.pipe, its_end = multiprocessing.Pipe()
        if os.fork() == 0:
            try:
                os.setgroups(groups)
                os.setresgid(gid, gid, gid)
                os.setresuid(uid, uid, uid)
                LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                self.serve(its_end)
            finally:
                os._exit(0)
        its_end.close()

    @staticmethod
    def serve(pipe):
        calls = Calls()
        while True:
            name, arguments = pipe.recv()
            try:
                answer = getattr(calls, name)(*arguments)
            except OSError as error:
                answer = errno.errorcode.get(error.errno, str(error))
            except KeyError:  # the open before failed
                answer = "EBADF"
            pipe.send("ok" if answer is None else answer)

    def call(self, name, *arguments):
        self.pipe.send((name, arguments))
        return self.pipe.recv()


class Side:
    """Carries the cases out in one directory. `say(title, notes)` takes each finished part."""

    def __init__(self, top, say):
        self.top, self.say = top, say
        self.actors, self.count, self.title, self.notes = {}, 0, "", []
        longest = os.pathconf(top, "PC_NAME_MAX")
        self.words = {"{max}": "n" * longest, "{long}": "n" * (longest + 1)}

    def fresh(self, title, directory=None):
        """An empty directory for the calls that follow, or `directory`, and it is returned.

        What was noted until now is given away; the directory that it was noted of goes.
        """
        self.finish(directory)
        self.title = title
        if not directory:
            self.count += 1
            # One deeper than it need be, so that ".." is no other part's either.
            directory = os.path.join(self.top, "%05d" % self.count, "here")
            os.makedirs(directory)
        self.directory = directory
        os.chdir(directory)
        return directory

    def finish(self, directory=None):
        if not self.notes:
            return
        self.say(self.title, self.notes)
        self.notes = []
        if directory != self.directory:
            os.chdir(self.top)
            shutil.rmtree(os.path.dirname(self.directory))

    def fill(self, argument):
        if isinstance(argument, str) and "{" in argument:
            for word, text in self.words.items():
                argument = argument.replace(word, text)
        return argument

    def path(self, name):
        return os.path.join(self.directory, self.fill(name))

    def actor(self, who):
        if who not in self.actors:
            self.actors[who] = Actor(*USERS[who])
            self.actors[who].call("umask", 0)
        actor = self.actors[who]
        if actor.directory != self.directory:
            arrived = actor.call("chdir", self.directory)
            if arrived != "ok":
                raise RuntimeError("%s cannot go to %s: %s" % (who, self.directory, arrived))
            actor.directory = self.directory
        return actor

    def do(self, who, call, *arguments, watch=(), atime=False):
        """Makes `who` do `call` and notes the answer and what became of the watched files."""
        # A file may come from a name that is not watched.
        named = {name for name in arguments if isinstance(name, str) and name} if watch else ()
        before = {name: self.lstat(name) for name in {*watch, *named}}
        began = self.wait_for_clock(before.values()) if watch else None
        answer = self.actor(who).call(call, *map(self.fill, arguments))
        known = {each.st_ino: each for each in before.values() if not isinstance(each, str)}
        seen = ["%s: %s" % (name, self.change_of(known, self.lstat(name), began, atime))
                for name in watch]
        if call == "umask":
            answer = "ok"
        self.notes.append(("%s: %s%r" % (who, call, arguments), answer, seen))
        return answer

    def lstat(self, name):
        try:
            return os.lstat(self.path(name))
        except OSError as error:
            return errno.errorcode[error.errno]

    @staticmethod
    def wait_for_clock(found):
        """Until a file changed now gets another time than any of these; returns what time it is."""
        now = time.clock_gettime_ns(CLOCK_REALTIME_COARSE)
        newest = max([0] + [t for each in found if not isinstance(each, str)
                            for t in (each.st_mtime_ns, each.st_ctime_ns, each.st_atime_ns)
                            if t < now + 10 ** 9])
        while now <= newest:
            time.sleep(0.0005)
            now = time.clock_gettime_ns(CLOCK_REALTIME_COARSE)
        return now

    @staticmethod
    def change_of(known, after, began, atime):
        """`after` as text; `known` is what there was before `began`, by inode number."""
        if isinstance(after, str):
            return after
        kind = stat.S_IFMT(after.st_mode)
        text = "%s %04o links %d owner %d:%d" % (TYPE_NAMES[kind], stat.S_IMODE(after.st_mode),
                                                 after.st_nlink, after.st_uid, after.st_gid)
        if kind in (stat.S_IFREG, stat.S_IFLNK):
            text += " %d bytes" % after.st_size
        if kind in (stat.S_IFCHR, stat.S_IFBLK):
            text += " device %x" % after.st_rdev
        before = known.get(after.st_ino)
        now = time.time_ns()
        for field in ("st_mtime_ns", "st_ctime_ns") + (("st_atime_ns",) if atime else ()):
            value = getattr(after, field)
            if before and value == getattr(before, field):
                value = "kept"
            elif abs(now - value) < 10 ** 12:  # else somebody set it to this very time
                value = "now" if began <= value <= now else "%+d s" % ((value - began) // 10 ** 9)
            text += " %s %s" % (field[3:8], value)
        return text

    def tree(self):
        """Notes every file below the directory, with its contents."""
        found = []
        for directory, names, files in os.walk(self.directory):
            for name in names + files:
                path = os.path.join(directory, name)
                each = os.lstat(path)
                text = "%s %s" % (os.path.relpath(path, self.directory).replace(
                    self.words["{max}"], "{max}"), self.change_of({}, each, 0, False)
                    .partition(" mtime")[0])
                if stat.S_ISREG(each.st_mode):
                    with open(path, "rb") as file:
                        text += " %r" % file.read(100)
                if stat.S_ISLNK(each.st_mode):
                    text += " to %s" % os.readlink(path)
                found.append(text)
        self.notes.append(("everything there", "", sorted(found)))

    def look(self, name):
        """Notes a file's attributes, without its times."""
        found = self.lstat(name)
        text = found if isinstance(found, str) else self.change_of({}, found, 0, False)
        self.notes.append(("afterwards", text.partition(" mtime")[0], []))

    def same_file(self, *names):
        """Notes whether these are names of one file."""
        inos = {found if isinstance(found, str) else (found.st_dev, found.st_ino)
                for found in map(self.lstat, names)}
        self.notes.append(("same file: %s" % " ".join(names), len(inos) == 1, []))

    def make(self, kind, name, mode=None, owner=(0, 0)):
        """A file of that kind; "full" is a directory with a file in it, "none" nothing at all."""
        path = self.path(name)
        if kind == "regular":
            with open(path, "wb") as file:
                file.write(b"some bytes")
        elif kind in ("directory", "full"):
            os.mkdir(path)
            if kind == "full":
                with open(os.path.join(path, "inside"), "wb"):
                    pass
        elif kind == "symlink":
            os.symlink("target of " + name, path)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(name)  # a socket's path is short
        elif kind != "none":
            bits = {"fifo": stat.S_IFIFO, "char": stat.S_IFCHR, "block": stat.S_IFBLK}[kind]
            os.mknod(path, bits | 0o644, os.makedev(1, 3))
        if kind != "none" and owner != (0, 0):
            os.lchown(path, *owner)
        if kind not in ("none", "symlink"):
            os.chmod(path, 0o755 if mode is None and kind in ("directory", "full")
                     else 0o644 if mode is None else mode)
