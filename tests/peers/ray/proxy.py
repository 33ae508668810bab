"""A reverse proxy that records requests. With a certificate, it serves https in front of a server that has none."""

import datetime
import ipaddress
import ssl
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = datetime.timedelta(days=1)


class Handler(BaseHTTPRequestHandler):
    """Passes a request on, and its answer back."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        passed = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        request = urllib.request.Request(self.server.upstream + self.path, body or None, passed, method=self.command)
        try:
            got = urllib.request.urlopen(request, timeout=300)
        except urllib.error.HTTPError as error:
            got = error
        with got:
            text = got.read()
            self.send_response(got.status)
            self.send_header("Content-Type", got.headers.get("Content-Type", "text/plain"))
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_):
        """Prints nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Prints nothing: a client that does not trust the certificate ends the connection."""


@contextmanager
def proxy(upstream, certificate=None):
    """Runs a proxy in front of the server at a URL. Its member `seen` has the requests, and `port` its port."""
    server = Server(("127.0.0.1", 0), Handler)
    server.upstream, server.seen, server.port = upstream, [], server.server_port
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # The handshake is made by the thread of the connection, at the first read.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def write_certificates(folder):
    """Writes a certificate authority, and a certificate for 127.0.0.1 with its key. Returns the paths of both files."""
    authority, authority_key = issue("The authority of the check", None, None)
    server, server_key = issue("127.0.0.1", authority, authority_key)
    key = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    trusted, own = folder / "authority.pem", folder / "server.pem"
    trusted.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    own.write_bytes(key + server.public_bytes(serialization.Encoding.PEM))
    return trusted, own


def issue(name, issuer, issuer_key):
    """Issues a certificate and its key. Without an issuer, it is that of an authority, which signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.subject if issuer else subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - DAY).not_valid_after(now + DAY)
    builder = builder.add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    if issuer:
        address = x509.IPAddress(ipaddress.ip_address(name))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    return builder.sign(issuer_key or key, hashes.SHA256()), key
