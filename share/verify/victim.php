<?php
// The victim's PHP half of `bulkhead verify`: keeps evidence and tells what it sees; a script in
// the victim's own web root, removed after the run.
declare(strict_types=1);
error_reporting(0);
// Only verify itself may ask: else whoever reads the request in a log could have this script work for
// him. The word comes in a header, which no log keeps.
if (!hash_equals('@TOKEN@', $_SERVER['HTTP_X_BHV_TOKEN'] ?? '')) {
    http_response_code(403);
    exit;
}
header('Content-Type: application/json');

function answer(array $what): never {
    echo json_encode($what), "\n";
    exit;
}
$secret = $_GET['secret'] ?? '';
switch ($_GET['do'] ?? '') {
    case 'ping':
        answer(['pong' => true]);
    case 'warm':      // the owner reads his own secret, so that opcache holds it
        include $secret;
        answer(['value' => $bhv_secret ?? null, 'cached' => opcache_is_script_cached($secret)]);
    case 'cached':
        answer(['cached' => opcache_is_script_cached($secret)]);
    case 'session':
        session_id($_GET['id']);
        $started = session_start();
        $_SESSION['bhv'] = $_GET['marker'];
        session_write_close();
        $dir = session_save_path() ?: sys_get_temp_dir();
        answer(['started' => $started, 'dir' => $dir, 'file' => "$dir/sess_" . $_GET['id'],
                'inode' => fileinode("$dir/sess_" . $_GET['id'])]);
    case 'session_end':
        session_id($_GET['id']);
        session_start();
        session_destroy();
        answer(['ended' => true]);
    case 'compile':   // a script nobody compiled before: opcache takes its lock
        $path = $_GET['own_root'] . '/' . $_GET['tag'] . '-new.php';
        file_put_contents($path, '<?php return 42;');
        touch($path, time() - 60);
        $value = include $path;
        unlink($path);
        answer(['value' => $value]);
    case 'free':
        $memory = opcache_get_status(false)['memory_usage'] ?? null;
        answer(['free' => $memory['free_memory'] ?? null]);
    case 'apcu':
        answer(['stored' => function_exists('apcu_store') && apcu_store($_GET['tag'], $_GET['marker'], 300)]);
    case 'apcu_end':
        answer(['gone' => function_exists('apcu_delete') && apcu_delete($_GET['tag'])]);
    case 'traces':
        answer(['traces' => getenv('BHV_TRACE') . ini_get('user_agent')]);
    case 'proxy':
        answer(['proxy' => (string)getenv('HTTP_PROXY'), 'under' => $_SERVER['HTTP_X_BHV_UNDER'] ?? '']);
    case 'pid':
        answer(['pid' => getmypid()]);
}
answer(['error' => 'no such question']);
