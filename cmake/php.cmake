# Finds libphp (Debian libphp8.2-embed) and the Zend headers (php8.2-dev); only src/php may use them.
set(PHP_VERSION 8.2 CACHE STRING "PHP branch to build the worker for")
find_program(PHP_CONFIG NAMES php-config${PHP_VERSION} REQUIRED)
execute_process(COMMAND ${PHP_CONFIG} --include-dir OUTPUT_VARIABLE PHP_INCLUDE_DIR
  OUTPUT_STRIP_TRAILING_WHITESPACE)
find_library(PHP_LIBRARY NAMES php${PHP_VERSION} REQUIRED)
add_library(libphp INTERFACE)
target_include_directories(libphp SYSTEM INTERFACE ${PHP_INCLUDE_DIR} ${PHP_INCLUDE_DIR}/main
  ${PHP_INCLUDE_DIR}/Zend ${PHP_INCLUDE_DIR}/TSRM ${PHP_INCLUDE_DIR}/ext ${PHP_INCLUDE_DIR}/ext/date/lib)
target_link_libraries(libphp INTERFACE ${PHP_LIBRARY})
if(BH_SANITIZE)
  target_sources(libphp INTERFACE ${CMAKE_CURRENT_LIST_DIR}/sanitizer_shims.cc)
endif()
set(LIBS_php libphp)
