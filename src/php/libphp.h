// The Zend and SAPI headers, in one place and in the order they need, for src/php's .cc files only.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Wdeprecated-register"
#endif
// clang-format off
#include "php.h"
#include "SAPI.h"
#include "php_globals.h"
#include "php_ini.h"
#include "php_main.h"
#include "php_variables.h"
#include "ext/standard/basic_functions.h"
#include "ext/standard/info.h"
#include "zend_extensions.h"
#include "zend_ini_scanner.h"
#include "zend_signal.h"
#include "zend_stream.h"
extern "C" {  // these forget that C++ exists
#include "ext/standard/dl.h"
#include "ext/standard/head.h"
}
// clang-format on
#pragma GCC diagnostic pop

namespace bulkhead::php {
// tsrm_realpath(), whose header gives it C++ linkage by mistake.
char* real_path_of(const char* path, char* to) __asm__("tsrm_realpath");
// virtual_chdir_file(), likewise: enters the directory of a file by `change`.
int enter_directory_of(const char* path, int (*change)(const char*)) __asm__("virtual_chdir_file");
}  // namespace bulkhead::php
