"""What every server of servers.py stands on: free ports, temporary directories, processes in sessions of their own that
are ended with all they started, and certificates. What a broken test leaves behind is ended at exit, and if the test
process itself is killed, the kernel kills the servers with it (PR_SET_PDEATHSIG). Start servers from the main thread for
that reason.
"""
import atexit
import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

LOCALHOST = "127.0.0.1"
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


# ---- ports, users, directories ------------------------------------------------------------------------------------

_given_ports = set()


def free_port():
    """A TCP port nobody listens on now, never given twice in this process."""
    while True:
        with socket.socket() as s:
            s.bind((LOCALHOST, 0))
            port = s.getsockname()[1]
        if port not in _given_ports:
            _given_ports.add(port)
            return port


def _roomy():
    """Where temporary directories go: memory if there is enough of it, which makes starts several times faster."""
    try:
        room = os.statvfs("/dev/shm")
        if os.access("/dev/shm", os.W_OK) and room.f_bavail * room.f_frsize > 2 << 30:
            return "/dev/shm"
    except OSError:
        pass
    return "/tmp"


class Temporary:
    """Temporary directories, all removed at exit. They are short, since a Unix socket's path may have 107 bytes."""

    made = []
    base = _roomy()

    @classmethod
    def directory(cls, name, user=None, base=None):
        path = pathlib.Path(tempfile.mkdtemp(prefix=f"vt-{name}-", dir=base or cls.base))
        cls.made.append(path)
        give(path, user)
        return path

    @classmethod
    def remove(cls, path):
        shutil.rmtree(path, ignore_errors=True)
        if path in cls.made:
            cls.made.remove(path)

    @classmethod
    def remove_all(cls):
        for path in list(cls.made):
            cls.remove(path)


def temporary_directory(name, user=None):
    """A new directory, owned by `user`, removed at exit."""
    return Temporary.directory(name, user)


def give(path, user):
    """Makes `user` the owner of a file or a whole directory, if we may."""
    if user is None or os.geteuid() != 0:
        return
    entry = pwd.getpwnam(user)
    for root, directories, files in os.walk(path):
        for name in directories + files:
            os.lchown(os.path.join(root, name), entry.pw_uid, entry.pw_gid)
    os.lchown(path, entry.pw_uid, entry.pw_gid)


def as_user(user):
    """Popen arguments to become `user`, in a session of its own, dying with us."""
    parent = os.getpid()

    def die_with_parent():
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    arguments = {"start_new_session": True, "preexec_fn": die_with_parent, "stdin": subprocess.DEVNULL}
    if user is not None and os.geteuid() == 0:
        entry = pwd.getpwnam(user)
        arguments.update(user=entry.pw_uid, group=entry.pw_gid, extra_groups=[])
    return arguments


def run_as(user, command, **more):
    """Runs a command to its end as `user`; its output is in the exception if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                          cwd="/", **as_user(user), **more)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def program(name, *directories):
    """The path of an installed program, also where only root looks."""
    for directory in list(directories) + os.environ.get("PATH", "").split(":") + ["/usr/sbin", "/sbin"]:
        path = pathlib.Path(directory) / name
        if path.exists():
            return str(path)
    raise FileNotFoundError(f"{name} is not installed")


# ---- processes ----------------------------------------------------------------------------------------------------

def children_of(pid):
    try:
        return [int(c) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
                for c in (task / "children").read_text().split()]
    except OSError:
        return []


def threads_of(pid):
    try:
        return list(pathlib.Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def state_of(thread):
    """The letter of proc(5): R, S, D, T, Z; X where it is gone."""
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def tree_of(pid):
    """pid and all that descend from it, parents first."""
    found = [pid]
    for p in found:
        found.extend(children_of(p))
    return found


def _signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def wait_until(condition, timeout=20.0, what="the condition"):
    """Polls `condition` until it gives something true, and returns that."""
    end = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come true within {timeout} s")
        time.sleep(0.01)


def listens(port):
    """Whether something listens on this TCP port of 127.0.0.1 or of every address. Found without connecting, which would
    count in the server's log and statistics."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    return any(r[3] == "0A" and r[1] in (f"0100007F:{port:04X}", f"00000000:{port:04X}") for r in rows)


def listens_unix(path):
    """The same for a Unix socket."""
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as table:
        rows = [line.split() for line in table][1:]
    return any(len(r) > 7 and r[7] == str(path) and int(r[3], 16) & 0x10000 for r in rows)


class Server:
    """What all servers here share. A subclass says how it is prepared (once), started, and when it is ready."""

    name = "server"
    user = None
    stop_signal = signal.SIGTERM
    running = set()

    def __init__(self):
        self.host = LOCALHOST
        self.port = free_port()
        self.directory = temporary_directory(self.name, self.user)
        self._process = None
        self._is_prepared = False

    # -- for subclasses
    def prepare(self):
        """Makes data and configuration; called once, before the first start."""

    def command(self):
        raise NotImplementedError

    def is_ready(self):
        return listens(self.port)

    # -- for tests
    def start(self, timeout=20.0):
        if not self._is_prepared:
            self.prepare()
            self._is_prepared = True
        with open(self.log_path, "ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.directory,
                                             **as_user(self.user))
        Server.running.add(self)
        end = time.monotonic() + timeout
        while not self.is_ready():
            if self._process.poll() is not None:
                code = self._process.returncode
                self.stop()
                raise RuntimeError(f"{self.name} ended with {code} while it started:\n{self.log()[-4000:]}")
            if time.monotonic() > end:
                self.stop()
                raise TimeoutError(f"{self.name} was not ready within {timeout} s:\n{self.log()[-4000:]}")
            time.sleep(0.01)
        return self

    def stop(self, patience=5.0):
        """Ends the server: politely first, then the whole tree by force. The data stays for the next start()."""
        process, self._process = self._process, None
        Server.running.discard(self)
        if process is None:
            return
        tree = tree_of(process.pid)
        _signal(process.pid, self.stop_signal)
        for pid in tree:
            _signal(pid, signal.SIGCONT)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            tree = tree_of(process.pid)
        for pid in tree[1:]:
            if os.path.exists(f"/proc/{pid}") and pid not in (0, 1, os.getpid()):
                _signal(pid, signal.SIGKILL)
        process.kill()
        process.wait()

    def kill(self):
        """Ends the server at once, as a crash would: nothing is flushed, nobody is told."""
        if self._process is not None:
            for pid in reversed(tree_of(self._process.pid)):
                _signal(pid, signal.SIGKILL)
        self.stop()

    def hang(self):
        """Stops the whole tree with SIGSTOP: the kernel still accepts connections, nobody answers them."""
        stopped = set()
        while True:
            new = [pid for pid in tree_of(self.pid) if pid not in stopped]
            if not new:
                break
            for pid in new:
                _signal(pid, signal.SIGSTOP)
                stopped.add(pid)
        # The signal is sent; on a busy machine a thread may answer one more question before it gets it.
        end = time.monotonic() + 5
        while any(state_of(thread) in "RSD" for pid in stopped for thread in threads_of(pid)) and time.monotonic() < end:
            time.sleep(0.005)

    def resume(self):
        for pid in reversed(tree_of(self.pid)):
            _signal(pid, signal.SIGCONT)

    @property
    def pid(self):
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run")
        return self._process.pid

    @property
    def log_path(self):
        return self.directory / "log"

    def log(self):
        """All it has written so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_mark(self):
        """Remember this and give it to log_since()."""
        return self.log_path.stat().st_size

    def log_since(self, mark):
        with open(self.log_path, "rb") as log:
            log.seek(mark)
            return log.read().decode(errors="replace")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        Temporary.remove(self.directory)


@atexit.register
def _leave_nothing():
    for server in list(Server.running):
        server.stop(patience=0.5)
    Temporary.remove_all()


# ---- certificates ---------------------------------------------------------------------------------------------------

class Certificates:
    """A small authority and what it signed, made with openssl; see the attributes. Certificates.shared() is made once a
    session, readable by everybody."""

    _shared = None

    @classmethod
    def shared(cls):
        if cls._shared is None:
            cls._shared = cls()
        return cls._shared

    def __init__(self):
        # Not in /dev/shm: nodes that have a /dev/shm of their own read them, too.
        self.directory = Temporary.directory("tls", base="/tmp")
        self.directory.chmod(0o755)
        self.ca = self._path("ca.pem")
        self._openssl("req", "-x509", *self._new_key("ca.key"), "-subj", "/CN=vitald test authority", "-days", "30",
                      "-out", self.ca)
        self.other_ca = self._path("other.pem")  # knows nothing of ours
        self._openssl("req", "-x509", *self._new_key("other.key"), "-subj", "/CN=another authority", "-days", "10",
                      "-out", self.other_ca)
        (self.directory / "index").write_text("")
        (self.directory / "index.attr").write_text("unique_subject = no\n")
        (self.directory / "serial").write_text("1000\n")
        (self.directory / "ca.cnf").write_text(
            "[ca]\ndefault_ca = d\n[d]\ndatabase = index\nserial = serial\nnew_certs_dir = .\npolicy = p\n"
            "default_md = sha256\ncopy_extensions = copy\n[p]\ncommonName = supplied\n")
        names = "DNS:localhost,IP:127.0.0.1,IP:::1"
        self.certificate, self.key = self._sign("server", names)
        self.expired, self.expired_key = self._sign("expired", names, "20200101000000Z", "20200201000000Z")
        self.wrong_name, self.wrong_name_key = self._sign("elsewhere.example", "DNS:elsewhere.example")
        self.client, self.client_key = self._sign("app", "DNS:app")

    def key_for(self, user, key=None):
        """A copy of a private key which only `user` may read, as PostgreSQL demands."""
        path = temporary_directory("key", user) / "key.pem"
        shutil.copy(key or self.key, path)
        path.chmod(0o600)
        give(path, user)
        return path

    def _path(self, name):
        return self.directory / name

    def _new_key(self, name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", self._path(name)]

    def _sign(self, name, alternatives, start="20200101000000Z", end=None):
        end = end or time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + 10 * 86400))
        certificate, key, request = self._path(f"{name}.pem"), self._path(f"{name}.key"), self._path(f"{name}.csr")
        self._openssl("req", "-new", *self._new_key(f"{name}.key"), "-subj", f"/CN={name}", "-addext",
                      f"subjectAltName={alternatives}", "-out", request)
        self._openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", self.ca, "-keyfile", self._path("ca.key"),
                      "-startdate", start, "-enddate", end, "-in", request, "-out", certificate)
        key.chmod(0o644)
        return certificate, key

    def _openssl(self, *arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], cwd=self.directory, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {arguments[0]}: {done.stdout}")
