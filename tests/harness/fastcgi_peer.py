"""FastCGI servers that say their own name, to see which server of an upstream was asked."""
import os
import socket
import struct
import threading


def record(kind, content):
    return struct.pack('>BBHHBB', 1, kind, 1, len(content), 0, 0) + content


def read_params(data):
    found, at = {}, 0

    def length():
        nonlocal at
        size, at = data[at], at + 1
        if size >= 128:
            size, at = struct.unpack('>I', data[at - 1:at + 3])[0] & 0x7fffffff, at + 3
        return size
    while at < len(data):
        name, value = length(), length()
        found[data[at:at + name].decode()] = data[at + name:at + name + value].decode()
        at += name + value
    return found


class Peer:
    """Answers every request with its name, or as the query says: s=503 with that status, wait=1 only after
    release(), close=1 not at all.  `address`: a port of 127.0.0.1 or a path."""

    def __init__(self, name, address):
        self.name, self.address, self.asked = name, address, 0
        self.held, self.changed, self.released = 0, threading.Condition(), False
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(address)
            os.chmod(address, 0o666)
        else:
            self.socket = socket.socket()
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(('127.0.0.1', address))
        self.socket.listen(128)
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.release()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        if isinstance(self.address, str):
            os.unlink(self.address)

    def release(self):
        """Lets the requests go that wait now."""
        with self.changed:
            self.released = True
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.held == 0, 10)
            self.released = False

    def accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        """Requests of one connection; kept open when the web server asks for that, as php-fpm does."""
        with client, client.makefile('rb') as stream:
            keep = True
            while keep:
                params = b''
                while True:
                    head = stream.read(8)
                    if len(head) < 8:
                        return
                    _, kind, _, size, padding, _ = struct.unpack('>BBHHBB', head)
                    content = stream.read(size + padding)[:size]
                    if kind == 1:
                        keep = content[2] & 1
                    if kind == 4:
                        params += content
                    if kind == 5 and not content:
                        break
                try:
                    keep = self.answer(client, read_params(params)) and keep
                except OSError:
                    return

    def answer(self, client, params):
        query = dict(p.partition('=')[::2] for p in params.get('QUERY_STRING', '').split('&'))
        self.asked += 1
        if 'wait' in query:
            with self.changed:
                self.held += 1
                self.changed.notify_all()
                self.changed.wait_for(lambda: self.released, 30)
                self.held -= 1
                self.changed.notify_all()
        if 'close' in query and query['close'] in ('1', self.name):
            return False
        status = query['s'] if query.get('at', self.name) == self.name and 's' in query else '200'
        text = f'Status: {status}\r\nContent-Type: text/plain\r\n\r\n{self.name}'.encode()
        client.sendall(record(6, text) + record(6, b'') + record(3, struct.pack('>IB3x', 0, 0)))
        return True


def pair(name, value):
    name, value = name.encode(), value.encode()

    def size(text):
        return bytes([len(text)]) if len(text) < 128 else struct.pack('>I', len(text) | 0x80000000)
    return size(name) + size(value) + name + value


def ask(address, script, timeout=20, **params):
    """One FastCGI request, as a web server makes it, to a path or a (host, port); what the script says."""
    params = {'SCRIPT_FILENAME': script, 'SCRIPT_NAME': '/' + os.path.basename(script), 'REQUEST_METHOD': 'GET',
              'REQUEST_URI': '/' + os.path.basename(script), 'SERVER_PROTOCOL': 'HTTP/1.1', **params}
    if isinstance(address, str):
        server = socket.socket(socket.AF_UNIX)
        server.settimeout(timeout)
        server.connect(address)
    else:
        server = socket.create_connection(address, timeout)
    text = b''
    with server, server.makefile('rb') as stream:
        pairs = b''.join(pair(name, value) for name, value in params.items())
        server.sendall(record(1, struct.pack('>HB5x', 1, 0)) + record(4, pairs) + record(4, b'') + record(5, b''))
        while len(head := stream.read(8)) == 8:
            _, kind, _, size, padding, _ = struct.unpack('>BBHHBB', head)
            content = stream.read(size + padding)[:size]
            if kind == 6:
                text += content
            if kind == 3:
                break
    return text.partition(b'\r\n\r\n')[2].decode()
