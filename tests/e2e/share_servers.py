"""File servers for the end-to-end tests, made as those of servers.py are: NFS and SMB.

    with Ganesha() as nfs:
        nfs.export("app").joinpath("canary").write_text("alive\\n")
"""
import signal
import subprocess

from servers import LOCALHOST, Server, free_port, program
from serving import give

# Version 3 is of no use to NFS-Ganesha without a portmapper. It gets one of its own: the Unix socket is in a /run which only
# it sees, the port in a network of its own, so that this machine's portmapper is neither needed nor touched. Both end together.
# (With no address but 127.0.0.1 Ganesha does not take that for one.)
_WITH_A_PORTMAPPER = """
mount -t tmpfs -o mode=755 tmpfs /run
$NETWORK sh -c 'ip link set lo up && ip address add 192.0.2.1 dev lo && exec rpcbind -f' &
for _ in $(seq 500); do [ -S /run/rpcbind.sock ] && break; sleep 0.02; done
exec "$@"
"""


class Ganesha(Server):
    """NFS-Ganesha, versions 3 and 4.0, on `port` and, for version 3's mount service, `mount_port`. Its exports are `/app`
    (everybody may), `/closed` (nobody may), `/squashed` (everybody is nobody) and `/readonly`; the directories are its own.
    With own_network=True it and its portmapper, which then can be asked, are in a network of their own; inside() goes there."""

    name = "nfs"
    stop_signal = signal.SIGKILL  # politely it takes seconds, and there is nothing to save
    exports = {"app": "Access_Type = RW; Squash = No_root_squash;", "closed": "Access_Type = NONE;",
               "squashed": "Access_Type = RW; Squash = All_squash;", "readonly": "Access_Type = RO; Squash = No_root_squash;"}

    def __init__(self, own_network=False):
        super().__init__()
        self.mount_port = free_port()
        self.own_network = own_network

    def export(self, name):
        """The directory behind an export."""
        return self.directory / name

    def prepare(self):
        (self.directory / "recovery").mkdir()
        lines = [f"NFS_CORE_PARAM {{ Bind_addr = {LOCALHOST}; NFS_Port = {self.port}; MNT_Port = {self.mount_port}; "
                 "Protocols = 3, 4; Enable_NLM = false; Enable_RQUOTA = false; mount_path_pseudo = true; }",
                 f"NFSv4 {{ Graceless = true; RecoveryBackend = fs; RecoveryRoot = {self.directory}/recovery; Minor_Versions = 0; }}",
                 "EXPORT_DEFAULTS { Sectype = sys; Attr_Expiration_Time = 0; }",  # what a test changes is seen at once
                 "LOG { Default_Log_Level = EVENT; }"]
        for number, (name, access) in enumerate(self.exports.items(), 1):
            self.export(name).mkdir()
            (self.export(name) / "canary").write_text("alive\n")
            lines.append(f"EXPORT {{ Export_Id = {number}; Path = {self.export(name)}; Pseudo = /{name}; {access} FSAL {{ Name = VFS; }} }}")
        self.export("squashed").chmod(0o700)
        (self.directory / "ganesha.conf").write_text("\n".join(lines) + "\n")

    def command(self):
        outer, inner = (["-n"], "exec") if self.own_network else ([], "unshare -n")
        return ["env", f"NETWORK={inner}", "unshare", "-m", "-p", "--fork", "--kill-child", *outer, "sh", "-ec", _WITH_A_PORTMAPPER, "sh", program("ganesha.nfsd"), "-F",
                "-f", self.directory / "ganesha.conf", "-p", self.directory / "pid", "-L", self.directory / "ganesha.log"]

    def is_ready(self):
        return self._listens(self.port) and self._listens(self.mount_port)

    def _listens(self, port):
        """It listens on 127.0.0.1 by way of IPv6, perhaps in its own network, where listens() does not look."""
        try:
            with open(f"/proc/{self.pid}/net/tcp6", encoding="ascii") as table:
                rows = [line.split() for line in table][1:]
        except OSError:
            return False  # it has ended
        return any(r[3] == "0A" and r[1].endswith(f":{port:04X}") for r in rows)

    def inside(self, argv):
        """The command that runs `argv` in its network."""
        return ["nsenter", "-t", str(self.pid), "-n", *argv]


class Samba(Server):
    """smbd with the user `nobody` and app_password. Its shares are `app`, `closed` (not for that user), `readonly` and `gone` (whose
    directory is not there). settings are lines of its [global]."""

    name = "smb"
    app_user, app_password = "nobody", "s3cret-smb"

    def __init__(self, *settings):
        super().__init__()
        self.share = self.directory / "share"
        self.settings = settings

    def prepare(self):
        own = self.directory / "own"
        own.mkdir()
        self.share.mkdir()
        (self.share / "canary").write_text("alive\n")
        give(self.share, self.app_user)
        self.directory.chmod(0o755)
        folders = [f"{name} = {own}" for name in ("private dir", "lock directory", "state directory", "cache directory", "pid directory")]
        (self.directory / "smb.conf").write_text("\n".join([
            "[global]", "server role = standalone server", "workgroup = TEST", "netbios name = FILES", f"smb ports = {self.port}",
            "interfaces = 127.0.0.1/8", "bind interfaces only = yes", "disable netbios = yes", *folders, f"ncalrpc dir = {own}/rpc",
            f"passdb backend = smbpasswd:{own}/passwd", "load printers = no", "printing = bsd", "printcap name = /dev/null",
            "disable spoolss = yes", "log level = 1", *self.settings,
            "[app]", f"path = {self.share}", "read only = no", f"valid users = {self.app_user}",
            "[closed]", f"path = {self.share}", "valid users = root",
            "[readonly]", f"path = {self.share}",
            "[gone]", f"path = {self.share}/gone", ""]))
        self.set_password(self.app_password)

    def set_password(self, password):
        subprocess.run([program("smbpasswd"), "-c", self.directory / "smb.conf", "-s", "-a", self.app_user], check=True, timeout=30,
                       input=f"{password}\n{password}\n", text=True, capture_output=True)

    def command(self):
        return [program("smbd"), "-F", "--no-process-group", "-s", self.directory / "smb.conf", "--debug-stdout"]
