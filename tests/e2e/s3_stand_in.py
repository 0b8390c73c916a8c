"""A strict stand-in for S3, a program of its own so that it can be hung:

    python3 s3_stand_in.py PORT FILE     # FILE is JSON, read anew for each request: keys, region, fault, clock, session

It recomputes every signature with botocore, which shares nothing with ours, and refuses as S3 does: an unknown key, another region, a
clock 15 minutes off, a payload's hash that is missing or wrong, a header x-amz-* that is not signed. Objects live in memory. It serves
other services too: a path that begins with /execute-api/ is verified for that service and answered with `ok`.
"""
import datetime
import hashlib
import http.server
import json
import pathlib
import sys

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

OBJECTS = {}


class Refused(Exception):
    pass


def verify(request, body, settings, service):
    """Raises Refused((status, code)) unless the request is signed as it should be."""
    scheme, _, rest = (request.headers.get("Authorization") or "").partition(" ")
    if scheme != "AWS4-HMAC-SHA256":
        raise Refused((403, "AccessDenied"))
    fields = dict(part.strip().split("=", 1) for part in rest.split(","))
    access_key, day, region, named, end = fields["Credential"].split("/")
    if access_key not in settings["keys"]:
        raise Refused((403, "InvalidAccessKeyId"))
    if region != settings["region"] or named != service or end != "aws4_request":
        raise Refused((400, "AuthorizationHeaderMalformed"))
    stamp = request.headers.get("X-Amz-Date", "")
    now = datetime.datetime.utcnow() + datetime.timedelta(seconds=settings.get("clock", 0))
    if not stamp.startswith(day) or abs((datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ") - now).total_seconds()) > 900:
        raise Refused((403, "RequestTimeTooSkewed"))
    digest = request.headers.get("X-Amz-Content-Sha256")
    if digest is None:
        raise Refused((400, "InvalidRequest"))
    if digest != hashlib.sha256(body).hexdigest():
        raise Refused((400, "XAmzContentSHA256Mismatch"))
    if request.headers.get("X-Amz-Security-Token") != settings.get("session"):
        raise Refused((403, "InvalidToken"))
    signed = fields["SignedHeaders"].split(";")
    if "host" not in signed or any(n.lower().startswith("x-amz-") and n.lower() not in signed for n in request.headers):
        raise Refused((403, "AccessDenied"))
    given = AWSRequest(method=request.command, url=f"http://{request.headers['Host']}{request.path}", data=body,
                       headers={name: request.headers[name] for name in signed})
    given.context["timestamp"] = stamp
    auth = (S3SigV4Auth if service == "s3" else SigV4Auth)(Credentials(access_key, settings["keys"][access_key]), service, region)
    if auth.signature(auth.string_to_sign(given, auth.canonical_request(given)), given) != fields["Signature"]:
        raise Refused((403, "SignatureDoesNotMatch"))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b""):
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code):
        self.answer(status, f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>x</Message></Error>'.encode())

    def serve(self):
        settings = json.loads(pathlib.Path(sys.argv[2]).read_text())
        fault = settings.get("fault", "")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        service = "execute-api" if self.path.startswith("/execute-api/") else "s3"
        try:
            verify(self, body, settings, service)
        except Refused as refused:
            return self.refuse(*refused.args[0])
        if service != "s3":
            return self.answer(200, b"ok\n")
        if not self.path.startswith("/bucket/"):
            return self.refuse(404, "NoSuchBucket")
        if fault == "overloaded":
            return self.refuse(503, "SlowDown")
        if self.command == "PUT":
            if fault != "forgets":
                OBJECTS[self.path] = body
            return self.answer(200)
        if self.command == "DELETE":
            if fault == "keeps":
                return self.refuse(403, "AccessDenied")
            OBJECTS.pop(self.path, None)
            return self.answer(204)
        if self.path not in OBJECTS:
            return self.refuse(404, "NoSuchKey")
        return self.answer(200, b"x" + OBJECTS[self.path] if fault == "corrupts" else OBJECTS[self.path])

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = serve

    def log_message(self, format, *arguments):
        print(format % arguments, len(OBJECTS), flush=True)


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
