"""mail() and /usr/sbin/sendmail inside a site: our submission client, to the relay that the site's pool names."""
import os
import stat

import pytest

from harness import sanitizers
from harness.servers import BIN, Bulkhead, wait_for
from harness.smtp_sink import SmtpSink
from harness.users import users

from test_sandbox import conf, place, run

MAIL = r"return mail('you@example.org', 'Hello', 'a text', 'From: shop@example.org');"
# By its name, as programs that are not PHP do.
CALL = r'''$p = popen('/usr/sbin/sendmail -t -i', 'w'); fwrite($p, "To: me@example.org\nSubject: x\n\nby name\n"); return pclose($p);'''


@pytest.fixture(scope='module')
def sites(work):
    with users('ma', 'mb') as people, SmtpSink() as first, SmtpSink() as second:
        a, b = people
        root = {name: place(work, f'mail/{name}', user) for name, user in (
            ('own', a), ('other', b), ('plain', a), ('php', a), ('ini', b), ('open', b), ('flat', a))}
        relay = f'mail.relay = 127.0.0.1:{first.port}'
        pools = [
            dict(name='own', user=a, more=f'{relay}\nmail.from = site@example.org\nmail.site_header = yes'),
            dict(name='other', user=b, more=f'mail.relay = 127.0.0.1:{second.port}'),
            dict(name='plain', user=a),
            dict(name='php', user=a, more=f'{relay}\nphp_admin_value[sendmail_path] = /bin/false'),
            dict(name='ini', user=b, more=f'{relay}\nphp_value[sendmail_path] = "/bin/cat >/dev/null"'),
            dict(name='open', user=b, more=f'{relay}\nsandbox = off'),
            dict(name='flat', user=a, more=f'{relay}\nsandbox.off[] = view'),
        ]
        for pool in pools:
            pool['root'] = root[pool['name']]
            if sanitizers.KIND == 'asan':  # its search for leaks wants to trace the program, which no site may
                pool['more'] = pool.get('more', '') + '\nenv[ASAN_OPTIONS] = "detect_leaks=0"'
        server = Bulkhead(work, *conf(pools), tag='mail')
        server.start()
        wait_for(lambda: server.fetch('/run.php', host='own', method='POST', body=b'return 1;').status == 200)
        yield server, first, second
        server.stop()


def test_mail_of_php_goes_to_the_relay_of_its_site(sites):
    server, first, second = sites
    assert run(server, 'own', MAIL) is True
    mail = first.mails[-1]
    assert mail['to'] == ['you@example.org'] and b'From: shop@example.org' in mail['data']
    assert 'site@example.org' in mail['from'] and b'X-Bulkhead-Site: own' in mail['data']
    before = len(first.mails)
    assert run(server, 'other', MAIL) is True
    assert second.mails[-1]['to'] == ['you@example.org'] and b'X-Bulkhead-Site' not in second.mails[-1]['data']
    assert len(first.mails) == before


def test_sendmail_by_its_name_is_ours_with_the_sites_relay(sites):
    server, first, second = sites
    assert run(server, 'own', CALL) == 0
    mail = first.mails[-1]
    assert mail['to'] == ['me@example.org'] and b'by name' in mail['data'] and b'X-Bulkhead-Site: own' in mail['data']
    assert 'site@example.org' in mail['from']
    assert run(server, 'other', CALL) == 0
    assert second.mails[-1]['to'] == ['me@example.org']
    # The rest of the directory is the machine's.
    assert run(server, 'own', r"return is_executable('/usr/sbin/ldconfig') || is_executable('/usr/sbin/useradd');") is True
    assert 'bulkhead-sendmail' in run(server, 'own', r"return shell_exec('sendmail --version; PATH=/usr/sbin sendmail --version');")


def test_what_the_site_sees_of_it_cannot_be_changed(sites):
    server = sites[0]
    for path in ('/run/bulkhead-mail/options', '/run/bulkhead-mail/sendmail', '/usr/sbin/sendmail', '/usr/sbin/new'):
        assert run(server, 'own', f"return @file_put_contents('{path}', 'x') === false && !@unlink('{path}');") is True, path


def test_localhost_is_the_relay_of_a_pool_that_names_none(sites):
    assert run(sites[0], 'plain', "return ini_get('sendmail_path');") == "'/run/bulkhead-mail/sendmail' -t -i --no-tempfail"
    assert run(sites[0], 'plain', "return file_get_contents('/run/bulkhead-mail/options');") == ''


def test_the_pools_own_sendmail_path_wins(sites):
    server, first, _ = sites
    before = len(first.mails)
    assert run(server, 'php', MAIL) is False
    assert run(server, 'ini', MAIL) is True
    assert len(first.mails) == before


def test_a_pool_without_sandbox_keeps_phps_own(sites):
    assert run(sites[0], 'open', "return ini_get('sendmail_path');") == '/usr/sbin/sendmail -t -i'


def test_mail_needs_no_view(sites):
    server, first, _ = sites
    parts = [BIN[:i] for i, c in enumerate(BIN + '/') if c == '/' and i > 0]
    if not all(os.stat(p).st_mode & stat.S_IXOTH for p in parts):
        pytest.skip(f'a site cannot enter {BIN}')
    before = len(first.mails)
    assert run(server, 'flat', MAIL) is True
    assert len(first.mails) == before + 1
