"""Real servers for the end-to-end tests, each on free ports in its own temporary directory, as the user it wants.

    with Postgres() as db:                 # about 2 s the first time, 0.3 s after
        db.sql("ALTER USER app PASSWORD 'other'")
        db.hang(); db.resume()             # SIGSTOP and SIGCONT for the whole process tree
        db.stop(); db.start()              # same port, same data

Every server is a context manager and has: host, port, pid, log() (what it wrote), log_mark() and log_since(mark), start(),
stop(), kill() (as a crash), hang(), resume(). Stopping always ends the whole tree; serving.py is what they stand on.

Initialised data directories are made once a session and copied. Run as root the servers run as postgres, mysql,
openldap or nobody; run as anybody else they run as that user.
"""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import urllib.parse

# Tests take these from here too.
from serving import (LOCALHOST, Certificates, Server, as_user, free_port, give, listens, listens_unix, program, run_as,
                     temporary_directory, tree_of, wait_until)

__all__ = ["LOCALHOST", "Certificates", "HAProxy", "HttpApp", "MariaDB", "Nginx", "PgBouncer", "Postgres", "Server", "Slapd", "free_port",
           "listens", "listens_unix", "program", "run_as", "temporary_directory", "tree_of", "wait_until"]


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
                                  stderr=subprocess.DEVNULL, **as_user(self.user))
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


class PgBouncer(Server):
    """PgBouncer before a Postgres: its database `app` with a pool of `pool_size`, the user `app`, and the user `stats` with
    password stats_password, who may read the console."""

    name = "pgb"
    user = "postgres"
    stop_signal = signal.SIGINT
    stats_user, stats_password = "stats", "s3cret-stats"

    def __init__(self, server, pool_size=2):
        super().__init__()
        self.server = server
        self.pool_size = pool_size

    def prepare(self):
        (self.directory / "users").write_text(f'"{self.server.app_user}" "{self.server.app_password}"\n'
                                              f'"{self.stats_user}" "{self.stats_password}"\n"admin" "admin"\n')
        (self.directory / "ini").write_text(f"""
[databases]
{self.server.app_database} = host={self.server.host} port={self.server.port}
[pgbouncer]
listen_addr = {self.host}
listen_port = {self.port}
unix_socket_dir = {self.directory}
auth_type = scram-sha-256
auth_file = {self.directory}/users
stats_users = {self.stats_user}
admin_users = admin
pool_mode = session
default_pool_size = {self.pool_size}
query_wait_timeout = 60
""")
        give(self.directory, self.user)

    def command(self):
        return [program("pgbouncer"), self.directory / "ini"]

    def console(self, command):
        """Runs a command on the console, as its administrator."""
        return run_as(self.user, [self.server.bin / "psql", "-qAtX", "-h", self.directory, "-p", str(self.port), "-U", "admin",
                                  "-d", "pgbouncer", "-c", command], env={**os.environ, "PGPASSWORD": "admin"}).strip()

    def occupy(self):
        """A client that takes a connection of the pool and keeps it: a process to be terminated."""
        return subprocess.Popen([self.server.bin / "psql", "-qAtX", "-h", self.host, "-p", str(self.port), "-U",
                                 self.server.app_user, "-d", self.server.app_database, "-c", "SELECT pg_sleep(60)"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                env={**os.environ, "PGPASSWORD": self.server.app_password}, **as_user(self.user))


# ---- MariaDB -----------------------------------------------------------------------------------------------------------

class MariaDB(Server):
    """MariaDB with a database `app` and the user `app` with password app_password. TLS is offered, not demanded.
    MariaDB(replica_of=primary) follows another by GTID; the primary needs settings=MariaDB.LOGS. MariaDB(galera=True) is a
    Galera cluster of one node."""

    LOGS = {"log-bin": "b", "server-id": 1}

    name = "maria"
    user = "mysql"
    app_user, app_password, app_database = "app", "s3cret-my", "app"

    def __init__(self, settings=None, certificate=None, key=None, replica_of=None, galera=False):
        super().__init__()
        self.data = self.directory / "data"
        self.socket = self.directory / "s"
        self.primary = replica_of
        if replica_of is not None:
            settings = {"server-id": 2, "read-only": 1, "slave-net-timeout": 4, "master-retry-count": 0, **(settings or {})}
        if galera:
            provider = f"gmcast.listen_addr=tcp://{LOCALHOST}:{free_port()};gcache.size=1M;pc.wait_prim_timeout=PT1S"
            settings = {"wsrep-on": "ON", "wsrep-provider": "/usr/lib/galera/libgalera_smm.so", "binlog-format": "ROW",
                        "wsrep-cluster-address": "gcomm://", "wsrep-provider-options": provider,
                        "wsrep-node-address": LOCALHOST, "innodb-autoinc-lock-mode": 2, **(settings or {})}
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
        return "ready for connections" in self.log_since(self._log_start) and listens_unix(self.socket)

    def start(self, timeout=20.0):
        is_new = not self._is_prepared
        super().start(timeout)
        if is_new and self.primary is not None:
            self.primary.sql("CREATE USER IF NOT EXISTS follower@'%' IDENTIFIED BY 'follow'; "
                             "GRANT REPLICATION SLAVE ON *.* TO follower@'%'")
            self.sql(f"CHANGE MASTER TO MASTER_HOST='{self.primary.host}', MASTER_PORT={self.primary.port}, "
                     "MASTER_USER='follower', MASTER_PASSWORD='follow', MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1; "
                     "START SLAVE")
        return self

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


# ---- OpenLDAP ----------------------------------------------------------------------------------------------------------

class Slapd(Server):
    """slapd on ldap://, ldaps:// and ldapi:// with dc=example,dc=jp: ou=people holds uid=probe, cn=monitor may read it.
    SASL EXTERNAL maps root's Unix socket and the client certificate CN=app to cn=monitor, which may write cn=canary.
    Slapd(server_id=1) can be replicated from; Slapd(consumer_of=provider) follows it by syncrepl, and shows cn=Monitor."""

    name = "slapd"
    user = "openldap"
    suffix = "dc=example,dc=jp"
    root_dn, root_password = "cn=admin,dc=example,dc=jp", "admin-secret"
    bind_dn, bind_password = "cn=monitor,dc=example,dc=jp", "s3cret-ldap"
    people = "ou=people,dc=example,dc=jp"
    canary = "cn=canary,dc=example,dc=jp"

    def __init__(self, settings="", certificate=None, key=None, with_data=True, server_id=None, consumer_of=None):
        super().__init__()
        self.server_id = server_id
        self.provider = consumer_of
        with_data = with_data and consumer_of is None
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
{f"serverID {self.server_id}" if self.server_id else ""}
{self.settings}
database mdb
suffix "{self.suffix}"
rootdn "{self.root_dn}"
rootpw {self.root_password}
directory {self.data}
maxsize 16777216
dbnosync
access to attrs=userPassword by anonymous auth by * none
access to dn.exact="{self.canary}" by dn.exact="{self.bind_dn}" write by * none
access to * by dn.exact="{self.bind_dn}" read by anonymous auth by * none
{self._replication()}
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

dn: {self.canary}
objectClass: applicationProcess
cn: canary
""")
        give(self.directory, self.user)

    def _replication(self):
        lines = ["overlay syncprov", "syncprov-checkpoint 1 1"] if self.server_id or self.provider else []
        if self.provider is not None:
            lines += [f"syncrepl rid=1 provider={self.provider.uri} type=refreshAndPersist retry=\"1 +\" searchbase=\"{self.suffix}\" "
                      f"bindmethod=simple binddn=\"{self.root_dn}\" credentials={self.root_password} timeout=2 network-timeout=2 "
                      "keepalive=1:1:1", f"updateref {self.provider.uri}"]
        lines += ["database monitor", f'access to * by dn.exact="{self.bind_dn}" read by * none']
        return "\n".join(lines)

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
        return listens(self.port) and listens(self.tls_port) and listens_unix(self.socket)

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
        shutil.copy(pathlib.Path(__file__).parent / "http_app.py", self.directory / "app.py")  # `nobody` may not read where we are
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
        return ["/usr/bin/python3", self.directory / "app.py", str(self.port), str(self.directory / "answer")]

    def requests(self):
        return self.log().count("GET ") + self.log().count("HEAD ")


class Nginx(Server):
    """nginx that answers `ok` everywhere, on `port`, on the Unix socket `socket` and, with TLS, on tls_port, there in HTTP/2
    too if told so; more may be put into its server block."""

    name = "nginx"
    stop_signal = signal.SIGTERM

    def __init__(self, server_block="location / { return 200 \"ok\\n\"; }", workers=1, http2=False):
        super().__init__()
        self.tls_port = free_port()
        self.socket = self.directory / "socket"
        self.http2 = http2
        self.server_block = server_block
        self.workers = workers

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    def prepare(self):
        tls = Certificates.shared()
        self.directory.chmod(0o755)
        user = "user nobody nogroup;" if os.geteuid() == 0 else ""
        (self.directory / "nginx.conf").write_text(f"""
daemon off; {user} worker_processes {self.workers}; pid {self.directory}/pid; error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; default_type text/plain;
  client_body_temp_path {self.directory}/b; proxy_temp_path {self.directory}/p; fastcgi_temp_path {self.directory}/f;
  uwsgi_temp_path {self.directory}/u; scgi_temp_path {self.directory}/s;
  server {{
    listen {self.host}:{self.port}; listen unix:{self.socket};
    listen {self.host}:{self.tls_port} ssl{" http2" if self.http2 else ""};
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
        return listens(self.port) and self.socket.exists()  # HAProxy renames it when it is bound

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
