"""Judges: the real programs that ask vitald, each with one method that says what it holds of the node, in its own word.

    with Varnish(address) as judge:
        judge.words()          # {"Varnish probe": "Healthy"}

None of them is told anything by us but where to ask; what they say is read from where an operator would read it.
"""
import csv
import hashlib
import json
import os
import pathlib
import re
import subprocess
import time
import urllib.parse

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # its handlers abort a process that forks while a channel ends
import grpc

from agent import fetch
from servers import HAProxy, Nginx
from serving import Certificates, Server, program

PLUGINS = "/usr/lib/nagios/plugins"
PASS = b"pass\n"  # the text form, the same bytes every time


class Judge:
    """One that has nothing to start."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def words(self):
        raise NotImplementedError


# ---- balancers ------------------------------------------------------------------------------------------------------

class HAProxyJudge(HAProxy):
    """Every shape of HAProxy's checks, a backend each; its statistics say what it holds of the server."""

    SHAPES = {
        "HAProxy `option httpchk` (OPTIONS / HTTP/1.0)": "option httpchk\n  server s {health} check",
        "HAProxy `option httpchk GET /health HTTP/1.1` (no Host)": "option httpchk GET /health HTTP/1.1\n  server s {health} check",
        "HAProxy `/health?as=haproxy-404`, disable-on-404":
            "option httpchk GET /health?as=haproxy-404\n  http-check disable-on-404\n  http-check send-state\n  server s {health} check",
        "HAProxy `expect hdr x-health-status pass`":
            "option httpchk\n  http-check send meth GET uri /health ver HTTP/1.1 hdr Host any\n"
            "  http-check expect hdr name x-health-status value pass\n  server s {health} check",
        "HAProxy send-proxy": "option httpchk GET /health\n  server s {health} send-proxy check",
        "HAProxy send-proxy-v2": "option httpchk GET /health\n  server s {health} send-proxy-v2 check",
        "HAProxy check-ssl": "option httpchk GET /health\n  server s {tls} check check-ssl verify required ca-file {ca}",
        "HAProxy over a unix socket": "option httpchk GET /health\n  server s unix@{unix} check",
        "HAProxy agent-check (and a check of /livez)":
            "option httpchk GET /livez\n  server s {health} weight 100 check agent-check agent-addr 127.0.0.1 agent-port {agent} "
            "agent-inter 200ms agent-send \"web\\n\"",
        "HAProxy agent-check alone":
            "server s {health} weight 100 agent-check agent-addr 127.0.0.1 agent-port {agent} agent-inter 200ms",
    }

    def __init__(self, where):
        sections = "defaults\n  mode http\n  timeout connect 1s\n  timeout client 5s\n  timeout server 5s\n  timeout check 1s\n"
        sections += "  default-server inter 200ms fall 2 rise 1\n"
        for number, shape in enumerate(self.SHAPES.values()):
            sections += f"backend b{number}\n  " + shape.format(ca=Certificates.shared().ca, **where) + "\n"
        super().__init__([f"unused {where['health']}"], sections=sections)

    def words(self):
        rows = {row["pxname"]: row for row in csv.DictReader(self.runtime("show stat").lstrip("# ").splitlines()) if row["svname"] == "s"}
        # "UP 1/2" is on its way to DOWN: not settled yet, as "DOWN 1/2" is.
        return {shape: rows[f"b{number}"]["status"] for number, shape in enumerate(self.SHAPES)}


class Varnish(Server):
    """varnishd with two backends that are this node, probed as its manual says."""

    name = "v"

    def __init__(self, health):
        super().__init__()
        self.health = health

    def prepare(self):
        host, port = self.health.rsplit(":", 1)
        probe = '.probe = { .url = "/health"; .interval = 300ms; .timeout = 1s; .window = 3; .threshold = 2; }'
        (self.directory / "v.vcl").write_text(
            "vcl 4.1;\n"
            f'backend plain {{ .host = "{host}"; .port = "{port}"; {probe} }}\n'
            f'backend proxied {{ .host = "{host}"; .port = "{port}"; .proxy_header = 2; {probe} }}\n'
            "sub vcl_recv { set req.backend_hint = plain; if (req.url ~ \"^/p\") { set req.backend_hint = proxied; } }\n")

    def command(self):
        return [program("varnishd"), "-F", "-j", "none", "-n", self.directory / "n", "-a", f"{self.host}:{self.port}",
                "-f", self.directory / "v.vcl", "-s", "malloc,16m", "-p", "thread_pools=1", "-p", "thread_pool_min=10"]

    def words(self):
        said = subprocess.run([program("varnishadm"), "-n", self.directory / "n", "backend.list"], capture_output=True, text=True, timeout=10).stdout
        words = dict(re.findall(r"boot\.(\w+)\s+\S+\s+\S+\s+(\w+)", said))
        return {"Varnish probe": words.get("plain", "?"), "Varnish probe with .proxy_header = 2": words.get("proxied", "?")}


class Apache(Server):
    """Apache's mod_proxy_hcheck; its balancer-manager says what it holds of the members."""

    name = "apache"
    MEMBERS = {"Apache hcmethod=OPTIONS": "hcmethod=OPTIONS hcuri=/health", "Apache hcmethod=GET": "hcmethod=GET hcuri=/health",
               "Apache hcmethod=HEAD11": "hcmethod=HEAD11 hcuri=/health"}

    def __init__(self, health):
        super().__init__()
        self.health = health

    def prepare(self):
        modules = "mpm_event authz_core unixd proxy proxy_http proxy_balancer slotmem_shm lbmethod_byrequests proxy_hcheck"
        lines = [f"LoadModule {m}_module /usr/lib/apache2/modules/mod_{m}.so" for m in modules.split() if m != "unixd"]
        lines += [f"ServerRoot {self.directory}", f"PidFile {self.directory}/pid", f"ErrorLog {self.directory}/error.log", "ServerName localhost",
                  f"Listen {self.host}:{self.port}", f"DefaultRuntimeDir {self.directory}", "User www-data", "Group www-data"]
        for number, options in enumerate(self.MEMBERS.values()):
            lines += [f"<Proxy balancer://b{number}>", f"  BalancerMember http://{self.health} {options} hcinterval=1 hcpasses=1 hcfails=1", "</Proxy>",
                      f"ProxyPass /b{number} balancer://b{number}"]
        lines += ["<Location /manager>", "  SetHandler balancer-manager", "  Require all granted", "</Location>"]
        (self.directory / "a.conf").write_text("\n".join(lines) + "\n")

    def command(self):
        return [program("apache2"), "-DFOREGROUND", "-f", self.directory / "a.conf"]

    def words(self):
        page = fetch(f"{self.host}:{self.port}", "/manager").text
        out = {}
        for number, member in enumerate(self.MEMBERS):
            part = page.split(f"balancer://b{number}", 1)[1].split("balancer://", 2)
            flags = re.search(r">(Init [A-Za-z ]+?)\s*<", "".join(part))
            out[member] = "?" if flags is None else "failed (HcFl)" if "HcFl" in flags[1] else "Ok"
        return out


class KeepalivedChecker(Server):
    """keepalived's own checkers. The kernel's balancer is not there (no_ipvs.c): which servers it would balance stands in its log."""

    name = "keepalived"
    CHECKS = {
        "keepalived HTTP_GET, status_code 200": "url {\npath /health\nstatus_code 200\n}",
        "keepalived HTTP_GET, http_protocol 1.1": "http_protocol 1.1\nurl {\npath /health\nstatus_code 200\n}",
        "keepalived HTTP_GET, digest of /health?format=text": f"url {{\npath /health?format=text\ndigest {hashlib.md5(PASS).hexdigest()}\n}}",
    }

    def __init__(self, health):
        super().__init__()
        self.health = health

    def prepare(self):
        host, port = self.health.rsplit(":", 1)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", self.directory / "no_ipvs.so", pathlib.Path(__file__).with_name("no_ipvs.c"), "-ldl"], check=True)
        (self.directory / "k.conf").write_text("".join(f"""
virtual_server 10.255.255.{number} 80 {{
  delay_loop 1
  lb_algo rr
  lb_kind NAT
  protocol TCP
  alpha
  real_server {host} {port} {{
    HTTP_GET {{
      connect_timeout 1
      retry 0
      {check}
    }}
  }}
}}
""" for number, check in enumerate(self.CHECKS.values(), 1)))

    def command(self):
        pids = [argument for letter in "pc" for argument in (f"-{letter}", self.directory / f"{letter}.pid")]
        return ["env", f"LD_PRELOAD={self.directory}/no_ipvs.so", program("keepalived"), "-n", "-l", "-D", "-C", "-f", self.directory / "k.conf", *pids]

    def is_ready(self):
        return "Startup complete" in self.log()

    def words(self):
        words = dict.fromkeys(self.CHECKS, "?")
        for verb, number in re.findall(r"(Adding|Removing) service .*? (?:to|from) VS \[10\.255\.255\.(\d)\]", self.log()):
            words[list(self.CHECKS)[int(number) - 1]] = "in" if verb == "Adding" else "out"
        return words


class NginxAuth(Nginx):
    """nginx asks before each request of a user (auth_request); without nginx Plus it has no checks of its own."""

    def __init__(self, health):
        super().__init__(server_block=f"location / {{ auth_request /vitald; return 200 ok; }} "
                                      f"location /deep {{ auth_request /vitald; try_files /none @ok; }} location @ok {{ return 200 ok; }} "
                                      f"location = /vitald {{ internal; proxy_pass http://{health}/health; proxy_pass_request_body off; "
                                      "proxy_set_header Content-Length \"\"; }")

    def words(self):
        return {"nginx auth_request /health": f"{fetch(f'{self.host}:{self.port}', '/deep').status} to users"}


# ---- those that ask once ------------------------------------------------------------------------------------------------

class Programs(Judge):
    """curl, keepalived's checker and a Nagios plugin: asked now, they say now."""

    def __init__(self, health):
        self.health = health
        self.host, self.port = health.rsplit(":", 1)

    def words(self):
        curl = subprocess.run(["curl", "-fsS", "-m", "2", "-o", "/dev/null", f"http://{self.health}/health"], capture_output=True, text=True, timeout=10)
        code = re.search(r"error: (\d+)", curl.stderr)
        genhash = subprocess.run([program("genhash"), "-s", self.host, "-p", self.port, "-u", "/health?format=text"], capture_output=True, text=True, timeout=10)
        digest = re.search(r"^([0-9a-f]{32})$", genhash.stdout, re.M)
        nagios = subprocess.run([f"{PLUGINS}/check_http", "-I", self.host, "-p", self.port, "-u", "/health?as=nagios", "-t", "2"],
                                capture_output=True, text=True, timeout=10)
        said = re.search(r"OK|WARNING|CRITICAL|UNKNOWN|refused", nagios.stdout)
        return {"curl -f /health": "exit 0" if curl.returncode == 0 else f"exit {curl.returncode}" + (f", {code[1]}" if code else ""),
                "keepalived digest of /health?format=text (genhash)": "no answer" if digest is None else "matches" if digest[1] == hashlib.md5(PASS).hexdigest() else "differs",
                "check_http /health?as=nagios": {0: "OK", 1: "WARNING", 2: "CRITICAL", 3: "UNKNOWN"}.get(nagios.returncode, said and said[0])}


class GrpcJudge(Judge):
    def __init__(self, address):
        self.channel = grpc.insecure_channel(address, [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 200)])

    def words(self):
        call = self.channel.unary_unary("/grpc.health.v1.Health/Check", lambda service: b"\x0a\x03" + service, lambda m: m[1])
        try:
            word = {1: "SERVING", 2: "NOT_SERVING"}[call(b"web", timeout=2)]
        except grpc.RpcError as error:
            word = error.code().name
        return {"gRPC Health/Check": word}

    def __exit__(self, *_):
        self.channel.close()


class Prometheus(Server):
    """A real scrape; what its query says."""

    name = "prometheus"

    def __init__(self, health):
        super().__init__()
        self.health = health

    def prepare(self):
        (self.directory / "p.yml").write_text(json.dumps({
            "global": {"scrape_interval": "300ms", "scrape_timeout": "300ms"},
            "scrape_configs": [{"job_name": "vitald", "static_configs": [{"targets": [self.health]}]}]}))

    def command(self):
        return [program("prometheus"), f"--config.file={self.directory}/p.yml", f"--storage.tsdb.path={self.directory}/d",
                f"--web.listen-address={self.host}:{self.port}", "--log.level=error"]

    def query(self, text):
        answer = fetch(f"{self.host}:{self.port}", "/api/v1/query?" + urllib.parse.urlencode({"query": text})).json()
        return {r["metric"].get("answer", "up"): r["value"][1] for r in answer["data"]["result"]}

    def words(self):
        up = self.query("up").get("up", "?")  # it takes its targets up some seconds after its start
        if up != "1":
            return {"Prometheus scrape": "?" if up == "?" else "up 0"}
        answers = [a for a in self.query('vitald_service_answer{service="web"} == 1')]
        overlay = self.query('vitald_service_overlay{service="web"} == 1')
        return {"Prometheus scrape": f"up 1, {'drain' if overlay else ''.join(answers)}"}


def settled(judges, patience):
    """The words of all of them once they have not changed for a second, or after `patience` seconds."""
    end = time.monotonic() + patience
    last, since = None, time.monotonic()
    while time.monotonic() < end:
        now = {}
        for judge in judges:
            now.update(judge.words())
        if now != last or "?" in now.values():
            last, since = now, time.monotonic()
        elif time.monotonic() - since > 1.5:
            break
        time.sleep(0.1)
    return last
