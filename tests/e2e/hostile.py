"""Hostile servers: peers that misbehave on purpose, each on a loopback port of its own, for any check type.

    with Certificates() as certificates:
        with Peer(silent) as peer:                      # accepts, says nothing
            probe("tcp", {"address": peer.address, "expect": "x"})
        with Peer(says(b"HTTP/1.1 200 OK\\r\\n\\r\\n"), tls=certificates.server("expired")) as peer:
            ...

A behaviour is a function of one connection, `behaviour(talk)`; `talk` is a Talk: the socket with bounded, interruptible
waits, and the peer it belongs to. Those here speak no protocol, or are given the bytes to say, so that a test of
postgres, mysql or ldap uses the same ones: `after(greeting, silent)` says hello first, `Peer(..., tls=..., preface=f)`
calls f(talk) in clear before the TLS handshake (SSLRequest, StartTLS). A Peer counts its connections and how each was
ended by the client ("fin" or "reset"), stops within seconds, and leaves no thread, socket or process behind.
"""
import collections
import contextlib
import os
import pathlib
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time


class Gone(Exception):
    """The peer is being stopped, or the client has left."""


class Talk:
    """One connection: recv and send that end when the peer is stopped."""

    def __init__(self, peer, conn):
        self.peer, self.conn = peer, conn
        conn.settimeout(0.1)

    def receive(self, size=65536):
        """Some bytes, or b"" at the end."""
        while not self.peer.stopping.is_set():
            try:
                return self.conn.recv(size)
            except (TimeoutError, ssl.SSLWantReadError):
                continue
        raise Gone

    def receive_until(self, mark, most=1 << 20):
        data = b""
        while mark not in data and len(data) < most:
            piece = self.receive()
            if not piece:
                break
            data += piece
        return data

    def send(self, data):
        view = memoryview(data)
        while view:
            if self.peer.stopping.is_set():
                raise Gone
            try:
                view = view[self.conn.send(view):]
            except (TimeoutError, ssl.SSLWantWriteError):
                continue

    def pause(self, seconds):
        if self.peer.stopping.wait(seconds):
            raise Gone

    def hold(self):
        """Keeps the connection until the client or the test ends it."""
        while self.receive():
            pass

    def reset(self):
        """Ends it with a reset."""
        self.conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if isinstance(self.conn, ssl.SSLSocket):
            socket.socket(fileno=self.conn.detach()).close()
        else:
            self.conn.close()


# ---- behaviours that speak no protocol ------------------------------------------------------------------------------

def silent(talk):
    """Accepts and says nothing."""
    talk.hold()


def closes(talk):
    """Closes at once."""
    talk.conn.shutdown(socket.SHUT_RDWR)


def resets(talk):
    """Resets at once."""
    talk.reset()


def resets_when_asked(talk):
    """Reads a request, then resets."""
    talk.receive()
    talk.reset()


def closes_when_asked(talk):
    """Reads a request, then closes without a word."""
    talk.receive()


def garbage(talk):
    """Says a kilobyte of nonsense, with every byte value in it, then waits."""
    talk.send(bytes(range(256))[::-1] * 4 + b"\r\n\r\n")
    talk.hold()


def endless_garbage(talk):
    """Says nonsense for ever."""
    while True:
        talk.send(b"\x8f\x00\x17\r\n?" * 2048)


def says(*pieces, then=silent, ask_first=False):
    """Says these bytes, then behaves as `then`. With ask_first it waits for the first bytes of a request."""
    def behaviour(talk):
        if ask_first:
            talk.receive()
        for piece in pieces:
            talk.send(piece)
        then(talk)
    return behaviour


def after(greeting, then):
    """Says `greeting`, then behaves as `then`."""
    return says(greeting, then=then)


def drips(data, every=1.0):
    """Says `data` one byte every `every` seconds."""
    def behaviour(talk):
        for i in range(len(data)):
            talk.send(data[i:i + 1])
            talk.pause(every)
        talk.hold()
    return behaviour


def repeats(data, head=b""):
    """Says `head`, then `data` for ever."""
    def behaviour(talk):
        talk.receive()
        talk.send(head)
        while True:
            talk.send(data)
    return behaviour


class Peer:
    """A server on 127.0.0.1 with one behaviour for every connection; see the top of this file."""

    def __init__(self, behaviour, tls=None, preface=None, host="127.0.0.1", backlog=64):
        self.behaviour, self.tls, self.preface = behaviour, tls, preface
        self.stopping = threading.Event()
        self.connections = 0
        self.ends = collections.Counter()  # how clients ended: "fin", "reset", "tls" (handshake not finished)
        self.errors = []                   # what a behaviour raised that it should not have
        self._threads = set()
        self._lock = threading.Lock()
        self.listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, 0))
        self.listener.listen(backlog)
        self.listener.settimeout(0.1)
        self.host, self.port = host, self.listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    @property
    def address(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def _accept(self):
        while not self.stopping.is_set():
            try:
                conn, _ = self.listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            with self._lock:
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(conn,), daemon=True)
                self._threads.add(thread)
            thread.start()

    def _serve(self, conn):
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        talk = Talk(self, conn)
        try:
            if self.preface is not None:
                self.preface(talk)
            if self.tls is not None:
                conn.settimeout(5)
                try:
                    talk = Talk(self, self.tls.wrap_socket(conn, server_side=True))
                except (OSError, ssl.SSLError):
                    self.ends["tls"] += 1
                    return
            self.behaviour(talk)
            if talk.conn.fileno() >= 0:
                self._see_off(talk)
        except Gone:
            pass
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            self.ends["reset"] += 1
        except OSError as error:
            if talk.conn.fileno() >= 0 and not self.stopping.is_set():
                self.errors.append(error)
        finally:
            for one in (talk.conn, conn):
                with contextlib.suppress(OSError):
                    one.close()
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _see_off(self, talk):
        """How the client ends it, after we have said all."""
        with contextlib.suppress(OSError):
            talk.conn.shutdown(socket.SHUT_WR)
        while talk.receive():
            pass
        self.ends["fin"] += 1

    def ended(self, count, timeout=10):
        """How the clients ended their connections, once `count` of them have."""
        end = time.monotonic() + timeout
        while sum(self.ends.values()) < count and time.monotonic() < end:
            time.sleep(0.01)
        return dict(self.ends)

    def close(self):
        self.stopping.set()
        self._acceptor.join(5)
        self.listener.close()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(10)
        assert not any(t.is_alive() for t in threads), "a hostile server does not end"
        assert not self.errors, self.errors

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Refuser:
    """A port that refuses: bound, so that nobody else gets it, but not listening."""

    def __init__(self, host="127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.socket.bind((host, 0))
        self.host, self.port = host, self.socket.getsockname()[1]
        self.address = f"{host}:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class Deaf:
    """A port whose queue is full: a connection to it is never answered, as by a firewall that drops."""

    def __init__(self, host="127.0.0.1", port=0):
        self.listener = socket.socket()
        self.listener.bind((host, port))
        self.listener.listen(0)
        self.host, self.port = self.listener.getsockname()
        self.address = f"{self.host}:{self.port}"
        self.filling = []
        for _ in range(8):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex((self.host, self.port))
            self.filling.append(one)
        time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in [*self.filling, self.listener]:
            one.close()


# Addresses nothing can be routed to: the kernel says so at once. And a name that no server knows (RFC 6761).
UNROUTABLE = "255.255.255.255"
NO_SUCH_NAME = "nothing-here.invalid"


# ---- certificates ----------------------------------------------------------------------------------------------------

class Certificates:
    """An authority and certificates of every kind, made with openssl in a temporary folder.

    `kind` is good (localhost, 127.0.0.1, ::1), expired, wrong_name (other.example), self_signed, or client.
    """

    KINDS = ("good", "expired", "wrong_name", "self_signed", "client", "soon")

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vitald-certs-"))
        self.ca = str(self.folder / "ca.pem")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                      "-subj", "/CN=Test Authority", "-keyout", "ca.key", "-out", "ca.pem")
        here = "DNS:localhost,IP:127.0.0.1,IP:::1"
        self._issue("good", here, 30)
        self._issue("soon", here, 3)
        self._issue("expired", here, -1)
        self._issue("wrong_name", "DNS:other.example", 30)
        self._issue("client", "DNS:monitor.example", 30)
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                      "-subj", "/CN=localhost", "-addext", f"subjectAltName={here}",
                      "-keyout", "self_signed.key", "-out", "self_signed.pem")
        for path in self.folder.iterdir():
            path.chmod(0o644)  # servers that run as somebody else read them too
        self.folder.chmod(0o755)

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, timeout=30,
                       stdin=subprocess.DEVNULL)

    def _issue(self, kind, names, days):
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={kind}",
                      "-keyout", f"{kind}.key", "-out", f"{kind}.csr")
        (self.folder / f"{kind}.ext").write_text(f"subjectAltName={names}\n")
        self._openssl("x509", "-req", "-in", f"{kind}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                      "-days", str(days), "-extfile", f"{kind}.ext", "-out", f"{kind}.pem")

    def file(self, kind):
        return str(self.folder / f"{kind}.pem")

    def key(self, kind):
        return str(self.folder / f"{kind}.key")

    def server(self, kind, wants_client=False):
        """An ssl.SSLContext for Peer(tls=...)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file(kind), self.key(kind))
        if wants_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)


def is_sanitized(program):
    """Whether a program was built with AddressSanitizer."""
    return b"__asan_init" in pathlib.Path(program).read_bytes()


# ---- HTTP ------------------------------------------------------------------------------------------------------------

def http_answer(status=200, body=b"", headers=(), reason="Whatever"):
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def http(answer, keeps=True):
    """A well-behaved HTTP server. `answer` is bytes, or a function of the request's bytes."""
    def behaviour(talk):
        while True:
            request = talk.receive_until(b"\r\n\r\n")
            if not request:
                return
            talk.peer.last_request = request
            talk.send(answer(request) if callable(answer) else answer)
            if not keeps or b"connection: close" in request.lower():
                return
    return behaviour


def http_misbehaviours(password=True):
    """What an HTTP server can do wrong once it has been asked: name -> behaviour."""
    ok = b"HTTP/1.1 200 OK\r\n"
    return {
        "half a header": says(ok + b"Content-Ty", ask_first=True),
        "half a header, then closes": says(ok + b"Content-Ty", ask_first=True, then=lambda talk: None),
        "huge header": repeats(b"X-Filler: " + b"x" * 1000 + b"\r\n", head=ok),
        "huge header line": repeats(b"x" * 1000, head=ok + b"X-Filler: "),
        "body that never ends": repeats(b"0123456789abcdef" * 256, head=ok + b"\r\n"),
        "body of chunks that never ends": repeats(b"10\r\n0123456789abcdef\r\n" * 64,
                                                  head=ok + b"Transfer-Encoding: chunked\r\n\r\n"),
        "body shorter than said": says(ok + b"Content-Length: 100\r\n\r\nok", ask_first=True, then=lambda talk: None),
        "body that stops": says(ok + b"Content-Length: 100\r\n\r\nok", ask_first=True),
        "interim answers for ever": repeats(b"HTTP/1.1 102 Processing\r\n\r\n"),
        "rejects the password": http(http_answer(401, b"no", ["WWW-Authenticate: Basic realm=x"])),
        "redirects in a circle": http(http_answer(302, b"", ["Location: /again"])),
        "drips": drips(http_answer(200, b"ok")),
    }


# ---- a name server that misbehaves -----------------------------------------------------------------------------------

class NameServer:
    """DNS over UDP on port 53 of a loopback address. `records` is name -> list of IPv4 addresses; `mood` is answers,
    silent, servfail. Needs root. `wrap(argv)` runs a command that sees this server in its /etc/resolv.conf, and
    `hosts` (text) as its /etc/hosts."""

    def __init__(self, records=None, mood="answers", hosts="127.0.0.1 localhost\n"):
        self.records, self.mood = records or {}, mood
        self.questions = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # Port 53 is taken only on an address of our own, so that several test runs do not meet.
        address = f"127.77.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}"
        self.socket.bind((address, 53))
        self.socket.settimeout(0.1)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vitald-dns-"))
        (self.folder / "resolv.conf").write_text(f"nameserver {address}\n")
        (self.folder / "hosts").write_text(hosts)

    def _serve(self):
        while not self.stopping.is_set():
            try:
                query, who = self.socket.recvfrom(4096)
            except TimeoutError:
                continue
            self.questions += 1
            if self.mood != "silent":
                self.socket.sendto(self._answer(query), who)

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        question = query[12:at + 5]
        kind = struct.unpack("!H", query[at + 1:at + 3])[0]
        name = ".".join(labels).lower()
        addresses = self.records.get(name, []) if kind == 1 else []
        code = 2 if self.mood == "servfail" else 0 if name in self.records else 3
        body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 1, 4) + socket.inet_aton(a) for a in addresses)
        return query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(addresses), 0, 0) + question + body

    def wrap(self, argv):
        script = 'mount --bind "$0/resolv.conf" /etc/resolv.conf && mount --bind "$0/hosts" /etc/hosts && exec "$@"'
        return ["unshare", "-m", "--propagation", "private", "sh", "-c", script, str(self.folder), *argv]

    @staticmethod
    def is_possible():
        if os.geteuid() != 0:
            return False
        done = subprocess.run(["unshare", "-m", "true"], capture_output=True, timeout=10)
        return done.returncode == 0

    def close(self):
        self.stopping.set()
        self.thread.join(5)
        self.socket.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
