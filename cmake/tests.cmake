# Tests that need built programs.  ./test builds the four trees first; ctest then runs everything.
find_program(DEBIAN_PYTHON NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)

function(bulkhead_test name label timeout)
  add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${timeout})
endfunction()

# pytest over a directory, against the programs of one tree.
function(bulkhead_pytest name label timeout tree)
  bulkhead_test(${name} ${label} ${timeout} ${DEBIAN_PYTHON} -m pytest -q -p no:cacheprovider ${ARGN})
  set_tests_properties(${name} PROPERTIES ENVIRONMENT
    "BULKHEAD_BIN=${CMAKE_SOURCE_DIR}/${tree}/bin;BULKHEAD_TREE=${tree};PYTHONDONTWRITEBYTECODE=1"
    PROCESSORS 2 RESOURCE_LOCK servers)
endfunction()

if(BH_SANITIZE OR BH_FUZZ)
  return()  # those trees are driven by the release tree's tests
endif()

bulkhead_test(tidy tidy 120 ${DEBIAN_PYTHON} tests/tidy/tidy.py)
set_tests_properties(tidy PROPERTIES LABELS tidy)

file(GLOB fuzzers CONFIGURE_DEPENDS fuzz/*_fuzz.cc)
foreach(f IN LISTS fuzzers)
  get_filename_component(name ${f} NAME_WE)
  bulkhead_test(${name} fuzz 240 ${CMAKE_SOURCE_DIR}/tests/fuzz_for.sh ${name} 60)
endforeach()

if(EXISTS ${CMAKE_SOURCE_DIR}/tests/e2e)
  bulkhead_pytest(e2e e2e 1200 build -n 4 --dist loadfile tests/e2e)
  bulkhead_pytest(e2e_asan e2e 1500 build-asan -n 4 --dist loadfile tests/e2e)
  bulkhead_pytest(e2e_tsan e2e 1500 build-tsan -n 4 --dist loadfile tests/e2e)
endif()
# A minute of one site's nonsense in the memory it shares with front, in both trees.
bulkhead_pytest(attack_ring attack 300 build tests/attack)
bulkhead_pytest(attack_ring_asan attack 400 build-asan tests/attack)
foreach(t attack_ring attack_ring_asan)
  set_property(TEST ${t} APPEND PROPERTY ENVIRONMENT "BULKHEAD_ATTACK_SECONDS=60")
endforeach()
if(EXISTS ${CMAKE_SOURCE_DIR}/tests/differential)
  bulkhead_pytest(differential differential 900 build -n 3 tests/differential)
endif()
# A person with a browser: WordPress from its installation to a post with a picture.
bulkhead_pytest(browser e2e 300 build tests/browser)
# What a request costs, in system calls and instructions.
foreach(part front php)
  add_executable(${part}_cost tests/guard/${part}_cost.cc)
  target_link_libraries(${part}_cost bulkhead_${part})
  set_target_properties(${part}_cost PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/guard)
endforeach()
bulkhead_pytest(guard guard 600 build tests/guard)
set_property(TEST guard APPEND PROPERTY ENVIRONMENT "BULKHEAD_BUILD=${CMAKE_BINARY_DIR}")
bulkhead_test(corpus corpus 300 ${CMAKE_SOURCE_DIR}/tests/corpus.sh)
bulkhead_test(run_once e2e 300 ${CMAKE_SOURCE_DIR}/tests/run_once.sh)
bulkhead_test(bench_hello bench 300 ${CMAKE_SOURCE_DIR}/bench/hello --quick)
# Servers and measurements have the two cores to themselves.
set_tests_properties(run_once bench_hello corpus PROPERTIES PROCESSORS 2 RESOURCE_LOCK servers)

# PHP's program with its private memory left out: only tests of `bulkhead verify` run it.
add_executable(php_shared_cache src/cmd/php_main.cc tests/weakened/shared_cache.cc)
target_link_libraries(php_shared_cache bulkhead_pool)
target_link_options(php_shared_cache PRIVATE -Wl,-z,muldefs)
set_target_properties(php_shared_cache PROPERTIES OUTPUT_NAME bulkhead-php${PHP_VERSION}
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/weakened)
