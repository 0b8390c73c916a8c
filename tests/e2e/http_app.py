"""The web application of servers.HttpApp, a program of its own so that it can be stopped, hung and run as nobody:

    python3 http_app.py PORT FILE     # FILE is JSON: status, body, delay; read anew for each request
"""
import http.server
import json
import pathlib
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        answer = json.loads(pathlib.Path(sys.argv[2]).read_text())
        time.sleep(answer["delay"])
        body = answer["body"].encode()
        self.send_response(answer["status"])
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Server", sys.argv[1])
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_POST = do_OPTIONS = do_GET


if __name__ == "__main__":
    http.server.ThreadingHTTPServer.request_queue_size = 128
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
