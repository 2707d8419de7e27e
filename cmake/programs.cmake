# One executable per privilege: what a program may do is what it links.
function(bulkhead_program name main)
  add_executable(${name} src/cmd/${main})
  target_link_libraries(${name} ${ARGN})
endfunction()
foreach(p
    "bulkhead|bulkhead_main.cc|bulkhead_master bulkhead_cli bulkhead_top"
    "bulkhead-master|master_main.cc|bulkhead_master"
    "bulkhead-front|front_main.cc|bulkhead_front bulkhead_sandbox"
    "bulkhead-files|files_main.cc|bulkhead_opener"
    "bulkhead-sendmail|sendmail_main.cc|bulkhead_mail"
    "bulkhead-site|site_main.cc|bulkhead_sites bulkhead_cli"
    "bulkhead-import|import_main.cc|bulkhead_import bulkhead_cli"
    "bulkhead-verify|verify_main.cc|bulkhead_verify bulkhead_cli"
    "bulkhead-php${PHP_VERSION}|php_main.cc|bulkhead_pool")
  string(REPLACE "|" ";" p "${p}")
  list(GET p 0 name)
  list(GET p 1 main)
  list(GET p 2 lib)
  if(EXISTS ${CMAKE_SOURCE_DIR}/src/cmd/${main})
    separate_arguments(lib)
    bulkhead_program(${name} ${main} ${lib})
  endif()
endforeach()

# The attacker of `bulkhead verify` runs inside any view a site may have: static, and never with a
# sanitizer's own memory or files.
target_compile_options(bulkhead_probe PRIVATE -fno-sanitize=all)
add_executable(bulkhead-probe src/cmd/probe_main.cc)
target_compile_options(bulkhead-probe PRIVATE -fno-sanitize=all)
target_link_options(bulkhead-probe PRIVATE -fno-sanitize=all -static)
target_link_libraries(bulkhead-probe bulkhead_probe)
include(cmake/verify.cmake)
include(cmake/sites.cmake)
include(cmake/completion.cmake)

# The opener's own filter; of the layers below it only what it calls is linked.
target_link_libraries(bulkhead-files bulkhead_sandbox -Wl,--as-needed)
