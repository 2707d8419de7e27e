<?php
// Written by bulkhead site add.  The database knows this site by its Linux user: there is no password.
define('DB_NAME', '@DB_NAME@');
define('DB_USER', '@USER@');
define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:@DB_SOCKET@');
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
define('AUTH_KEY', '@RANDOM@');
define('SECURE_AUTH_KEY', '@RANDOM@');
define('LOGGED_IN_KEY', '@RANDOM@');
define('NONCE_KEY', '@RANDOM@');
define('AUTH_SALT', '@RANDOM@');
define('SECURE_AUTH_SALT', '@RANDOM@');
define('LOGGED_IN_SALT', '@RANDOM@');
define('NONCE_SALT', '@RANDOM@');
$table_prefix = 'wp_';
define('WP_DEBUG', false);
define('FS_METHOD', 'direct');
if (!defined('ABSPATH')) {
    define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
