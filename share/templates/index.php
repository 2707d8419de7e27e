<?php
// The first page of a new site; put your own in its place.
header('Content-Type: text/plain; charset=utf-8');
echo "This is @NAME@.\nIt runs PHP ", PHP_VERSION, " as user ", $_SERVER['USER'] ?? '', ".\n";
