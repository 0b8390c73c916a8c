"""More real servers for the end-to-end tests, made as those of servers.py are: caches, name servers, mail, time.

    with Redis() as one, Redis(replica_of=one) as two, Sentinel([one]) as watcher: ...
"""
import re
import socket
import subprocess

from servers import LOCALHOST, Certificates, Server, free_port, listens, program, wait_until
from serving import give


# ---- Redis -----------------------------------------------------------------------------------------------------------

class Redis(Server):
    """Redis with the ACL user `app` beside the default one, on `port` in clear and on tls_port with TLS."""

    name = "redis"
    user = "redis"
    app_user, app_password = "app", "s3cret-redis"
    acl = "+ping +info +cluster|info +set +get +del ~vitald:probe:*"

    def __init__(self, replica_of=None, settings=None, default_user="on nopass ~* &* +@all", certificate=None, key=None,
                 wants_client=False):
        super().__init__()
        self.tls_port = free_port()
        self.socket = self.directory / "s"
        tls = Certificates.shared()
        self.settings = {
            "port": self.port, "tls-port": self.tls_port, "bind": LOCALHOST, "unixsocket": self.socket, "dir": self.directory,
            "save": '""', "loglevel": "verbose", "tls-cert-file": certificate or tls.certificate,
            "tls-key-file": tls.key_for(self.user, key), "tls-ca-cert-file": tls.ca,
            "tls-auth-clients": "yes" if wants_client else "no",
            "repl-diskless-sync-delay": 0, "repl-timeout": 2, "repl-ping-replica-period": 1, **(settings or {})}
        self.default_user = default_user
        if replica_of is not None:
            self.settings["replicaof"] = f"{LOCALHOST} {replica_of.port}"

    def prepare(self):
        lines = [f"{k} {v}" for k, v in self.settings.items()]
        lines += [f"user default {self.default_user}", f"user {self.app_user} on >{self.app_password} {self.acl}",
                  "user root on >root &* ~* +@all"]
        (self.directory / "redis.conf").write_text("\n".join(lines) + "\n")
        give(self.directory, self.user)

    def command(self):
        return [program("redis-server"), self.directory / "redis.conf"]

    def is_ready(self):
        return listens(self.port) and listens(self.tls_port)

    def cli(self, *words):
        done = subprocess.run(["redis-cli", "-h", self.host, "-p", str(self.port), "--user", "root", "--pass", "root",
                               "--no-auth-warning", *map(str, words)], capture_output=True, text=True, timeout=10, check=False)
        return done.stdout.strip()

    def info(self, field):
        found = re.search(rf"^{field}:(.*?)\r?$", self.cli("INFO", "everything"), re.M)
        return found[1] if found else None

    def follows(self):
        wait_until(lambda: self.info("master_link_status") == "up", what="the replica follows")
        return self


class Sentinel(Server):
    """Redis Sentinel that watches `master` under the name mymaster, alone (quorum 1)."""

    name = "sentinel"
    user = "redis"

    def __init__(self, master):
        super().__init__()
        self.master = master

    def prepare(self):
        (self.directory / "sentinel.conf").write_text(f"""
port {self.port}
bind {LOCALHOST}
dir {self.directory}
sentinel monitor mymaster {LOCALHOST} {self.master.port} 1
sentinel auth-user mymaster root
sentinel auth-pass mymaster root
sentinel down-after-milliseconds mymaster 500
sentinel failover-timeout mymaster 3000
""")
        give(self.directory, self.user)

    def command(self):
        return [program("redis-sentinel"), self.directory / "sentinel.conf"]

    def cli(self, *words):
        done = subprocess.run(["redis-cli", "-h", self.host, "-p", str(self.port), *words], capture_output=True, text=True,
                              timeout=10, check=True)
        return done.stdout.split("\n")

    def field(self, name):
        said = self.cli("SENTINEL", "MASTER", "mymaster")
        return said[said.index(name) + 1] if name in said else ""


# ---- memcached -------------------------------------------------------------------------------------------------------

class Memcached(Server):
    """memcached on `port` or, with TLS, there alone; more arguments may be given. `users` is name -> password."""

    name = "memcached"
    user = "nobody"

    def __init__(self, *arguments, users=None, tls=False):
        super().__init__()
        self.arguments, self.users, self.tls = arguments, users, tls

    def prepare(self):
        if self.users:
            (self.directory / "users").write_text("".join(f"{u}:{p}\n" for u, p in self.users.items()))
            self.arguments += ("-Y", self.directory / "users")
        if self.tls:
            tls = Certificates.shared()
            self.arguments += ("-Z", "-o", f"ssl_chain_cert={tls.certificate},ssl_key={tls.key_for(self.user)}")
        give(self.directory, self.user)

    def command(self):
        return [program("memcached"), "-l", self.host, "-p", str(self.port), "-U", "0", "-vv", *map(str, self.arguments)]

    def stats(self):
        with socket.create_connection((self.host, self.port)) as s:
            s.settimeout(5)
            s.sendall(b"stats\r\n")
            said = b""
            while not said.endswith(b"END\r\n"):
                said += s.recv(65536)
        return dict(line.split(" ", 2)[1:] for line in said.decode().splitlines() if line.startswith("STAT "))


# ---- DNS ---------------------------------------------------------------------------------------------------------------

def listens_udp(port):
    with open("/proc/net/udp", encoding="ascii") as table:
        return any(line.split()[1] == f"0100007F:{port:04X}" for line in list(table)[1:])


class Unbound(Server):
    """unbound on UDP and TCP, which knows `data` (lines of a zone) itself and asks `forward` (a port) for everything else."""

    name = "unbound"
    user = "unbound"

    def __init__(self, data=(), forward=1):
        super().__init__()
        self.data, self.forward = data, forward

    def prepare(self):
        lines = "\n".join(f"  local-data: '{line}'" for line in self.data)
        (self.directory / "unbound.conf").write_text(f"""
server:
  interface: {self.host}@{self.port}
  directory: "{self.directory}"
  pidfile: ""
  username: ""
  chroot: ""
  use-syslog: no
  do-daemonize: no
  do-not-query-localhost: no
  verbosity: 1
  num-threads: 1
  module-config: "iterator"
  outgoing-range: 50
  num-queries-per-thread: 50
  so-reuseport: no
  local-zone: "example.jp." transparent
{lines}
forward-zone:
  name: "."
  forward-addr: {self.host}@{self.forward}
remote-control:
  control-enable: no
""")
        give(self.directory, self.user)

    def command(self):
        return [program("unbound"), "-d", "-p", "-c", self.directory / "unbound.conf"]

    def is_ready(self):
        return listens(self.port) and listens_udp(self.port)


class Knot(Server):
    """Knot DNS with the zone example.jp: as primary from `records`, or as a secondary of another one."""

    name = "knot"
    user = "knot"
    zone = "example.jp"

    def __init__(self, records=(), primary=None, serial=1, update_key=None):
        """`update_key` is (name, secret in base64) of a TSIG key that may change the zone."""
        super().__init__()
        self.records, self.primary, self.serial, self.update_key = records, primary, serial, update_key

    @property
    def zone_path(self):
        return self.directory / "example.jp.zone"

    def write_zone(self, serial):
        lines = [f"@ 300 SOA ns1 host {serial} 3600 600 86400 60", "@ 300 NS ns1", "ns1 300 A 127.0.0.1", *self.records]
        self.zone_path.write_text("$ORIGIN example.jp.\n" + "\n".join(lines) + "\n")
        give(self.directory, self.user)

    def prepare(self):
        remote = zone = ""
        if self.primary is None:
            self.write_zone(self.serial)
            zone = "acl: all"
        else:
            remote = f"remote:\n  - id: primary\n    address: {self.host}@{self.primary.port}\n"
            zone = "master: primary"
        key = ""
        if self.update_key is not None:
            name, secret = self.update_key
            (self.directory / "db").mkdir()  # of the journal, without which nothing is updated
            give(self.directory / "db", self.user)
            key = f"key:\n  - id: {name}\n    algorithm: hmac-sha256\n    secret: {secret}\n"
            zone = "acl: [all, update]"
        (self.directory / "knot.conf").write_text(f"""
{key}
server:
  listen: {self.host}@{self.port}
  rundir: {self.directory}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: {self.directory}/db
log:
  - target: stderr
    any: info
acl:
  - id: all
    address: {self.host}
    action: transfer
{f"  - id: update{chr(10)}    key: {self.update_key[0]}{chr(10)}    action: update" if self.update_key else ""}
{remote}
zone:
  - domain: example.jp
    storage: {self.directory}
    file: example.jp.zone
    {zone}
""")
        give(self.directory, self.user)

    def command(self):
        return [program("knotd"), "-c", self.directory / "knot.conf"]

    def is_ready(self):
        return listens(self.port) and listens_udp(self.port) and "server started" in self.log_since(self._log_start)

    def knotc(self, *words):
        done = subprocess.run([program("knotc"), "-s", self.directory / "knot.sock", *words], capture_output=True, text=True,
                              timeout=10, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


# ---- mail ----------------------------------------------------------------------------------------------------------------

class Dovecot(Server):
    """Dovecot: IMAP on `port` and imaps_port, POP3 on pop3_port and pop3s_port, for app_user with one message. Its logins
    are answered by a passwd-file, which may be taken away."""

    name = "dovecot"
    app_user, app_password = "app", "s3cret-mail"

    def __init__(self):
        super().__init__()
        self.pop3_port, self.imaps_port, self.pop3s_port, self.sasl_port = (free_port() for _ in range(4))

    @property
    def users(self):
        return self.directory / "auth" / "users"

    def lock_users(self, is_locked):
        """Nobody can look them up any more: not wrong passwords, but none that could be checked."""
        self.users.parent.chmod(0o000 if is_locked else 0o755)

    def prepare(self):
        tls = Certificates.shared()
        self.directory.chmod(0o755)
        mail = self.directory / "mail" / self.app_user
        for folder in ("cur", "new", "tmp"):
            (mail / folder).mkdir(parents=True)
        (mail / "new" / "1.x.y").write_text("From: a@example.jp\nSubject: hello\n\nhello\n")
        give(self.directory / "mail", "nobody")
        self.set_users()
        (self.directory / "dovecot.conf").write_text(f"""
base_dir = {self.directory}/run
state_dir = {self.directory}/state
log_path = {self.log_path}
info_log_path = {self.log_path}
protocols = imap pop3
listen = {self.host}
ssl = yes
ssl_cert = <{tls.certificate}
ssl_key = <{tls.key_for(None)}
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
first_valid_uid = 1
mail_location = maildir:{self.directory}/mail/%u
disable_plaintext_auth = no
auth_mechanisms = plain
auth_failure_delay = 0
mail_max_userip_connections = 50
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {self.users}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={self.directory}/mail/%u
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service auth {{
  inet_listener {{
    address = {self.host}
    port = {self.sasl_port}
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {self.port}
  }}
  inet_listener imaps {{
    port = {self.imaps_port}
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {self.pop3_port}
  }}
  inet_listener pop3s {{
    port = {self.pop3s_port}
  }}
}}
""")

    def set_users(self):
        self.users.parent.mkdir()
        self.users.write_text(f"{self.app_user}:{self.app_password}\n")
        self.users.chmod(0o644)

    def command(self):
        return [program("dovecot"), "-F", "-c", self.directory / "dovecot.conf"]

    def is_ready(self):
        return listens(self.port) and listens(self.pop3_port)


class Postfix(Server):
    """Postfix: smtpd on `port` with STARTTLS (and AUTH through Dovecot, if one is given), for postmaster@example.jp. The same
    on mapless_port without its map of recipients, and on full_port with no room in its queue. Needs root, as Postfix does."""

    name = "postfix"

    def __init__(self, dovecot=None, settings=None):
        super().__init__()
        self.mapless_port, self.full_port = free_port(), free_port()
        tls = Certificates.shared()
        self.map = self.directory / "recipients"
        self.settings = {
            "queue_directory": self.directory / "queue", "data_directory": self.directory / "data",
            "command_directory": "/usr/sbin", "daemon_directory": "/usr/lib/postfix/sbin", "mail_owner": "postfix",
            "setgid_group": "postdrop", "myhostname": "mx.example.jp", "mydestination": "", "mynetworks": "", "inet_interfaces": self.host,
            "inet_protocols": "ipv4", "virtual_mailbox_domains": "example.jp", "virtual_mailbox_maps": f"texthash:{self.map}",
            "virtual_mailbox_base": self.directory, "smtpd_tls_cert_file": tls.certificate, "smtpd_tls_key_file": tls.key,
            "smtpd_tls_security_level": "may", "maillog_file": self.log_path, "maillog_file_prefixes": f"/dev/shm, /tmp, {self.directory}",
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject_unauth_destination",
            "smtpd_recipient_restrictions": f"check_recipient_access texthash:{self.directory}/access",
            "compatibility_level": "3.6", "smtpd_error_sleep_time": "0", "disable_dns_lookups": "yes", "alias_maps": "",
            "alias_database": "", "smtputf8_enable": "no", "in_flow_delay": "0", "smtpd_tls_loglevel": 1, "smtpd_tls_session_cache_database": "",
            **(settings or {})}
        if dovecot is not None:
            self.settings.update({"smtpd_sasl_type": "dovecot", "smtpd_sasl_path": f"inet:{LOCALHOST}:{dovecot.sasl_port}",
                                  "smtpd_sasl_auth_enable": "yes", "smtpd_tls_auth_only": "yes"})

    def prepare(self):
        self.directory.chmod(0o755)
        for folder in ("queue", "data"):
            (self.directory / folder).mkdir()
        give(self.directory / "data", "postfix")
        self.map.write_text("postmaster@example.jp x\n")
        (self.directory / "access").write_text("later@example.jp 451 4.3.0 not now\n")
        self.write_settings()
        (self.directory / "master.cf").write_text(f"""
{self.host}:{self.port} inet n - n - 20 smtpd
{self.host}:{self.mapless_port} inet n - n - 20 smtpd -o virtual_mailbox_maps=texthash:{self.directory}/gone
{self.host}:{self.full_port} inet n - n - 20 smtpd -o message_size_limit=0 -o queue_minfree=1000000000000
tlsmgr unix - - n 1000 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
error unix - - n - - error
virtual unix - n n - - virtual
""")

    def write_settings(self):
        (self.directory / "main.cf").write_text("".join(f"{k} = {v}\n" for k, v in self.settings.items()))

    def command(self):
        return [program("postfix"), "-c", self.directory, "start-fg"]


# ---- time ------------------------------------------------------------------------------------------------------------------

class Chrony(Server):
    """chronyd as a time server that touches no clock: synchronised to itself at `stratum`, or with None to nothing."""

    name = "chrony"

    def __init__(self, stratum=3):
        super().__init__()
        self.stratum = stratum

    def prepare(self):
        local = f"local stratum {self.stratum}\n" if self.stratum else ""
        (self.directory / "chrony.conf").write_text(
            f"port {self.port}\nbindaddress {self.host}\nallow 127.0.0.1\ncmdport 0\nbindcmdaddress /\n"
            f"pidfile {self.directory}/pid\n{local}")

    def command(self):
        return [program("chronyd"), "-d", "-x", "-u", "root", "-f", self.directory / "chrony.conf"]

    def is_ready(self):
        return listens_udp(self.port)
