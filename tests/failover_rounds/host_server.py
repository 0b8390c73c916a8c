"""OnHost: what makes a server of tests/e2e/servers.py one that runs on a host of the network."""
import shutil


class OnHost:
    """Goes before the server's class among the bases. Its `sql` goes by the Unix socket, which no fault of the network touches."""

    def place(self, on, member, port):
        self.on, self.member, self.host, self.port = on, member, on.address, port

    def inside(self):
        """Before a command line: on the host, as the server's user, ended with us."""
        return [*self.on.prefix, "setpriv", f"--reuid={self.runs_as}", f"--regid={self.runs_as}", "--clear-groups", "--pdeathsig", "KILL", "--"]

    @property
    def runs_as(self):
        return type(self).user

    def command(self):
        return [*self.inside(), *super().command()]

    def start(self, timeout=30.0):
        self.user = None  # only root may enter the host; it becomes the server's user there
        try:
            return super().start(timeout)
        finally:
            del self.user

    def follow(self, primary):
        """Begins anew, with nothing it had, and follows `primary`."""
        self.kill()
        for path in self.data.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        self.primary, self._is_prepared = primary, False
        return self.start()

    def close(self):
        self.stop(patience=0.5)


class Pair:
    """Two servers, by the name of their host; `start` of the one or other kind makes them."""

    def __init__(self, is_synchronous):
        self.is_synchronous = is_synchronous
        self.servers = {}

    def close(self):
        for server in self.servers.values():
            server.close()
