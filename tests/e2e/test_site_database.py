"""Sites with a database: the account is the Linux user and has no password; archive, restore, clone, undo."""
import os
import shutil
import subprocess

import pytest
import requests

from harness.mariadb import MariaDb
from harness.servers import BIN, wait_for
from harness.sites import Machine


@pytest.fixture(scope='module')
def machine():
    made = Machine('base')
    try:
        yield made.start()
    finally:
        made.remove()


@pytest.fixture(scope='module')
def db(machine):
    with MariaDb(os.path.join(machine.dir, 'mariadb')) as server:
        yield server


def add(machine, db, word, *options):
    return machine.add(word, '--db', 'mariadb', '--db-socket', db.socket, *options)


def databases(db):
    return {row[0] for row in db.sql('SHOW DATABASES')} - {'information_schema', 'mysql', 'performance_schema', 'sys'}


def accounts(db):
    return {row[0] for row in db.sql("SELECT user FROM mysql.user WHERE host = 'localhost'")} - {
        'root', 'mysql', 'mariadb.sys', ''}


def write_as(user, path, text):
    subprocess.run(['tee', path], input=text, text=True, user=user.pw_uid, group=user.pw_gid, extra_groups=[], check=True,
                   stdout=subprocess.DEVNULL)


ASK = '''<?php
mysqli_report(MYSQLI_REPORT_OFF);
$link = mysqli_init();
if (!@$link->real_connect("localhost", %s, "", %s, 0, "%s")) die("no: " . mysqli_connect_error());
echo $link->query("SELECT v FROM t")->fetch_row()[0];
'''


def test_the_site_uses_its_database_without_a_password_and_no_other(machine, db):
    one, two = add(machine, db, 'dbone'), add(machine, db, 'dbtwo')
    users = machine.user(one), machine.user(two)
    names = machine.record(one)['database_name'], machine.record(two)['database_name']
    for user, name, value in zip(users, names, ('first', 'second')):
        db.sql(f"CREATE TABLE t (v VARCHAR(20)); INSERT INTO t VALUES ('{value}')", user, name)
        write_as(user, f'{user.pw_dir}/public/q.php', ASK % (f'"{user.pw_name}"', f'"{name}"', db.socket))
    wait_for(lambda: machine.answer(one, '/q.php').text == 'first', why='the pool with the database in its view')
    assert machine.answer(two, '/q.php').text == 'second'
    # The second in the name of the first, and as itself in the first's database.
    write_as(users[1], f'{users[1].pw_dir}/public/steal.php', ASK % (f'"{users[0].pw_name}"', f'"{names[0]}"', db.socket))
    assert machine.answer(two, '/steal.php').text.startswith('no: Access denied')
    write_as(users[1], f'{users[1].pw_dir}/public/look.php', ASK % (f'"{users[1].pw_name}"', f'"{names[0]}"', db.socket))
    assert machine.answer(two, '/look.php').text.startswith('no: Access denied')


def test_the_underscore_of_a_grant_is_no_wildcard(machine, db):
    """`a_b` must not open `axb`."""
    name = add(machine, db, 'wild')
    user, database = machine.user(name), machine.record(name)['database_name']
    other = database.replace('_', 'x')
    db.sql(f'CREATE DATABASE `{other}`')
    done = db.sql('SELECT 1', user, other, check=False)
    assert done.returncode != 0 and 'Access denied' in done.stderr
    db.sql(f'DROP DATABASE `{other}`')


def test_a_database_that_exists_is_left_alone(machine, db):
    name = machine.name('there')
    database = name.replace('.', '_').replace('-', '_')
    db.sql(f'CREATE DATABASE `{database}`')
    told = machine.site('add', name, '--listen', f'127.0.0.1:{machine.port}', '--db', 'mariadb', '--db-socket', db.socket,
                        code=1)
    assert f'database {database} exists already' in told
    assert database in databases(db)
    db.sql(f'DROP DATABASE `{database}`')


def test_an_account_that_exists_is_not_taken_over(machine, db):
    """It has a password and rights of its own; the site's user would be let in as it, and remove would drop it."""
    user, source = 'acc' + machine.tag, add(machine, db, 'accsource')
    rights = f"SHOW GRANTS FOR '{user}'@localhost"
    db.sql(f"CREATE USER '{user}'@localhost IDENTIFIED BY 'theirs'; GRANT ALL ON test.* TO '{user}'@localhost")
    before, seen = db.sql(rights), databases(db)
    words = ('add', machine.name('acc'), '--listen', f'127.0.0.1:{machine.port}', '--db', 'mariadb', '--db-socket', db.socket)
    told = machine.site(*words, '--user', user, code=1)
    assert f"MariaDB has an account '{user}'@'localhost' already" in told and 'DROP USER' in told
    assert db.sql(rights) == before and databases(db) == seen and user not in machine.users()
    # The same where the user is made from the name: clone, and restore of a site whose account was taken meanwhile.
    db.sql(f"RENAME USER '{user}'@localhost TO '{machine.name('acctwo').replace('.', '-')}'@localhost")
    assert 'already' in machine.site('clone', source, machine.name('acctwo'), code=1)
    taken = machine.record(source)['user']
    machine.site('remove', source)
    archive, = [a for a in os.listdir(f'{machine.state}/archive') if a.startswith(source)]
    db.sql(f"CREATE USER '{taken}'@localhost IDENTIFIED BY 'theirs'")
    assert 'already' in machine.site('restore', archive, code=1)
    assert taken in accounts(db) and databases(db) == seen - {source.replace('.', '_').replace('-', '_')}
    db.sql(f"DROP USER '{taken}'@localhost, '{machine.name('acctwo').replace('.', '-')}'@localhost")
    machine.site('restore', archive)
    machine.site('remove', source, '--purge')


def test_an_account_that_appears_meanwhile_is_left_alone(machine, db):
    """Between the look and the step: neither taken over nor dropped when the add is undone."""
    name = machine.name('race')
    user = name.replace('.', '-')
    log = machine.work / 'race.log'
    # The add stops before its 6th journal entry; the home is made by then, the database is not.
    process = subprocess.Popen(
        ['strace', '-o', log, '-e', 'trace=fdatasync', '-e', 'inject=fdatasync:delay_enter=3000000:when=6',
         os.path.join(BIN, 'bulkhead-site'), 'add', name,
         '--listen', f'127.0.0.1:{machine.port}', '--db', 'mariadb', '--db-socket', db.socket],
        env=machine.env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    wait_for(lambda: os.path.isdir(f'{machine.homes}/{name}'), why='the add to be on its way')
    db.sql(f"CREATE USER '{user}'@localhost IDENTIFIED BY 'theirs'")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1 and 'already' in told, told
    assert user in accounts(db) and name.replace('.', '_').replace('-', '_') not in databases(db)
    assert user not in machine.users()
    db.sql(f"DROP USER '{user}'@localhost")


def test_without_a_server_nothing_is_made(machine):
    users = machine.users()
    told = machine.site('add', machine.name('nodb'), '--db', 'mariadb', '--db-socket', '/nowhere/sock', code=1)
    assert 'cannot ask MariaDB' in told and 'does it run' in told
    assert machine.users() == users


def test_an_add_that_fails_later_takes_the_database_back(machine, db):
    before, people = databases(db), accounts(db)
    name = machine.name('late')
    blocker = f'{machine.etc}/sites-available/{name}.conf.new~'
    os.mkdir(blocker)
    machine.site('add', name, '--listen', f'127.0.0.1:{machine.port}', '--db', 'mariadb', '--db-socket', db.socket, code=1)
    os.rmdir(blocker)
    assert databases(db) == before and accounts(db) == people


def test_remove_dumps_and_restore_loads(machine, db):
    name = add(machine, db, 'cycle')
    user, database = machine.user(name), machine.record(name)['database_name']
    db.sql("CREATE TABLE t (v VARCHAR(20)); INSERT INTO t VALUES ('kept')", user, database)
    machine.site('remove', name)
    assert database not in databases(db) and user.pw_name not in accounts(db)
    archive, = [a for a in os.listdir(f'{machine.state}/archive') if a.startswith(name)]
    machine.site('restore', archive)
    assert db.sql('SELECT v FROM t', machine.user(name), database) == [['kept']]
    machine.site('remove', name, '--purge')
    assert database not in databases(db)


# A procedure that MariaDB reads as `SELECT 1 + 1`: it takes "--" and a control character for the begin of a comment, its
# client does not, and sees the end of a statement, then one of the site's.
PLANTED = ('DELIMITER //\nCREATE PROCEDURE p() SELECT 1 --\x01 ;; %s ;; SELECT 1\n + 1 //\nDELIMITER ;\n'
           "CREATE TABLE t (v VARCHAR(20)); INSERT INTO t VALUES ('kept'); CREATE VIEW w AS SELECT v FROM t;\n"
           "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 'x';\n"
           'CREATE EVENT e ON SCHEDULE EVERY 1 YEAR DO DELETE FROM t;\n')


@pytest.mark.parametrize('how', ['restore', 'clone'])
def test_what_a_site_plants_in_its_database_is_loaded_with_its_own_rights(machine, db, how):
    name, other = add(machine, db, f'plant{how}'), machine.name('planted')
    user, database = machine.user(name), machine.record(name)['database_name']
    grant = f"GRANT ALL ON *.* TO `{user.pw_name}`@localhost"
    db.sql(PLANTED % grant, user, database)
    if how == 'clone':
        done = machine.run('clone', name, other)
    else:
        machine.site('remove', name)
        archive, = [a for a in os.listdir(f'{machine.state}/archive') if a.startswith(name)]
        done = machine.run('restore', archive)
    rights = db.sql(f"SELECT privilege_type FROM information_schema.user_privileges WHERE grantee LIKE '%{user.pw_name}%'")
    assert rights == [['USAGE']] * len(rights), done.stdout + done.stderr
    assert done.returncode == 1 and 'Access denied' in done.stderr
    if how == 'clone':
        assert machine.record(name) and other not in machine.site('list')


def test_a_copy_owns_its_routines_views_triggers_and_events(machine, db):
    """Whatever the source's said: they run with the copy's rights, none reaches back."""
    source, target = add(machine, db, 'own'), machine.name('owned')
    user, database = machine.user(source), machine.record(source)['database_name']
    db.sql(PLANTED.replace('%s', 'SELECT 2').replace('--\x01 ;;', '/*').replace(' ;; SELECT 1', '*/'), user, database)
    db.sql('CREATE FUNCTION f() RETURNS INT RETURN 7', database=database)  # the administrator's
    machine.site('clone', source, target)
    copy, copied = machine.user(target), machine.record(target)['database_name']
    assert db.sql('SELECT v FROM w; SELECT f()', copy, copied) == [['kept'], ['7']]
    rows = db.sql(f"SELECT definer FROM information_schema.routines WHERE routine_schema = '{copied}' UNION ALL "
                  f"SELECT definer FROM information_schema.views WHERE table_schema = '{copied}' UNION ALL "
                  f"SELECT definer FROM information_schema.triggers WHERE trigger_schema = '{copied}' UNION ALL "
                  f"SELECT definer FROM information_schema.events WHERE event_schema = '{copied}'")
    assert rows == [[f'{copy.pw_name}@localhost']] * 5


def test_clone_copies_the_database_and_wordpress_finds_its_own(machine, db):
    source = add(machine, db, 'wpone', '--template', 'wordpress')
    user, database = machine.user(source), machine.record(source)['database_name']
    root = machine.record(source)['root']
    config = f'{root}/wp-config.php'
    assert os.stat(config).st_mode & 0o777 == 0o600 and os.stat(config).st_uid == user.pw_uid
    with open(config, encoding='utf-8') as f:
        text = f.read()
    salts = [line.split("'")[3] for line in text.splitlines() if '_KEY' in line or '_SALT' in line]
    assert len(set(salts)) == 8 and all(len(s) == 64 for s in salts)
    write_as(user, f'{root}/wp-settings.php', '''<?php
$link = mysqli_connect("localhost", DB_USER, DB_PASSWORD, DB_NAME, 0, explode(":", DB_HOST)[1]);
echo DB_NAME, " ", $link->query("SELECT v FROM t")->fetch_row()[0];''')
    write_as(user, f'{root}/index.php', '<?php require "wp-config.php";')
    db.sql("CREATE TABLE t (v VARCHAR(20)); INSERT INTO t VALUES ('original')", user, database)
    wait_for(lambda: machine.answer(source).text == f'{database} original', why='the site')
    target = machine.name('wptwo')
    machine.site('clone', source, target)
    copied = machine.record(target)['database_name']
    db.sql("UPDATE t SET v = 'copy'", machine.user(target), copied)
    wait_for(lambda: machine.answer(target).text == f'{copied} copy', why='the copy')
    assert machine.answer(source).text == f'{database} original'
    assert not [f for f in os.listdir(f'{machine.state}/archive') if f.startswith('.clone')]


def test_sqlite_is_a_file_of_the_site(machine):
    name = machine.add('lite', '--db', 'sqlite', '--template', 'laravel')
    user = machine.user(name)
    path = f'{user.pw_dir}/private/database.sqlite'
    assert os.stat(path).st_uid == user.pw_uid and os.stat(path).st_mode & 0o777 == 0o600
    write_as(user, f'{machine.record(name)["root"]}/index.php', '<?php echo getenv("DB_DATABASE");')
    wait_for(lambda: machine.answer(name).text == path, why='the site')


def test_wordpress_is_installed_on_a_site_of_one_command(machine, db):
    """site add, Debian's files copied in, the installer's form: no password asked, no database named."""
    if not os.path.isdir('/usr/share/wordpress'):
        pytest.skip('wordpress is not installed')
    # As unpacked from wordpress.org: Debian's links to files elsewhere resolved.
    source = machine.dir + '/wordpress'
    shutil.copytree('/usr/share/wordpress', source, symlinks=False, ignore_dangling_symlinks=True,
                    ignore=shutil.ignore_patterns('wp-config.php'))
    name = add(machine, db, 'blog', '--template', 'wordpress', '--memory', '512M')
    machine.site('copy-in', name, '--from', source)
    root, user = machine.record(name)['root'], machine.user(name)
    assert os.stat(f'{root}/wp-config.php').st_uid == user.pw_uid
    session = requests.Session()
    session.headers['Host'] = name
    base = f'http://127.0.0.1:{machine.port}'

    def first():
        return session.get(f'{base}/', allow_redirects=False, timeout=60)
    wait_for(lambda: 'wp-admin/install.php' in first().headers.get('Location', ''), 30, 'the installer')
    done = session.post(f'{base}/wp-admin/install.php?step=2', timeout=120, data={
        'weblog_title': 'One command', 'user_name': 'editor', 'admin_password': 'Tr1ckier-than-this',
        'admin_password2': 'Tr1ckier-than-this', 'pw_weak': 'on', 'admin_email': 'e@example.org', 'Submit': 'Install'})
    assert 'Success!' in done.text, done.text[-1500:]
    page = first()
    assert page.status_code == 200 and 'One command' in page.text
    assert machine.answer(name, '/wp-config.php').status == 404
    # Another site of the same machine neither sees nor reads the configuration.
    thief = machine.add('thief')
    write_as(machine.user(thief), f'{machine.user(thief).pw_dir}/public/t.php',
             f'<?php echo "read: ", @file_get_contents("{root}/wp-config.php");')
    wait_for(lambda: machine.answer(thief, '/t.php').text == 'read: ', why='the thief')
