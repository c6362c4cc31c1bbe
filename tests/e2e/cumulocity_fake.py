# SPDX-License-Identifier: Apache-2.0
"""A fake of Cumulocity's REST: as much of it as a certificate's upload asks for. No Cumulocity is involved."""

import base64
import http.server
import json
import ssl
import threading


class Fake(threading.Thread):
    """HTTPS on a port of 127.0.0.1. What it answers is a test's to change; requests has (method, path, user, body)."""

    def __init__(self, cert, key, user="admin@example.com", password="open sesame", tenant="t12345"):
        super().__init__(daemon=True)
        self.user, self.password, self.tenant = user, password, tenant
        self.requests, self.trusted = [], []
        self.answers = {}  # path: (status, body) in place of the usual
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, answer = fake.answer(self.command, self.path, self.headers.get("Authorization", ""), body)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Server", "cumulocity-fake")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.start()

    def run(self):
        self.server.serve_forever(poll_interval=0.05)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, method, path, authorization, body):
        user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        self.requests.append((method, path, user, body))
        if path in self.answers:
            return self.answers[path]
        if (user, password) != (self.user, self.password):
            return 401, {"error": "security/Unauthorized", "message": "Invalid credentials!"}
        if (method, path) == ("GET", "/tenant/currentTenant"):
            return 200, {"name": self.tenant, "domainName": "example.cumulocity.example"}
        if (method, path) == ("POST", f"/tenant/tenants/{self.tenant}/trusted-certificates"):
            return self.trust(json.loads(body))
        return 404, {"error": "general/notFound"}

    def trust(self, wanted):
        if wanted["certInPemFormat"] in [one["certInPemFormat"] for one in self.trusted]:
            return 409, {"error": "tenant/Conflict", "message": "Certificate already exists"}
        self.trusted.append(wanted)
        return 201, wanted
