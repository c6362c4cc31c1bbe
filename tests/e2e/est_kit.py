# SPDX-License-Identifier: Apache-2.0
"""An EST server that answers what a test wants (also what none should), and a device with its key in a token."""

import base64
import http.server
import re
import ssl
import threading
import time

CERTIFICATES = "application/pkcs7-mime; smime-type=certs-only"


class Request:
    """What a client sent. cert: its certificate in TLS (as Python's ssl tells it), or None."""

    def __init__(self, method, path, headers, body, cert):
        self.method, self.path, self.headers, self.body, self.cert = method, path, headers, body, cert

    @property
    def operation(self):
        return self.path.rsplit("/", 1)[1]

    @property
    def user(self):
        """(user, password) of HTTP Basic, or None."""
        kind, _, text = self.headers.get("Authorization", "").partition(" ")
        return tuple(base64.b64decode(text).decode().split(":", 1)) if kind == "Basic" else None

    @property
    def cn(self):
        names = dict(pair for part in (self.cert or {}).get("subject", ()) for pair in part)
        return names.get("commonName")


class Est:
    """
    On a port of its own. answers: a function(Request) for the next requests, one each, before the usual answer; each gives
    None (the usual one), or (status, headers, body). requests: all that came.
    """

    def __init__(self, pki, days=10, host="127.0.0.1", port=0, client_certificates=True):
        self.pki, self.days, self.requests, self.answers, self.count = pki, days, [], [], 0
        self.lock = threading.Lock()
        key, cert = pki.key_and_cert("est-server", san=f"DNS:localhost,IP:127.0.0.1,IP:{host}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        if client_certificates:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(pki.ca)
        self.httpd = http.server.ThreadingHTTPServer((host, port), self.handler())
        self.httpd.daemon_threads = True
        self.httpd.socket = context.wrap_socket(self.httpd.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.httpd.server_port
        self.url = f"https://localhost:{self.port}"
        threading.Thread(target=self.httpd.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.httpd.shutdown()
        self.httpd.server_close()

    def handler(est):  # pylint: disable=no-self-argument
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def respond(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                cert = self.connection.getpeercert() if est.httpd else None
                request = Request(self.command, self.path, self.headers, body, cert or None)
                with est.lock:
                    est.requests.append(request)
                    answer = est.answers.pop(0) if est.answers else None
                    status, headers, data = (answer(request) if answer else None) or est.usual(request)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = respond

            def log_message(self, *_):
                pass

        return Handler

    def certs(self, *paths):
        """A certs-only message of these PEM files, in base64 with line breaks."""
        out = self.pki.dir / "answer.p7"
        args = [arg for path in paths for arg in ("-certfile", path)]
        self.pki.openssl("crl2pkcs7", "-nocrl", *args, "-outform", "DER", "-out", out)
        return base64.encodebytes(out.read_bytes())

    def issue(self, body, subject=None, start=-300, end=None, ca=None, usage="clientAuth"):
        """A certificate for the request as EST carries it (start and end: seconds from now); its path."""
        self.count += 1
        name, directory = f"issued-{self.count}", self.pki.dir
        ca, ca_key = ca or (self.pki.ca, self.pki.ca_key)
        (directory / "index.txt").write_text("")
        (directory / f"{name}.csr").write_text("-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(
            base64.b64decode(body)).decode() + "-----END CERTIFICATE REQUEST-----\n")
        (directory / "est.cnf").write_text(
            f"[ca]\ndefault_ca=ca\n[ca]\ndatabase={directory}/index.txt\nnew_certs_dir={directory}\nrand_serial=yes\n"
            "default_md=sha256\npolicy=policy\nx509_extensions=extensions\nunique_subject=no\ncopy_extensions=none\n[policy]\n"
            "commonName=supplied\norganizationName=optional\n[extensions]\nbasicConstraints=CA:FALSE\n"
            f"keyUsage=digitalSignature\nextendedKeyUsage={usage}\n")
        now = time.time()
        dates = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(now + at)) for at in (start, self.days * 86400 if end is None else end)]
        self.pki.openssl("ca", "-batch", "-notext", "-config", directory / "est.cnf", "-cert", ca, "-keyfile", ca_key, "-in",
                         directory / f"{name}.csr", "-out", directory / f"{name}.pem", "-startdate", dates[0], "-enddate", dates[1],
                         *(["-subj", subject] if subject else []))
        return directory / f"{name}.pem"

    def usual(self, request):
        if request.operation == "cacerts":
            return 200, {"Content-Type": CERTIFICATES}, self.certs(self.pki.ca)
        if request.operation in ("simpleenroll", "simplereenroll"):
            return 200, {"Content-Type": CERTIFICATES}, self.certs(self.issue(request.body))
        return 404, {"Content-Type": "text/plain"}, b"nothing here"

    def operations(self):
        return [request.operation for request in self.requests]


def answer(status, body=b"", **headers):
    """An answer for Est.answers: answer(401, b"who?", Content_Type="text/plain")."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: (status, headers, body if isinstance(body, bytes) else body(request))


class Device:
    """A device's configuration, its key in a token, and the holdfast command with it."""

    def __init__(self, run, holdfast, workdir, token, key_uri, name="dev-1"):
        self.run, self.holdfast, self.workdir, self.token, self.key_uri, self.name = run, holdfast, workdir, token, key_uri, name
        self.config = workdir / "config.json"
        self.cert = workdir / "device.pem"
        self.set(device__cert_path=self.cert, device__cryptoki__module_path=token.module,
                 device__cryptoki__pin_source=token.pin_file)
        if key_uri:
            self.set(device__key_uri=key_uri)

    def set(self, **values):
        for key, value in values.items():
            self.run([self.holdfast, "config", "set", key.replace("__", "."), value])

    def get(self, key):
        return self.run([self.holdfast, "config", "get", key], code=None).stdout.strip()

    def cmd(self, *args, **options):
        result = self.run([self.holdfast, *args], **options)
        assert self.token.pin not in result.stdout + result.stderr
        return result

    def fails(self, code, *texts, args, **options):
        """The command ends with this status, one error line and one hint, and all texts are in them."""
        result = self.cmd(*args, code=code, **options)
        lines = [line for line in result.stderr.splitlines() if line.startswith(("holdfast: error: ", "  hint: "))]
        assert len(lines) == 2, result
        for text in texts:
            assert re.search(text, "\n".join(lines)), f'"{text}" is missing:\n{result}'
        return result

    def subject(self, path=None):
        return self.x509("-subject", path=path)

    def x509(self, *options, path=None):
        # OpenSSL 3.2 and later write "CN=dev-1", unless they are told how.
        return self.run(["openssl", "x509", "-in", path or self.cert, "-noout", "-nameopt", "oneline", *options],
                        extra_env={"OPENSSL_CONF": "/etc/ssl/openssl.cnf"}).stdout.strip()

    def signs(self, openssl_conf):
        """Whether device.key_uri's key in the HSM is the certificate's: what the one signs, the other verifies."""
        data, signature, public = self.workdir / "to-sign", self.workdir / "to-sign.sig", self.workdir / "public.pem"
        data.write_text("to be signed")
        public.write_text(self.x509("-pubkey"))
        self.run(["openssl", "dgst", "-sha256", "-sign", self.get("device.key_uri"), "-out", signature, data],
                 extra_env=openssl_conf)
        verified = self.run(["openssl", "dgst", "-sha256", "-verify", public, "-signature", signature, data], code=None,
                            extra_env={"OPENSSL_CONF": "/etc/ssl/openssl.cnf"})
        return verified.code == 0

