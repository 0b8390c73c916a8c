"""What the tests of outputs share: an application that is well or not, an agent beside it that tells somebody, and a receiver
that remembers what it was sent."""
import http.server
import threading

from agent import Agent, wait_for
from servers import HttpApp

FAST = {"interval": "500ms", "timeout": "500ms", "edge_interval": "100ms", "max_age": "5s", "rise": 1, "fall": 1, "retries": 0}


class Told:
    """An application and an agent with these outputs. fail() and work() change the application's answer."""

    def __init__(self, outputs, agent=Agent, env=None, **config):
        self.app = HttpApp().start()
        self.config = {"node": {"name": "n1"}, "defaults": FAST, "checks": {"app": {"type": "http", "url": self.app.url}},
                       "services": {"web": ["app"]}, "outputs": outputs, **config}
        try:
            self.agent = agent(self.config, env=env, start=False)
        except BaseException:
            self.app.__exit__()
            raise

    def __enter__(self):
        try:
            self.agent.start()
            self.agent.wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error):
        if error and error[0] is not None:
            print(f"--- log of vitald\n{self.agent.log()[-6000:]}---")
        self.agent.stop()
        self.app.__exit__()

    def fail(self):
        self.app.answer(503, "broken\n")

    def work(self):
        self.app.answer(200, "ok\n")

    def output(self, name):
        return output(self.agent, name)

    def wait_for_state(self, name, state, timeout=15):
        return wait_for(lambda: (o := self.output(name))["state"] == state and o, timeout, f"{name} is {state}: {self.output(name)}")


def output(agent, name):
    return next(o for o in agent.admin("/api/v1/outputs").json()["outputs"] if o["name"] == name)


class Receiver:
    """An HTTP server on a thread. `answer(method, path, body, headers)` gives (status, body); `requests` remembers all."""

    def __init__(self, answer=None, port=0):
        self.requests = []
        self.answer = answer or (lambda *_: (200, b"{}"))
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                owner.requests.append((self.command, self.path, body, dict(self.headers)))
                status, text = owner.answer(self.command, self.path, body, self.headers)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_POST = handle_any

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
