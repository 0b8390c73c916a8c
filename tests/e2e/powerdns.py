"""PowerDNS for the end-to-end tests: the authoritative server with the bind backend, and the recursor.

    with PowerDns(["www 300 A 192.0.2.10"]) as server, Recursor(server) as recursor: ...
"""
import subprocess

from net_servers import listens_udp
from serving import Server, give, listens, program


class PowerDns(Server):
    """pdns_server with the zone example.jp from `records`, in a file. With `is_lua` a record may be a program that asks for health."""

    name = "pdns"
    user = "pdns"

    def __init__(self, records=(), serial=1, is_lua=False):
        super().__init__()
        self.records, self.serial, self.is_lua = records, serial, is_lua

    @property
    def zone_path(self):
        return self.directory / "example.jp.zone"

    def write_zone(self, serial):
        lines = [f"@ 300 IN SOA ns1 host {serial} 3600 600 86400 60", "@ 300 IN NS ns1", "ns1 300 IN A 127.0.0.1", *self.records]
        self.zone_path.write_text("$ORIGIN example.jp.\n" + "\n".join(lines) + "\n")
        give(self.directory, self.user)

    def prepare(self):
        self.write_zone(self.serial)
        (self.directory / "named.conf").write_text(
            f'options {{ directory "{self.directory}"; }};\nzone "example.jp" {{ type master; file "{self.zone_path}"; }};\n')
        (self.directory / "pdns.conf").write_text(f"""
launch=bind
bind-config={self.directory}/named.conf
local-address={self.host}
local-port={self.port}
socket-dir={self.directory}
daemon=no
guardian=no
receiver-threads=1
distributor-threads=1
version-string=anonymous
security-poll-suffix=
loglevel=4
log-dns-details=no
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
{"enable-lua-records=yes" if self.is_lua else ""}
{"lua-health-checks-interval=1" if self.is_lua else ""}
""")
        give(self.directory, self.user)

    def command(self):
        return [program("pdns_server"), f"--config-dir={self.directory}"]

    def is_ready(self):
        return listens(self.port) and listens_udp(self.port) and "Done parsing domains" in self.log_since(self._log_start)

    def control(self, *words):
        return subprocess.run([program("pdns_control"), f"--socket-dir={self.directory}", f"--config-dir={self.directory}", *words],
                              capture_output=True, text=True, timeout=20, check=True).stdout.strip()

    def counter(self, name):
        return int(self.control("show", name).split("=")[-1])

    def restart_with(self, text):
        """Another zone file, read anew: what cannot be read is a zone the running server has and cannot serve."""
        self.stop()
        self.zone_path.write_text(text)
        self.start()


class Recursor(Server):
    """pdns_recursor that asks a server of ours for example.jp."""

    name = "recursor"
    user = "pdns"

    def __init__(self, source):
        super().__init__()
        self.source = source

    def prepare(self):
        (self.directory / "recursor.conf").write_text(f"""
local-address={self.host}
local-port={self.port}
socket-dir={self.directory}
daemon=no
threads=1
forward-zones=example.jp={self.source.host}:{self.source.port}
dnssec=off
hint-file=no
security-poll-suffix=
max-negative-ttl=1
max-cache-ttl=1
packetcache-ttl=1
network-timeout=300
loglevel=4
write-pid=no
""")
        give(self.directory, self.user)

    def command(self):
        return [program("pdns_recursor"), f"--config-dir={self.directory}"]

    def is_ready(self):
        return listens(self.port) and listens_udp(self.port)
