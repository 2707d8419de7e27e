# bulkhead.conf(5) and bulkhead-pool(5): their frames are in share/man, their directives come from the
# tables that the parsers read.
add_executable(directive_pages src/cmd/manual_main.cc)
target_link_libraries(directive_pages bulkhead_config)
set_target_properties(directive_pages PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tools)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/man)
set(made_pages "")
foreach(page bulkhead.conf.5 bulkhead-pool.5)
  add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/man/${page}
    COMMAND directive_pages ${CMAKE_SOURCE_DIR}/share/man/${page}.in ${CMAKE_BINARY_DIR}/man/${page}
    DEPENDS directive_pages ${CMAKE_SOURCE_DIR}/share/man/${page}.in VERBATIM)
  list(APPEND made_pages ${CMAKE_BINARY_DIR}/man/${page})
endforeach()
add_custom_target(manual ALL DEPENDS ${made_pages})
