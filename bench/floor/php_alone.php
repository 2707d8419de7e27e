<?php
// PHP alone, without any server: microseconds to run one script, included again and again by a
// process that does nothing else.  usage: php -d opcache.enable_cli=1 php_alone.php SCRIPT SECONDS
[, $script, $seconds] = $argv;
$runs = 0;
ob_start();
include $script;
ob_clean();
$usage = getrusage();
$from = $usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec'] + ($usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec']) / 1e6;
$until = hrtime(true) + $seconds * 1e9;
while (hrtime(true) < $until) {
    for ($i = 0; $i < 20; ++$i) {
        include $script;
        ob_clean();
        ++$runs;
    }
}
ob_end_clean();
$usage = getrusage();
$to = $usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec'] + ($usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec']) / 1e6;
printf("%.2f\n", ($to - $from) / $runs * 1e6);
