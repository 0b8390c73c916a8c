"""Real servers for the end-to-end tests, each on free ports in its own temporary directory, as the user it wants.

    with Postgres() as db:                 # about 1 s the first time, 0.3 s after
        db.sql("ALTER USER app PASSWORD 'other'")
        db.hang(); db.resume()             # SIGSTOP and SIGCONT for the whole process tree
        db.stop(); db.start()              # same port, same data

Every server is a context manager and has: host, port, pid, log() (what it wrote), start(), stop(), hang(), resume().
Stopping always ends the whole tree; what a broken test leaves behind is ended at exit, and if the test process itself is
killed, the kernel kills the servers with it (PR_SET_PDEATHSIG). Start servers from the main thread for that reason.

Initialised data directories are made once a session and copied. Run as root the servers run as postgres, mysql,
openldap or nobody; run as anybody else they run as that user.
"""
import atexit
import ctypes
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

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


class _Temporary:
    """Temporary directories, all removed at exit. They are short, since a Unix socket's path may have 107 bytes."""

    made = []
    base = _roomy()

    @classmethod
    def directory(cls, name, user=None):
        path = pathlib.Path(tempfile.mkdtemp(prefix=f"vt-{name}-", dir=cls.base))
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
    return _Temporary.directory(name, user)


def give(path, user):
    """Makes `user` the owner of a file or a whole directory, if we may."""
    if user is None or os.geteuid() != 0:
        return
    entry = pwd.getpwnam(user)
    for root, directories, files in os.walk(path):
        for name in directories + files:
            os.lchown(os.path.join(root, name), entry.pw_uid, entry.pw_gid)
    os.lchown(path, entry.pw_uid, entry.pw_gid)


def _as_user(user):
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
                          cwd="/", **_as_user(user), **more)
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


def accepts(host, port):
    """Whether something accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
        return True
    except OSError:
        return False


def listens(port):
    """Whether a TCP socket of IPv4 listens on this port, as the kernel tells it."""
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


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
        return accepts(self.host, self.port)

    # -- for tests
    def start(self, timeout=20.0):
        if not self._is_prepared:
            self.prepare()
            self._is_prepared = True
        with open(self.log_path, "ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.directory,
                                             **_as_user(self.user))
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
                return
            for pid in new:
                _signal(pid, signal.SIGSTOP)
                stopped.add(pid)

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
        _Temporary.remove(self.directory)


@atexit.register
def _leave_nothing():
    for server in list(Server.running):
        server.stop(patience=0.5)
    _Temporary.remove_all()


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
        self.directory = temporary_directory("tls")
        self.directory.chmod(0o755)
        self.ca = self._path("ca.pem")
        self._openssl("req", "-x509", *self._new_key("ca.key"), "-subj", "/CN=vitald test authority", "-days", "10",
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


_templates = {}


def _from_template(kind, make, target, user):
    """Copies an initialised data directory, which `make(path)` fills the first time."""
    if kind not in _templates:
        path = temporary_directory(f"{kind}-template", user)
        make(path)
        _templates[kind] = path
    run_as(user, ["cp", "-a", "--reflink=auto", f"{_templates[kind]}/.", str(target)])


# ---- PostgreSQL -------------------------------------------------------------------------------------------------------

class Postgres(Server):
    """PostgreSQL with a database `app`, owned by the user `app` with password app_password. TLS is on and offered, not
    demanded; pg_hba lines may be given. Postgres(standby_of=primary) is a streaming standby."""

    name = "pg"
    user = "postgres"
    stop_signal = signal.SIGINT  # "fast": does not wait for clients
    app_user, app_password, app_database = "app", "s3cret-pg", "app"

    def __init__(self, standby_of=None, settings=None, certificate=None, key=None, hba=()):
        super().__init__()
        self.bin = program("initdb", *sorted(map(str, pathlib.Path("/usr/lib/postgresql").glob("*/bin")), reverse=True))
        self.bin = pathlib.Path(self.bin).parent
        self.primary = standby_of
        self.data = self.directory / "data"
        tls = Certificates.shared()
        self.settings = {
            "listen_addresses": LOCALHOST, "port": self.port, "unix_socket_directories": self.directory,
            "fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB", "max_connections": 20,
            "wal_level": "replica", "max_wal_senders": 4, "log_connections": "off", "log_min_messages": "info",
            "lc_messages": "C", "ssl": "on", "ssl_cert_file": certificate or tls.certificate,
            "ssl_key_file": tls.key_for(self.user, key), "ssl_ca_file": tls.ca, **(settings or {})}
        self.hba = hba

    def prepare(self):
        self.data.mkdir(mode=0o700)
        give(self.data, self.user)
        if self.primary is not None:
            run_as(self.user, [self.bin / "pg_basebackup", "-h", self.primary.directory, "-p", str(self.primary.port),
                               "-D", self.data, "-R", "-X", "stream", "-c", "fast", "--no-sync"])
        else:
            _from_template("pg", self._initialise, self.data, self.user)
            hba = self.data / "pg_hba.conf"
            hba.write_text("\n".join([*self.hba, "local all postgres trust", "local replication postgres trust",
                                      "local all all scram-sha-256", "hostssl all certuser all cert map=any",
                                      "host all all 127.0.0.1/32 scram-sha-256", ""]))
            (self.data / "pg_ident.conf").write_text("any app certuser\n")
        with open(self.data / "postgresql.conf", "a") as configuration:
            configuration.writelines(f"{k} = '{v}'\n" for k, v in self.settings.items())

    def _initialise(self, path):
        run_as(self.user, [self.bin / "initdb", "-D", path, "-U", "postgres", "--no-sync", "-A", "trust",
                           "--locale=C", "-E", "UTF8"])
        socket_directory = temporary_directory("pgi", self.user)
        server = subprocess.Popen([self.bin / "postgres", "-D", path, "-k", socket_directory, "-c", "listen_addresses=",
                                   "-c", "fsync=off", "-p", "5432"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, **_as_user(self.user))
        try:
            ready = [self.bin / "pg_isready", "-q", "-h", socket_directory]
            wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, what="the template's server")
            run_as(self.user, [self.bin / "psql", "-q", "-h", socket_directory, "-v", "ON_ERROR_STOP=1",
                               "-c", f"CREATE USER {self.app_user} PASSWORD '{self.app_password}'",
                               "-c", "CREATE USER certuser",
                               "-c", f"CREATE DATABASE {self.app_database} OWNER {self.app_user}"])
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(20)

    def command(self):
        return [self.bin / "postgres", "-D", self.data]

    def is_ready(self):
        return b"ready to accept" in self.log_since(self._log_start).encode()

    def sql(self, text, database=None):
        """Runs SQL as the superuser, over the Unix socket; the answer as psql prints it, unaligned, without headers."""
        return run_as(self.user, [self.bin / "psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", self.directory, "-p",
                                  str(self.port), "-U", "postgres", "-d", database or self.app_database, "-c", text]).strip()

    # -- ways to break it that a port check does not see
    def change_password(self, password):
        self.sql(f"ALTER USER {self.app_user} PASSWORD '{password}'")

    def set_read_only(self, on=True):
        self.sql(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if on else 'off'}")
        self.sql("SET default_transaction_read_only = off; SELECT pg_reload_conf()")
        wait_until(lambda: self.sql("SHOW default_transaction_read_only") == ("on" if on else "off"))

    def promote(self):
        self.sql("SELECT pg_promote(true, 20)")


# ---- MariaDB -----------------------------------------------------------------------------------------------------------

class MariaDB(Server):
    """MariaDB with a database `app` and the user `app` with password app_password. TLS is offered, not demanded."""

    name = "maria"
    user = "mysql"
    app_user, app_password, app_database = "app", "s3cret-my", "app"

    def __init__(self, settings=None, certificate=None, key=None):
        super().__init__()
        self.data = self.directory / "data"
        self.socket = self.directory / "s"
        tls = Certificates.shared()
        self.settings = {
            "datadir": self.data, "socket": self.socket, "pid-file": self.directory / "pid", "port": self.port,
            "bind-address": LOCALHOST, "skip-name-resolve": "1", "innodb-flush-log-at-trx-commit": 0,
            "innodb-log-file-size": "4M", "innodb-buffer-pool-size": "16M", "innodb-flush-method": "nosync",
            "key-buffer-size": "1M", "max-connections": 20, "performance-schema": "off", "log-warnings": 2,
            "ssl-cert": certificate or tls.certificate, "ssl-key": tls.key_for(self.user, key), "ssl-ca": tls.ca,
            **(settings or {})}

    def prepare(self):
        self.data.mkdir(mode=0o700)
        give(self.data, self.user)
        _from_template("maria", self._initialise, self.data, self.user)

    def _initialise(self, path):
        run_as(self.user, [program("mariadb-install-db"), "--no-defaults", f"--datadir={path}", "--skip-test-db",
                           "--auth-root-authentication-method=normal", "--innodb-log-file-size=4M",
                           "--innodb-flush-method=nosync", "--skip-name-resolve"])
        bootstrap = (f"FLUSH PRIVILEGES; CREATE DATABASE {self.app_database}; "
                     f"CREATE USER {self.app_user}@'%' IDENTIFIED BY '{self.app_password}'; "
                     f"GRANT ALL ON {self.app_database}.* TO {self.app_user}@'%';\n")
        run_as(self.user, ["sh", "-c", 'printf %s "$2" | exec "$1" --no-defaults --bootstrap --datadir="$3" '
                           '--innodb-log-file-size=4M --innodb-flush-method=nosync',
                           "sh", program("mariadbd"), bootstrap.replace("; ", ";\n"), str(path)])

    def command(self):
        return [program("mariadbd"), "--no-defaults", *[f"--{k}={v}" for k, v in self.settings.items()]]

    def is_ready(self):
        return "ready for connections" in self.log_since(self._log_start) and accepts_unix(self.socket)

    def sql(self, text, database=None):
        """Runs SQL as root, over the Unix socket; rows as tab-separated lines."""
        return run_as(self.user, ["mariadb", "--no-defaults", "-u", "root", "-S", self.socket, "-N", "-B",
                                  *([database] if database else []), "-e", text]).strip()

    def status(self, variable):
        """One of the server's counters, as a number."""
        return int(self.sql(f"SHOW GLOBAL STATUS LIKE '{variable}'").split("\t")[1])

    def change_password(self, password):
        self.sql(f"ALTER USER {self.app_user}@'%' IDENTIFIED BY '{password}'")

    def set_read_only(self, on=True):
        self.sql(f"SET GLOBAL read_only = {'1' if on else '0'}")


def accepts_unix(path):
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect(str(path))
            return True
        except OSError:
            return False


# ---- OpenLDAP ----------------------------------------------------------------------------------------------------------

class Slapd(Server):
    """slapd on ldap://, ldaps:// and ldapi:// with dc=example,dc=jp: ou=people holds uid=probe, cn=monitor may read it.
    SASL EXTERNAL maps root's Unix socket and the client certificate CN=app to cn=monitor."""

    name = "slapd"
    user = "openldap"
    suffix = "dc=example,dc=jp"
    root_dn, root_password = "cn=admin,dc=example,dc=jp", "admin-secret"
    bind_dn, bind_password = "cn=monitor,dc=example,dc=jp", "s3cret-ldap"
    people = "ou=people,dc=example,dc=jp"

    def __init__(self, settings="", certificate=None, key=None, with_data=True):
        super().__init__()
        self.tls_port = free_port()
        self.socket = self.directory / "ldapi"
        self.data = self.directory / "data"
        self.with_data = with_data
        self.settings = settings
        tls = Certificates.shared()
        self.certificate, self.key, self.ca = certificate or tls.certificate, key or tls.key, tls.ca

    @property
    def uri(self):
        return f"ldap://{self.host}:{self.port}"

    @property
    def uri_tls(self):
        return f"ldaps://{self.host}:{self.tls_port}"

    @property
    def uri_unix(self):
        return "ldapi://" + urllib.parse.quote(str(self.socket), safe="")

    @property
    def config_path(self):
        return self.directory / "slapd.conf"

    def prepare(self):
        self.data.mkdir(mode=0o700)
        peer = f"gidNumber={os.getegid()}\\\\+uidNumber={os.geteuid()},cn=peercred,cn=external,cn=auth"
        self.config_path.write_text(f"""
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload syncprov
pidfile {self.directory}/pid
TLSCACertificateFile {self.ca}
TLSCertificateFile {self.certificate}
TLSCertificateKeyFile {self.key}
TLSVerifyClient try
authz-regexp "^{peer}$" "{self.bind_dn}"
authz-regexp "^cn=app$" "{self.bind_dn}"
loglevel stats
threads 4
{self.settings}
database mdb
suffix "{self.suffix}"
rootdn "{self.root_dn}"
rootpw {self.root_password}
directory {self.data}
maxsize 16777216
dbnosync
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{self.bind_dn}" read by anonymous auth by * none
""")
        if self.with_data:
            self.load(f"""dn: {self.suffix}
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: {self.bind_dn}
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: monitor
userPassword: {self.bind_password}

dn: {self.people}
objectClass: organizationalUnit
ou: people

dn: uid=probe,{self.people}
objectClass: inetOrgPerson
uid: probe
cn: Probe
sn: Probe
mail: probe@example.jp
description: alive
""")
        give(self.directory, self.user)

    def load(self, ldif):
        """Adds entries while slapd is down."""
        path = self.directory / "load.ldif"
        path.write_text(ldif)
        give(self.directory, self.user)
        run_as(self.user, [program("slapadd"), "-q", "-f", self.config_path, "-l", path])

    def command(self):
        return [program("slapd"), "-f", self.config_path, "-d", "stats", "-h",
                f"{self.uri} {self.uri_tls} {self.uri_unix}"]

    def is_ready(self):
        # It says that it starts before it listens; asking the kernel leaves no connection in its log.
        return "slapd starting" in self.log_since(self._log_start) and listens(self.port)

    def modify(self, ldif):
        """Changes entries as the administrator (ldapmodify)."""
        path = self.directory / "modify.ldif"
        path.write_text(ldif)
        path.chmod(0o644)
        run_as(self.user, ["ldapmodify", "-x", "-H", self.uri, "-D", self.root_dn, "-w", self.root_password, "-f", path])

    def change_password(self, password):
        self.modify(f"dn: {self.bind_dn}\nchangetype: modify\nreplace: userPassword\nuserPassword: {password}\n")

    def empty_people(self):
        """The directory answers, but nobody is in it any more."""
        self.modify(f"dn: uid=probe,{self.people}\nchangetype: delete\n")

    def empty(self):
        """Restarts with a directory in which there is nothing at all, not even the suffix."""
        self.stop()
        for path in self.data.iterdir():
            path.unlink()
        self.start()


# ---- HTTP --------------------------------------------------------------------------------------------------------------

class HttpApp(Server):
    """A small web application in a process of its own. answer(status, body) changes what every path gets; requests()
    counts."""

    name = "app"
    user = "nobody"

    def prepare(self):
        shutil.copy(os.path.abspath(__file__), self.directory / "app.py")  # `nobody` may not read where we are
        self.answer(200, "ok\n")

    def answer(self, status=200, body="ok\n", delay=0.0):
        new = self.directory / "answer.new"
        new.write_text(json.dumps({"status": status, "body": body, "delay": delay}))
        new.chmod(0o644)
        new.rename(self.directory / "answer")

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    def command(self):
        return ["/usr/bin/python3", self.directory / "app.py", "http-app", str(self.port), str(self.directory / "answer")]

    def requests(self):
        return self.log().count("GET ") + self.log().count("HEAD ")


def _http_app(port, answer_path):
    import http.server

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            answer = json.loads(pathlib.Path(answer_path).read_text())
            time.sleep(answer["delay"])
            body = answer["body"].encode()
            self.send_response(answer["status"])
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Server", str(port))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_POST = do_OPTIONS = do_GET

    http.server.ThreadingHTTPServer.request_queue_size = 128
    http.server.ThreadingHTTPServer((LOCALHOST, port), Handler).serve_forever()


class Nginx(Server):
    """nginx that answers `ok` everywhere; more may be put into its server block, and TLS onto tls_port."""

    name = "nginx"
    stop_signal = signal.SIGTERM

    def __init__(self, server_block="location / { return 200 \"ok\\n\"; }", workers=1):
        super().__init__()
        self.tls_port = free_port()
        self.server_block = server_block
        self.workers = workers

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    def prepare(self):
        tls = Certificates.shared()
        user = "user nobody nogroup;" if os.geteuid() == 0 else ""
        (self.directory / "nginx.conf").write_text(f"""
daemon off; {user} worker_processes {self.workers}; pid {self.directory}/pid; error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; default_type text/plain;
  client_body_temp_path {self.directory}/b; proxy_temp_path {self.directory}/p; fastcgi_temp_path {self.directory}/f;
  uwsgi_temp_path {self.directory}/u; scgi_temp_path {self.directory}/s;
  server {{
    listen {self.host}:{self.port}; listen {self.host}:{self.tls_port} ssl;
    ssl_certificate {tls.certificate}; ssl_certificate_key {tls.key};
    {self.server_block}
  }}
}}
""")

    def command(self):
        return [program("nginx"), "-p", self.directory, "-c", self.directory / "nginx.conf"]


# ---- HAProxy -----------------------------------------------------------------------------------------------------------

class HAProxy(Server):
    """HAProxy with one frontend on `port` and one backend `app`, whose servers are given as HAProxy writes them:

        HAProxy(["app1 127.0.0.1:8080 check port 9180 inter 200ms"], backend=["option httpchk GET /health"])

    servers() gives name -> status ("UP", "DOWN", "DRAIN", "MAINT"); runtime() speaks to its socket.
    """

    name = "haproxy"

    def __init__(self, servers, backend=(), sections=""):
        super().__init__()
        self.server_lines = servers
        self.backend = backend
        self.sections = sections
        self.socket = self.directory / "s"

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    def prepare(self):
        lines = "\n".join(f"  {line}" for line in self.backend)
        servers = "\n".join(f"  server {line}" for line in self.server_lines)
        (self.directory / "haproxy.cfg").write_text(f"""
global
  stats socket {self.socket} mode 600 level admin
  log stderr local0
  maxconn 1000
defaults
  mode http
  log global
  timeout connect 1s
  timeout client 10s
  timeout server 10s
  timeout check 2s
  retries 2
  option redispatch
frontend web
  bind {self.host}:{self.port}
  default_backend app
backend app
{lines}
{servers}
{self.sections}
""")

    def command(self):
        return [program("haproxy"), "-db", "-f", self.directory / "haproxy.cfg"]

    def is_ready(self):
        return accepts_unix(self.socket) and accepts(self.host, self.port)

    def runtime(self, command):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(str(self.socket))
            s.sendall(command.encode() + b"\n")
            answer = b""
            while chunk := s.recv(65536):
                answer += chunk
            return answer.decode()

    def servers(self):
        rows = [row.split(",") for row in self.runtime("show stat").lstrip("# ").splitlines() if row]
        column = rows[0].index("status")
        return {r[1]: r[column].split(" ")[0] for r in rows[1:] if r[1] not in ("FRONTEND", "BACKEND")}


if __name__ == "__main__" and sys.argv[1:2] == ["http-app"]:
    _http_app(int(sys.argv[2]), sys.argv[3])
