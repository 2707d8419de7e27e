"""The requests, as data.  A case is (id, request); a request is bytes or a dict for request_bytes().

`S` is static.example, `L` location.example, `R` rewrite.example, `T` try.example, `P` php.example.
"""
S, L, R, T, P, A = (f'{n}.example' for n in ('static', 'location', 'rewrite', 'try', 'php', 'article'))
CASES = []


def add(host, path, method='GET', name='', **more):
    CASES.append((f'{host.split(".")[0]}-{method}-{path[:60]}{"-" + name if name else ""}',
                  dict(host=host, path=path, method=method, **more)))


def add_all(host, paths, **more):
    for path in paths.split('\n'):
        if path.strip():
            add(host, path.strip(), **more)


def raw(name, data):
    CASES.append((f'raw-{name}', data))


# ---- static files ---------------------------------------------------------------------------------
add_all(S, '''
/
/index.html
/a.txt
/a.txt?query=1
/empty.txt
/image.gif
/style.css
/script.js
/noext
/UPPER.HTML
/x.unknown
/a%20b.txt
/%C3%A4.txt
/plus+and&.txt
/per%25cent.txt
/one.hidden
/missing
/missing/deeper.txt
/a.txt/below
/auto
/auto?x=1
/auto/
/auto/sub/
/auto/sub
/auto-json/
/auto-xml/
/noindex/
/dironly/
/dironly
/charset/a.html
/charset/a.css
/charset/a.gif
/charset-koi/a.css
/charset-koi/a.html
/expires-max/a.txt
/expires-epoch/a.txt
/expires-mod/a.txt
/expires-off/a.txt
/headers/a.txt
/headers/none
/headers/inner/a.txt
/headers/inner/none
/headers/inherit/a.txt
/last-modified/a.txt
/noetag/a.txt
/types/a.txt
/types/style.css
/plain/a.txt
/internal/f.txt
/denied/f.txt
/allowed/a.txt
/deny-range/a.txt
/deny-other/a.txt
/tokens-off/missing
/empty.gif
/merge//double///slash
/merge/./dot/../up
/merge/%2e%2e/enc
/merge/a%2Fb
/relative/auto
/noport/auto
/noread/f.txt
/../../../etc/passwd
/%2e%2e/%2e%2e/etc/passwd
/..
/.
/a.txt%00
/a.txt%0
/%zz
/a.txt#fragment
/log/x?y=z
''')
for headers, name in [([('If-Modified-Since', 'Sun, 13 Sep 2020 12:26:40 GMT')], 'ims-same'),
                      ([('If-Modified-Since', 'Mon, 13 Sep 2021 12:26:40 GMT')], 'ims-later'),
                      ([('If-Modified-Since', 'Fri, 13 Sep 2019 12:26:40 GMT')], 'ims-earlier'),
                      ([('If-Modified-Since', 'nonsense')], 'ims-bad'),
                      ([('If-Modified-Since', 'Sunday, 13-Sep-20 12:26:40 GMT')], 'ims-rfc850'),
                      ([('If-Modified-Since', 'Sun Sep 13 12:26:40 2020')], 'ims-asctime'),
                      ([('If-None-Match', '"5f5e1000-7d0"')], 'inm-maybe'), ([('If-None-Match', '*')], 'inm-star'),
                      ([('If-None-Match', '"a", W/"5f5e1000-7d0", "b"')], 'inm-weak'), ([('If-None-Match', '"nope"')], 'inm-no'),
                      ([('If-Match', '"nope"')], 'im-no'), ([('If-Match', '*')], 'im-star'),
                      ([('If-Unmodified-Since', 'Fri, 13 Sep 2019 12:26:40 GMT')], 'ius-fail'),
                      ([('If-Unmodified-Since', 'Mon, 13 Sep 2021 12:26:40 GMT')], 'ius-ok'),
                      ([('If-None-Match', '"nope"'), ('If-Modified-Since', 'Sun, 13 Sep 2020 12:26:40 GMT')], 'inm-wins')]:
    add(S, '/a.txt', name=name, headers=headers)
    if 'ims' in name:
        add(S, '/ims-off/a.txt', name=name, headers=headers)
        add(S, '/ims-before/a.txt', name=name, headers=headers)
for spec in ['bytes=0-9', 'bytes=10-', 'bytes=-5', 'bytes=0-0', 'bytes=1990-5000', 'bytes=2000-', 'bytes=5000-6000', 'bytes=-0',
             'bytes=-9999', 'bytes=5-3', 'bytes=a-b', 'bytes=0-9,20-29', 'bytes=0-9, 20-29 ,-5', 'bytes=0-1999,0-1999', 'bytes=0-,0-,0-',
             'bytes=0-0,-1', 'bytes=0-9,5000-6000', 'bytes=', 'items=0-5', 'bytes = 0-5', 'bytes=0-99999999999999999999', 'bytes=1-2,', 'BYTES=0-1']:
    add(S, '/a.txt', name=spec, headers=[('Range', spec)])
add(S, '/a.txt', 'HEAD', name='range', headers=[('Range', 'bytes=0-9')])
add(S, '/empty.txt', name='range', headers=[('Range', 'bytes=0-9')])
add(S, '/large.bin', name='range', headers=[('Range', 'bytes=100000-900000')])
add(S, '/large.bin', name='ranges', headers=[('Range', 'bytes=0-99,1000000-1000099')])
add(S, '/large.bin')
add(S, '/ranges-one/a.txt', name='two', headers=[('Range', 'bytes=0-1,4-5')])
add(S, '/ranges-none/a.txt', name='one', headers=[('Range', 'bytes=0-1')])
add(S, '/a.txt', name='if-range-etag', headers=[('Range', 'bytes=0-1'), ('If-Range', '"other"')])
add(S, '/a.txt', name='if-range-date', headers=[('Range', 'bytes=0-1'), ('If-Range', 'Sun, 13 Sep 2020 12:26:40 GMT')])
add(S, '/a.txt', name='if-range-old', headers=[('Range', 'bytes=0-1'), ('If-Range', 'Fri, 13 Sep 2019 12:26:40 GMT')])
add(S, '/missing', name='range', headers=[('Range', 'bytes=0-1')])
for method in ('HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'PROPFIND', 'FOO', 'get'):
    add(S, '/a.txt', method)
add(S, '/', 'POST', body=b'x=1')
add(S, '/postable/', 'POST', body=b'x' * 5000)
add(S, '/missing', 'HEAD')
add(S, '/auto', 'HEAD')
add(S, '/auto/', 'HEAD')
add(S, '/auto/', 'POST', body=b'')
add(S, '/a.txt', version='1.0', name='http10')

# ---- locations --------------------------------------------------------------------------------------
add_all(L, '''
/
/anything
/exact
/exact/
/exactly
/exact/below
/images/x
/images/x.gif
/images/raw/x.gif
/images/X.png
/images/X.Png
/x.jpg
/x.JPG
/named/abc/12
/named/ABC/12
/outer/
/outer
/outer/inner/x
/outer/x.php
/outer/inner/x.php
/with%20space/x
/unicode/%C3%A4
/look/yes
/look/not
/@name
/to-name/x
/longest/x
/longest/of/x
/longest/of/all
/longest/of/allmost
/pass
/pass?a=b
/%69mages/x
/images//x
/images/../exact
''')

# ---- rewrite module -----------------------------------------------------------------------------------
add_all(R, '''
/server-level/x?q=1
/server-last/x
/last/abc?q=1
/break/a.txt
/brk
/redirect/x?q=1
/redirect/x
/permanent/a%20b?q=1
/absolute/path?q=1
/scheme/path?q=1
/args/home?q=1
/args/home
/noargs/home?q=1
/redirargs/x?q=1
/redirnoargs/x?q=1
/loop
/set
/unset
/if-eq?x=yes
/if-eq?x=no
/if-ne?x=yes
/if-ne
/if-re?x=aabb
/if-re?x=b
/if-ire?x=abcd
/if-ire?x=xabc
/if-nre?x=ABC
/if-nre?x=abc
/if-nire?x=ABC
/if-bare
/if-bare?x=0
/if-bare?x=1
/if-bare?x=
/if-f
/if-nf
/if-d
/if-e
/if-ne-e/there
/if-ne-e/not-there?q=2
/if-x
/if-two?a=1&b=1
/if-two?a=1
/if-two
/if-conf/a.txt
/if-conf/a.txt?v=1
/if-root/a.txt
/if-root/one.txt?v=1
/ret-301
/ret-302
/ret-302?a=b
/ret-303
/ret-307
/ret-308
/ret-url
/ret-https?q=1
/ret-text
/ret-404
/ret-404t
/ret-410
/ret-418
/ret-500
/ret-503
/ret-204
/ret-200
/ret-type
/ret-400
/ret-413
/ret-429
/ret-451
/ret-599
/captures/ab/rest
/captures/abc/rest
/decoded/a%20b%3Fc
/encredir/a%20b%3Fc
/encredir/%C3%A4
/brk-if
/brk-if?x=1
/map/a
/map/12
/map/up
/map/other
/kind
/kind?kind=a
/kind?kind=A
/kind?kind=b%20c
/vars
/vars?a=1&B=2&b=3
/vars/../vars/%41?A=1
/setargs?old=1
/echo?a=%20b
''')
for site in ('a.wild.example', 'wild.example', 'x.dot.example', 'dot.example', 'tail.com', 'plain', 'PLAIN', 'none', ''):
    add(R, '/hostmap', name=site, headers=[('X-Site', site)])
add(R, '/if-method', 'POST', body=b'a')
add(R, '/if-method')
add(R, '/if-header', name='bot', headers=[('User-Agent', 'A Bot 1.0')])
add(R, '/if-header', name='human', headers=[('User-Agent', 'Mozilla')])
add(R, '/if-cookie', headers=[('Cookie', 'a=b; user=anna; c=d')])
add(R, '/if-cookie', name='two', headers=[('Cookie', 'a=b'), ('Cookie', 'user=second')])
add(R, '/vars', name='headers', headers=[('Cookie', 'c=cookie'), ('X-Y', 'xy'), ('Content-Type', 'text/x')])
add(R, '/vars', 'POST', body=b'12345')
add(R, '/vars', 'HEAD')
add(R, '/ret-404', 'HEAD')
add(R, '/ret-text', 'POST', body=b'x')
add(R, '/ret-301', name='10', version='1.0')
raw('return-444', b'GET /ret-444 HTTP/1.1\r\nHost: rewrite.example\r\n\r\n')

# ---- try_files and error pages ---------------------------------------------------------------------------
add_all(T, '''
/
/a.txt
/auto
/auto/
/missing
/missing/
/front/f.txt
/front/none
/frontargs/x?y=z
/named/f.txt
/named/none?q=1
/code403/x
/code200/x
/second
/dirs
/isdir
/internalonly/a.txt
/viatry
/alias/one.txt
/alias/none
/alias/
/ralias/a.txt
/ralias/none
/ep-code/x
/ep-eq/x?q=1
/ep-named/x
/ep-named2/x
/ep-url/x
/ep-url2/x
/ep-many
/ep-missing/x
/ep-var?p=404
/ep-var
/ep-chain/x
/ep-rec/x
/ep-post
/ep-418?z=1
/ep-hdr
/cycle
/errors/404.html
''')
add(T, '/ep-post', 'POST', body=b'x')
add(T, '/missing', 'POST', body=b'x')
add(T, '/missing', 'HEAD')
add(T, '/ep-418', 'POST', body=b'x')

# ---- PHP ----------------------------------------------------------------------------------------------------
for host in (P, A):
    add_all(host, '''
/
/index.php
/server.php
/server.php?a=1&b[]=2&b[]=3
/server.php/path/info?x=y
/none.php
/none
/none/below?x=1
/sub/
/sub
/dir.php
/dir.php/file.txt
/a.php%00.txt
''')
add_all(P, '''
/env.php
/echo.php?a=1&a=2&c[x]=y
/status.php?s=200
/status.php?s=404
/status.php?s=500
/status.php?s=302
/status.php?s=418
/status.php?s=204
/status.php?s=304
/status.php?s=999
/statusline.php?l=HTTP/1.1%20404%20Gone%20Fishing
/statusline.php?l=HTTP/1.0%20503%20Busy
/statusline.php?l=Status:%20402%20Pay
/statusline.php?l=Status:%20299
/headers.php
/type.php?t=text/plain
/type.php?t=image/png
/type.php?t=text/html;charset=iso-8859-1
/type.php?t=application/json
/notype.php
/location.php?to=/relative
/location.php?to=http://other.example/x
/location.php?to=relative/path
/accel.php?to=/protected/a.txt
/accel.php?to=/protected/none.txt
/accel.php?to=/index.php?from=accel
/accel.php?to=@caught
/accelhdr.php
/big.php
/length.php
/nobody.php
/etag.php
/lm304.php
/fatal.php
/exception.php
/warning.php
/exit.php
/ini.php
/sapi.php
/auth.php
/session.php
/cwd.php
/sub/index.php
/sub/index.php/more
/finish.php
/flush.php
/ob.php
/short.php
/argv.php?a+b+c
/argv.php
/user.php
/headersent.php
/nul.php
/filter.php?a=b
/userini/show.php
/raw/info.php
/raw/info.php/extra/path
/raw/info.php?x=1
/raw/none.php/extra
/raw/info.phpx
/value/x
/intercept/?s=404
/intercept/?s=500
/intercept/?s=200
/intercept/?s=403
/hide/
/txt/x
/nofile/x
/dead/x
/slow/x
/app/some/path?x=y
/app
/static404.html
/index.php/a%20b/c%2Fd
/server.php/%0aX
/server.php?%00
/SERVER.PHP
/server.php%20
/server.php.
/./server.php
//server.php
''')
add(P, '/server.php', 'POST', body=b'a=1', headers=[('Content-Type', 'application/x-www-form-urlencoded')])
add(P, '/server.php', 'HEAD')
add(P, '/server.php', 'DELETE')
add(P, '/server.php', 'OPTIONS')
add(P, '/server.php', name='hdrs', headers=[('X-One', '1'), ('X-Two', 'a, b'), ('X-Two', 'c'), ('User-Agent', 'test'), ('Accept-Language', 'de'),
                                            ('Proxy', 'http://evil/'), ('Cookie', 'a=b; c=d'), ('Referer', 'http://r/'), ('X_Under', 'score'),
                                            ('X.Dot', 'dot'), ('Content-Type', 'text/x'), ('If-None-Match', '"x"'), ('Connection', 'close')])
add(P, '/auth.php', name='basic', headers=[('Authorization', 'Basic YW5uYTpzZWNyZXQ=')])
add(P, '/auth.php', name='digest', headers=[('Authorization', 'Digest username="x", realm="y"')])
add(P, '/auth.php', name='bearer', headers=[('Authorization', 'Bearer abc')])
add(P, '/allheaders.php', headers=[('X-Custom-Header', 'v'), ('Cookie', 'a=b'), ('Accept', '*/*')])
add(P, '/etag.php', name='inm', headers=[('If-None-Match', '"x"')])
add(P, '/etag.php', name='ims', headers=[('If-Modified-Since', 'Tue, 01 Jan 2019 00:00:00 GMT')])
add(P, '/length.php', name='range', headers=[('Range', 'bytes=0-1')])
add(P, '/big.php', 'HEAD')
add(P, '/big.php', name='10', version='1.0')
add(P, '/flush.php', name='10', version='1.0')
add(P, '/status.php?s=404', 'HEAD')
add(P, '/headers.php', name='10', version='1.0')
FORM = [('Content-Type', 'application/x-www-form-urlencoded')]
add(P, '/echo.php', 'POST', name='form', body=b'a=1&b%5B%5D=2&c=%C3%A4', headers=FORM)
add(P, '/echo.php', 'POST', name='json', body=b'{"a":1}', headers=[('Content-Type', 'application/json')])
add(P, '/echo.php', 'PUT', name='put', body=b'put body')
add(P, '/echo.php', 'POST', name='empty', body=b'')
add(P, '/echo.php', 'POST', name='none', headers=FORM)
add(P, '/readpost.php', 'POST', name='100k', body=b'z' * 100_000)
add(P, '/readpost.php', 'POST', name='16k', body=b'z' * 16384)
add(P, '/readpost.php', 'POST', name='16k+1', body=b'z' * 16385)
add(P, '/readpost.php', 'POST', name='limit', body=b'z' * 204800)
add(P, '/readpost.php', 'POST', name='over', body=b'z' * 204801)
add(P, '/status.php?s=200', 'POST', name='unread', body=b'z' * 50_000)
MULTI = (b'--BB\r\nContent-Disposition: form-data; name="t"\r\n\r\ntext\r\n--BB\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n'
         b'Content-Type: text/plain\r\n\r\nfile content\r\n--BB\r\nContent-Disposition: form-data; name="e"; filename=""\r\n\r\n\r\n--BB--\r\n')
add(P, '/files.php', 'POST', name='multi', body=MULTI, headers=[('Content-Type', 'multipart/form-data; boundary=BB')])
add(P, '/echo.php', name='cookies', headers=[('Cookie', 'a=1; b=%20x; a=2; c')])

# ---- server names ----------------------------------------------------------------------------------------------
for host in ('exact.names.example', 'EXACT.names.EXAMPLE', 'a.names.example', 'a.b.names.example', 'names.example', 'names.org', 'names.co.uk',
             'dot.example', 'x.dot.example', 'abc.re.example', 'ABC.re.example', 'a1.re.example', 'user42.anything', 'unknown.example',
             'many.example', 'alias1.example', 'exact.names.example.', 'exact.names.example:8080', 'names', '127.0.0.1', '[::1]', 'a..b', 'a/b', 'a_b.example',
             'exact.names.example:', ':80', '-', 'ä.example'):
    CASES.append((f'host-{host}', dict(host=host, path='/', method='GET')))

# ---- the protocol ------------------------------------------------------------------------------------------------
H = b'Host: rewrite.example\r\n'
E = b'GET /echo HTTP/1.1\r\n'
for name, data in {
        'no-host': b'GET /echo HTTP/1.1\r\n\r\n', 'no-host-10': b'GET / HTTP/1.0\r\n\r\n', 'two-hosts': E + H + H + b'\r\n',
        'empty-host': E + b'Host:\r\nConnection: close\r\n\r\n', 'space-host': E + b'Host: a b\r\n\r\n',
        'http09': b'GET /\r\n', 'http09-bad': b'GET\r\n\r\n', 'http11-lower': b'GET /echo http/1.1\r\n' + H + b'\r\n',
        'http20': b'GET /echo HTTP/2.0\r\n' + H + b'\r\n', 'http12': b'GET /echo HTTP/1.2\r\n' + H + b'Connection: close\r\n\r\n',
        'http1': b'GET /echo HTTP/1\r\n' + H + b'\r\n', 'http111': b'GET /echo HTTP/1.11\r\n' + H + b'\r\n',
        'preface': b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'tls': b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + b'x' * 32,
        'garbage': b'\x00\x01\x02\x03\r\n\r\n', 'lower-method': b'get /echo HTTP/1.1\r\n' + H + b'\r\n', 'long-method': b'A' * 40 + b' /echo HTTP/1.1\r\n' + H + b'Connection: close\r\n\r\n',
        'method-under': b'GET_X /echo HTTP/1.1\r\n' + H + b'Connection: close\r\n\r\n', 'method-dash': b'M-SEARCH /echo HTTP/1.1\r\n' + H + b'\r\n',
        'leading-crlf': b'\r\n\r\n' + E + H + b'Connection: close\r\n\r\n', 'two-spaces': b'GET  /echo HTTP/1.1\r\n' + H + b'Connection: close\r\n\r\n',
        'tab': b'GET\t/echo\tHTTP/1.1\r\n' + H + b'\r\n', 'trailing-space': b'GET /echo HTTP/1.1 \r\n' + H + b'Connection: close\r\n\r\n',
        'space-in-uri': b'GET /echo a HTTP/1.1\r\n' + H + b'Connection: close\r\n\r\n', 'no-slash': b'GET echo HTTP/1.1\r\n' + H + b'\r\n',
        'absolute': b'GET http://rewrite.example/echo?x=1 HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n',
        'absolute-upper': b'GET HTTP://REWRITE.example/echo HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n',
        'absolute-nopath': b'GET http://rewrite.example?x=1 HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n',
        'absolute-https': b'GET https://rewrite.example/echo HTTP/1.1\r\n' + H + b'Connection: close\r\n\r\n',
        'absolute-nohost': b'GET http://rewrite.example/echo HTTP/1.1\r\nConnection: close\r\n\r\n',
        'star': b'OPTIONS * HTTP/1.1\r\n' + H + b'Connection: close\r\n\r\n', 'connect': b'CONNECT rewrite.example:80 HTTP/1.1\r\n' + H + b'\r\n',
        'bare-lf': b'GET /echo HTTP/1.1\nHost: rewrite.example\nConnection: close\n\n', 'bare-cr': E + H + b'X: a\rb\r\nConnection: close\r\n\r\n',
        'obs-fold': E + H + b'X: a\r\n b\r\nConnection: close\r\n\r\n', 'space-before-colon': E + H + b'X : a\r\nConnection: close\r\n\r\n',
        'no-colon': E + H + b'Nonsense\r\nConnection: close\r\n\r\n', 'empty-name': E + H + b': a\r\nConnection: close\r\n\r\n',
        'header-nul': E + H + b'X: a\0b\r\nConnection: close\r\n\r\n', 'header-ctl': E + H + b'X: a\x01b\r\nConnection: close\r\n\r\n',
        'name-nul': E + H + b'X\0: a\r\nConnection: close\r\n\r\n', 'name-under': E + H + b'X_Y: a\r\nConnection: close\r\n\r\n',
        'name-odd': E + H + b'X(y): a\r\nConnection: close\r\n\r\n', 'name-high': E + H + b'X\xe4: a\r\nConnection: close\r\n\r\n',
        'cl-two-same': b'POST /echo HTTP/1.1\r\n' + H + b'Content-Length: 1\r\nContent-Length: 1\r\nConnection: close\r\n\r\na',
        'cl-two': b'POST /echo HTTP/1.1\r\n' + H + b'Content-Length: 1\r\nContent-Length: 2\r\n\r\nab',
        'cl-list': b'POST /echo HTTP/1.1\r\n' + H + b'Content-Length: 1, 1\r\n\r\na', 'cl-plus': b'POST /echo HTTP/1.1\r\n' + H + b'Content-Length: +1\r\n\r\na',
        'cl-neg': b'POST /echo HTTP/1.1\r\n' + H + b'Content-Length: -1\r\n\r\n', 'cl-hex': b'POST /echo HTTP/1.1\r\n' + H + b'Content-Length: 0x1\r\n\r\na',
        'cl-huge': b'POST /echo HTTP/1.1\r\n' + H + b'Content-Length: 99999999999999999999\r\n\r\n', 'cl-empty': b'POST /echo HTTP/1.1\r\n' + H + b'Content-Length:\r\n\r\n',
        'cl-big': b'POST /echo HTTP/1.1\r\n' + H + b'Content-Length: 5000000\r\n\r\n',
        'cl-te': b'POST /echo HTTP/1.1\r\n' + H + b'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        'te-cl': b'POST /echo HTTP/1.1\r\n' + H + b'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n',
        'te-two': b'POST /echo HTTP/1.1\r\n' + H + b'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        'te-gzip': b'POST /echo HTTP/1.1\r\n' + H + b'Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
        'te-identity': b'POST /echo HTTP/1.1\r\n' + H + b'Transfer-Encoding: identity\r\nConnection: close\r\n\r\n',
        'te-10': b'POST /echo HTTP/1.0\r\n' + H + b'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        'te-obfuscated': b'POST /echo HTTP/1.1\r\n' + H + b'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
        'te-space': b'POST /echo HTTP/1.1\r\n' + H + b'Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n',
        'expect-other': b'POST /echo HTTP/1.1\r\n' + H + b'Expect: something\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
        'upgrade': E + H + b'Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
        'keep-10': b'GET /echo HTTP/1.0\r\n' + H + b'Connection: keep-alive\r\n\r\n', 'close-11': E + H + b'Connection: close\r\n\r\n',
        'conn-multi': E + H + b'Connection: foo, close\r\n\r\n',
        'uri-nul': b'GET /echo\0x HTTP/1.1\r\n' + H + b'\r\n', 'uri-ctl': b'GET /echo\x01 HTTP/1.1\r\n' + H + b'\r\n', 'uri-del': b'GET /echo\x7f HTTP/1.1\r\n' + H + b'\r\n',
        'uri-high': b'GET /echo/\xc3\xa4 HTTP/1.1\r\n' + H + b'Connection: close\r\n\r\n', 'uri-long': b'GET /echo?' + b'x' * 9000 + b' HTTP/1.1\r\n' + H + b'\r\n',
        'uri-7k': b'GET /echo?' + b'x' * 7000 + b' HTTP/1.1\r\n' + H + b'Connection: close\r\n\r\n',
        'header-long': E + H + b'X: ' + b'y' * 9000 + b'\r\n\r\n', 'header-7k': E + H + b'X: ' + b'y' * 7000 + b'\r\nConnection: close\r\n\r\n',
        'headers-many': E + H + b''.join(b'X-%d: %s\r\n' % (n, b'y' * 700) for n in range(60)) + b'\r\n',
        'headers-some': E + H + b''.join(b'X-%d: %s\r\n' % (n, b'y' * 700) for n in range(20)) + b'Connection: close\r\n\r\n',
        'question': b'GET ? HTTP/1.1\r\n' + H + b'\r\n', 'double-q': b'GET /echo??x=1 HTTP/1.1\r\n' + H + b'Connection: close\r\n\r\n',
        'fragment': b'GET /echo#a?b HTTP/1.1\r\n' + H + b'Connection: close\r\n\r\n', 'semicolon': b'GET /echo;x=1 HTTP/1.1\r\n' + H + b'Connection: close\r\n\r\n',
        'backslash': b'GET /echo\\..\\x HTTP/1.1\r\n' + H + b'Connection: close\r\n\r\n', 'dot-end': b'GET /echo/. HTTP/1.1\r\n' + H + b'Connection: close\r\n\r\n',
        'chunked': b'POST /echo.php HTTP/1.1\r\nHost: php.example\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nTrailer: x\r\n\r\n',
        'chunked-upper': b'POST /echo.php HTTP/1.1\r\nHost: php.example\r\nTransfer-Encoding: CHUNKED\r\nConnection: close\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n',
        'chunked-bad': b'POST /echo.php HTTP/1.1\r\nHost: php.example\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 'chunked-neg': b'POST /echo.php HTTP/1.1\r\nHost: php.example\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n',
        'chunked-huge': b'POST /echo.php HTTP/1.1\r\nHost: php.example\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n',
        'chunked-nocrlf': b'POST /echo.php HTTP/1.1\r\nHost: php.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n',
        'chunked-over': b'POST /echo.php HTTP/1.1\r\nHost: php.example\r\nTransfer-Encoding: chunked\r\n\r\n40000\r\n' + b'x' * 0x40000 + b'\r\n0\r\n\r\n',
        'continue': b'POST /echo.php HTTP/1.1\r\nHost: php.example\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok',
        'header-incomplete': b'GET /echo HTTP/1.1\r\nHo', 'body-incomplete': b'POST /echo.php HTTP/1.1\r\nHost: php.example\r\nContent-Length: 10\r\n\r\nabc'}.items():
    raw(name, data)
raw('pipelined', E + H + b'\r\n' + b'GET /set HTTP/1.1\r\n' + H + b'\r\n' + b'GET /ret-404 HTTP/1.1\r\n' + H + b'Connection: close\r\n\r\n')
raw('pipelined-body', b'POST /echo HTTP/1.1\r\n' + H + b'Content-Length: 5\r\n\r\nhello' + b'GET /set HTTP/1.1\r\n' + H + b'Connection: close\r\n\r\n')
raw('pipelined-php', b''.join(b'GET /echo.php?n=%d HTTP/1.1\r\nHost: php.example\r\n\r\n' % n for n in range(5)) +
    b'GET /a HTTP/1.1\r\nHost: static.example\r\nConnection: close\r\n\r\n')
raw('pipelined-static', b''.join(b'GET /%s HTTP/1.1\r\nHost: static.example\r\n\r\n' % n for n in (b'a.txt', b'none', b'style.css', b'auto')) +
    b'HEAD /a.txt HTTP/1.1\r\nHost: static.example\r\nConnection: close\r\n\r\n')
raw('smuggle-after-400', b'POST /echo HTTP/1.1\r\n' + H + b'Content-Length: x\r\n\r\nGET /set HTTP/1.1\r\n' + H + b'\r\n')

CASES = [c for c in CASES if c is not None]
seen = {}
for index, (name, request) in enumerate(CASES):  # ids must differ
    seen[name] = seen.get(name, 0) + 1
    if seen[name] > 1:
        CASES[index] = (f'{name}#{seen[name]}', request)
