"""bulkhead-sendmail against a mail server of the test's own."""
import os
import re
import socket
import subprocess

import pytest

from harness.servers import BIN, free_port
from harness.smtp_sink import SmtpSink

PROGRAM = os.path.join(BIN, 'bulkhead-sendmail')
EX_OK, EX_USAGE, EX_NOHOST, EX_UNAVAILABLE, EX_TEMPFAIL, EX_PROTOCOL = 0, 64, 68, 69, 75, 76


def send(sink, text, *args, relay=None):
    relay = relay or f'127.0.0.1:{sink.port}'
    if isinstance(text, str):
        text = text.encode()
    return subprocess.run([PROGRAM, f'--relay={relay}', *args], input=text, capture_output=True, timeout=30)


@pytest.fixture
def sink():
    with SmtpSink() as server:
        yield server


def test_hands_a_mail_in(sink):
    done = send(sink, 'To: A <a@example.org>, "b, c" <b@example.org>\nBcc: secret@example.org\nSubject: hi\n\n'
                      'line\n.dot\n..dots\n', '-t', '-i', '-fme@example.org')
    assert (done.returncode, done.stderr) == (EX_OK, b'')
    mail, = sink.mails
    assert mail['from'].startswith('MAIL FROM:<me@example.org> SIZE=')
    assert sorted(mail['to']) == ['a@example.org', 'b@example.org', 'secret@example.org']
    head, body = mail['data'].split(b'\r\n\r\n', 1)
    assert body == b'line\r\n.dot\r\n..dots\r\n'
    assert b'secret' not in head
    assert b'From: me@example.org' in head
    assert re.search(rb'^Date: \w{3}, \d+ \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}\r?$', head, re.M)
    assert re.search(rb'^Message-ID: <[^<>@ ]+@[^<>@ ]+>\r?$', head, re.M)


def test_says_who_and_which_site(sink):
    done = send(sink, 'To: a@b.example\nX-Bulkhead-Site: forged\n\nx', '-t', '--site=site1', '--from=site1@b.example',
                '-F', 'The "Site"')
    assert done.returncode == EX_OK
    head = sink.mails[0]['data'].split(b'\r\n\r\n')[0]
    assert b'From: "The \\"Site\\"" <site1@b.example>' in head
    assert b'X-Bulkhead-Site: site1' in head and b'forged' not in head
    assert sink.mails[0]['from'].startswith('MAIL FROM:<site1@b.example>')


def test_a_mail_cannot_speak_smtp(sink):
    for ends in ('\n.\n', '\r\n.\r\n', '\r.\r', '\n.\r', '\r\n.\n'):
        assert send(sink, f'To: a@b.example\n\nx{ends}MAIL FROM:<evil@x>\nRCPT TO:<y@z>\n', '-t', '-i').returncode == 0
    assert len(sink.mails) == 5 and all(m['to'] == ['a@b.example'] for m in sink.mails)
    assert not [c for c in sink.commands if 'evil' in c]
    assert send(sink, 'x', '-f', 'a@b\r\nRCPT TO:<y@z>', 'c@d.example').returncode == EX_OK
    assert not [c for c in sink.commands if c == 'RCPT TO:<y@z>']


def test_eight_bits_and_other_alphabets(sink):
    assert send(sink, 'To: a@b.example\n\nüber\n'.encode(), '-t').returncode == EX_OK
    assert 'BODY=8BITMIME' in sink.mails[0]['from'] and 'SMTPUTF8' not in sink.mails[0]['from']
    assert send(sink, 'To: jürgen@b.example\n\nx\n'.encode(), '-t').returncode == EX_OK
    assert 'SMTPUTF8' in sink.mails[1]['from']
    with SmtpSink(capabilities=()) as plain:
        assert send(plain, 'To: a@b.example\n\nüber\n'.encode(), '-t').returncode == EX_OK
        assert plain.mails[0]['from'].endswith('>')
        refused = send(plain, 'To: jürgen@b.example\n\nx\n'.encode(), '-t')
        assert refused.returncode == EX_UNAVAILABLE and b'SMTPUTF8' in refused.stderr


def test_a_large_mail_and_one_too_large(sink):
    body = b'x' * 70 + b'\n'
    assert send(sink, b'To: a@b.example\n\n' + body * 10_000, '-t').returncode == EX_OK
    assert len(sink.mails[0]['data']) > 700_000
    too_large = send(sink, b'To: a@b.example\n\n' + body * 20_000, '-t')
    assert too_large.returncode == EX_UNAVAILABLE and b'takes 1000000' in too_large.stderr
    assert len(sink.mails) == 1


def test_many_recipients_go_in_several_transactions(sink):
    everybody = [f'u{i}@b.example' for i in range(250)]
    assert send(sink, 'Subject: x\n\nx', *everybody).returncode == EX_OK
    assert [len(m['to']) for m in sink.mails] == [100, 100, 50]
    assert sorted(sum((m['to'] for m in sink.mails), [])) == sorted(everybody)


@pytest.mark.parametrize('script, code, words', [
    ({'GREETING': '421 busy'}, EX_TEMPFAIL, b'421 busy'),
    ({'GREETING': 'HTTP/1.1 200 OK'}, EX_PROTOCOL, b'no SMTP'),
    ({'GREETING': None}, EX_TEMPFAIL, b'closed the connection'),
    ({'MAIL': '550-5.7.1 not\r\n550 you'}, EX_UNAVAILABLE, b'550 5.7.1 not you'),
    ({'RCPT': '550 nobody'}, EX_UNAVAILABLE, b'<a@b.example>: 550 nobody'),
    ({'RCPT': '450 later'}, EX_TEMPFAIL, b'450 later'),
    ({'DATA': '554 no'}, EX_UNAVAILABLE, b'554 no'),
    ({'BODY': '552 spam'}, EX_UNAVAILABLE, b'552 spam'),
    ({'BODY': '452 full'}, EX_TEMPFAIL, b'452 full'),
    ({'BODY': None}, EX_TEMPFAIL, b'closed the connection'),
])
def test_a_refusal_is_told(script, code, words):
    with SmtpSink(script=script) as server:
        done = send(server, 'To: a@b.example\n\nx', '-t')
        assert done.returncode == code and words in done.stderr, done.stderr
        assert not server.mails
        # PHP takes 75 for "queued"; nothing is queued here.
        hard = send(server, 'To: a@b.example\n\nx', '-t', '--no-tempfail')
        assert hard.returncode == (EX_UNAVAILABLE if code == EX_TEMPFAIL else code)


def test_the_recipients_that_were_taken_get_it():
    answers = iter(['550 no such user', '250 fine'])
    with SmtpSink(script={'RCPT': lambda: next(answers)}) as server:
        done = send(server, 'x', 'a@b.example', 'c@d.example')
        assert done.returncode == EX_OK
        assert b'<a@b.example>: 550 no such user' in done.stderr
        assert [m['to'] for m in server.mails] == [['c@d.example']]


def test_helo_for_an_old_relay():
    with SmtpSink(script={'EHLO': '502 what'}) as server:
        assert send(server, 'To: a@b.example\n\nüber'.encode(), '-t').returncode == EX_OK
        assert server.mails[0]['from'].endswith('>')
        assert [c.split()[0] for c in server.commands[:2]] == ['EHLO', 'HELO']


def test_no_relay_there():
    gone = send(None, 'To: a@b.example\n\nx', '-t', relay=f'127.0.0.1:{free_port()}')
    assert gone.returncode == EX_TEMPFAIL and b'cannot reach the relay 127.0.0.1' in gone.stderr
    unknown = send(None, 'To: a@b.example\n\nx', '-t', relay='no-such-host.invalid')
    assert unknown.returncode in (EX_NOHOST, EX_TEMPFAIL) and b'no-such-host.invalid' in unknown.stderr


def test_a_silent_relay_is_given_up():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        done = send(None, 'To: a@b.example\n\nx', '-t', '--timeout=1', relay=f'127.0.0.1:{listener.getsockname()[1]}')
    assert done.returncode == EX_TEMPFAIL and b'did not answer in time' in done.stderr


def test_nobody_to_send_to_and_flags_that_are_refused(sink):
    assert send(sink, 'Subject: x\n\nx', '-t').returncode == EX_USAGE
    assert send(sink, 'x').returncode == EX_USAGE
    refused = send(sink, 'x', '-X/tmp/log', 'a@b.example')
    assert refused.returncode == EX_USAGE and b'-X is refused' in refused.stderr
    assert send(sink, '', '-bp').stdout == b'Mail queue is empty\n'
    assert not sink.mails
