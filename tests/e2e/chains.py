"""Chains of certificates: a root, an authority between, and a server's own, each with days of its own.

    with Chain(days=3, between_days=40) as chain:
        chain.ca, chain.file (own and between, as servers want it), chain.alone (own only), chain.key
"""
import subprocess
import time

from servers import temporary_directory
from serving import Temporary, run_as


class Chain:
    def __init__(self, days=30, between_days=60, root_days=90, names="DNS:localhost,IP:127.0.0.1"):
        self.directory = temporary_directory("chain")
        here = self.directory
        (here / "index").write_text("")
        (here / "index.attr").write_text("unique_subject = no\n")
        (here / "serial").write_text("1000\n")
        (here / "ca.cnf").write_text(
            "[ca]\ndefault_ca = d\n[d]\ndatabase = index\nserial = serial\nnew_certs_dir = .\npolicy = p\n"
            "default_md = sha256\ncopy_extensions = copy\n[p]\ncommonName = supplied\n[between]\n"
            "basicConstraints = critical,CA:true\n[own]\nbasicConstraints = CA:false\n")
        self._request("root", "Root", "")
        self._sign("root", root_days, "between", signer=None)
        self._request("between", "Between", "")
        self._sign("between", between_days, "between", signer="root")
        self._finish(days, names)

    def _finish(self, days, names):
        here = self.directory
        self.ca, self.file, self.alone, self.key = (here / n for n in ("root.pem", "chain.pem", "own.pem", "own.key"))
        self.both = here / "both.pem"  # with the key, as HAProxy wants it
        self._request("own", "own", names)
        self._sign("own", days, "own", signer="between")
        self.file.write_text(self.alone.read_text() + (here / "between.pem").read_text())
        self.both.write_text(self.file.read_text() + self.key.read_text())
        for path in here.iterdir():
            path.chmod(0o644)
        here.chmod(0o755)

    @classmethod
    def renewed(cls, old, days):
        """A new own certificate from the same authorities."""
        new = cls.__new__(cls)
        new.directory = temporary_directory("chain")
        run_as(None, ["cp", "-a", f"{old.directory}/.", str(new.directory)])
        new._finish(days, "DNS:localhost,IP:127.0.0.1")
        return new

    def _openssl(self, *arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], cwd=self.directory, capture_output=True, text=True, check=False,
                              timeout=30, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {arguments[0]}: {done.stderr}")

    def _request(self, name, subject, names):
        more = ["-addext", f"subjectAltName={names}"] if names else []
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                      self.directory / f"{name}.key", "-subj", f"/CN={subject}", *more, "-out", self.directory / f"{name}.csr")

    def _sign(self, name, days, kind, signer):
        here = self.directory
        end = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86400 + 3600))
        by = (["-selfsign", "-keyfile", here / f"{name}.key"] if signer is None
              else ["-cert", here / f"{signer}.pem", "-keyfile", here / f"{signer}.key"])
        self._openssl("ca", "-batch", "-notext", "-config", here / "ca.cnf", "-extensions", kind, *by, "-startdate",
                      "20200101000000Z", "-enddate", end, "-in", here / f"{name}.csr", "-out", here / f"{name}.pem")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        Temporary.remove(self.directory)
