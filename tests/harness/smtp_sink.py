"""A mail server that takes everything it is told to take and remembers it: the other end of
bulkhead-sendmail in tests."""
import socket
import threading


class SmtpSink:
    """Listens on a free loopback port.  `script` maps a command's first word (or 'BODY') to what is
    answered instead of the usual, or to None: closes the connection."""

    def __init__(self, capabilities=('SIZE 1000000', '8BITMIME', 'SMTPUTF8'), script=None):
        self.capabilities, self.script = capabilities, script or {}
        self.mails, self.commands = [], []
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile('rb') as lines:
            try:
                self.talk(connection, lines)
            except (OSError, StopIteration):
                pass

    def answer(self, connection, word, usual):
        said = self.script.get(word, usual)
        if callable(said):
            said = said()
        if said is None:
            raise StopIteration
        connection.sendall(said.encode() + b'\r\n')
        return said

    def talk(self, connection, lines):
        self.answer(connection, 'GREETING', '220 sink ready')
        mail = None
        for raw in lines:
            line = raw.decode('utf-8', 'surrogateescape').rstrip('\r\n')
            self.commands.append(line)
            word = line.split(':')[0].split(' ')[0].upper()
            if word == 'EHLO':
                said = '\r\n'.join(['250-sink'] + [f'250-{c}' for c in self.capabilities] + ['250 HELP'])
                self.answer(connection, word, said)
            elif word == 'MAIL':
                mail = {'from': line, 'to': [], 'data': b''}
                self.answer(connection, word, '250 2.1.0 fine')
            elif word == 'RCPT':
                if self.answer(connection, word, '250 fine')[0] == '2':
                    mail['to'].append(line.split('<', 1)[1].rstrip('>'))
            elif word == 'DATA':
                if self.answer(connection, word, '354 go on')[0] != '3':
                    continue
                for body in lines:
                    if body == b'.\r\n':
                        break
                    mail['data'] += body[1:] if body.startswith(b'.') else body
                else:
                    return
                if self.answer(connection, 'BODY', '250 2.0.0 taken')[0] == '2':
                    self.mails.append(mail)
            elif word == 'QUIT':
                self.answer(connection, word, '221 bye')
                return
            else:
                self.answer(connection, word, '250 fine')
