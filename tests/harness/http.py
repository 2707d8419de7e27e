"""HTTP as bytes: what is sent is exactly what the test says, what comes back is parsed strictly."""
import dataclasses
import re
import socket


@dataclasses.dataclass
class Response:
    status: int
    reason: str
    headers: list       # (name, value) in order, as sent
    body: bytes         # decoded when chunked
    raw_head: bytes
    complete: bool = True  # the body was as long as the head said

    def header(self, name, default=None):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return default

    def all(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]

    @property
    def text(self):
        return self.body.decode('utf-8', 'replace')


class Connection:
    """One client connection; address is (host, port) or a Unix socket path."""

    def __init__(self, address, timeout=20):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, timeout)
        self.buffer = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server may answer and close before it has read everything
        return self

    def _fill(self):
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            data = b''
        self.buffer += data
        return bool(data)

    def _until(self, mark):
        while mark not in self.buffer:
            if not self._fill():
                return None
        part, self.buffer = self.buffer.split(mark, 1)
        return part

    def _exactly(self, size):
        while len(self.buffer) < size:
            if not self._fill():
                part, self.buffer = self.buffer, b''
                return part, False
        part, self.buffer = self.buffer[:size], self.buffer[size:]
        return part, True

    def _rest(self):
        while self._fill():
            pass
        part, self.buffer = self.buffer, b''
        return part

    def read_response(self, method='GET'):
        """The next response, or None when the connection closed before one."""
        head = self._until(b'\r\n\r\n')
        if head is None:
            if self.buffer:  # HTTP/0.9, or garbage
                return Response(0, '', [], self._rest(), b'')
            return None
        lines = head.split(b'\r\n')
        match = re.match(rb'HTTP/\d\.\d (\d{3})(?: (.*))?$', lines[0])
        if not match:
            return Response(0, '', [], head + b'\r\n\r\n' + self._rest(), b'')
        headers = []
        for line in lines[1:]:
            name, _, value = line.partition(b':')
            headers.append((name.decode('latin-1'), value.strip().decode('latin-1')))
        response = Response(int(match.group(1)), (match.group(2) or b'').decode('latin-1'), headers, b'', head)
        if method == 'HEAD' or response.status in (204, 304) or 100 <= response.status < 200:
            return response
        if (response.header('Transfer-Encoding') or '').lower() == 'chunked':
            self._read_chunks(response)
        elif response.header('Content-Length') is not None:
            response.body, response.complete = self._exactly(int(response.header('Content-Length')))
        else:
            response.body = self._rest()
        return response

    def _read_chunks(self, response):
        while True:
            line = self._until(b'\r\n')
            if line is None or not re.match(rb'[0-9a-fA-F]+', line):
                response.complete = False
                return
            size = int(line.split(b';')[0], 16)
            if size == 0:
                while line := self._until(b'\r\n'):
                    pass
                response.complete = line is not None
                return
            data, whole = self._exactly(size)
            response.body += data
            if not whole or self._until(b'\r\n') is None:
                response.complete = False
                return

    def closed(self):
        """Whether the server has closed (waits for it up to the timeout)."""
        try:
            return not self._fill()
        except TimeoutError:
            return False


def request_bytes(path, method='GET', host='localhost', headers=(), body=None, version='1.1', close=True):
    """A request; `headers` are (name, value) pairs that come after Host."""
    lines = [f'{method} {path} HTTP/{version}']
    if host is not None:
        lines.append(f'Host: {host}')
    lines += [f'{k}: {v}' for k, v in headers]
    if body is not None and not any(k.lower() in ('content-length', 'transfer-encoding') for k, _ in headers):
        lines.append(f'Content-Length: {len(body)}')
    if close:
        lines.append('Connection: close')
    return ('\r\n'.join(lines) + '\r\n\r\n').encode('latin-1') + (body or b'')


def fetch(address, path, method='GET', timeout=20, **kwargs):
    """One request on a connection of its own."""
    with Connection(address, timeout) as connection:
        connection.send(request_bytes(path, method=method, **kwargs))
        response = connection.read_response(method)
    assert response is not None, f'{method} {path}: closed without a response'
    return response
