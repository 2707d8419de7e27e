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
        params = b''
        with client, client.makefile('rb') as stream:
            while True:
                head = stream.read(8)
                if len(head) < 8:
                    return
                _, kind, _, size, padding, _ = struct.unpack('>BBHHBB', head)
                content = stream.read(size + padding)[:size]
                if kind == 4:
                    params += content
                if kind == 5 and not content:
                    break
            try:
                self.answer(client, read_params(params))
            except OSError:
                pass

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
            return
        status = query['s'] if query.get('at', self.name) == self.name and 's' in query else '200'
        text = f'Status: {status}\r\nContent-Type: text/plain\r\n\r\n{self.name}'.encode()
        client.sendall(record(6, text) + record(6, b'') + record(3, struct.pack('>IB3x', 0, 0)))
