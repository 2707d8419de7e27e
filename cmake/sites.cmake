# share/templates/* and what a first configuration needs become part of bulkhead-site, as string
# literals: a new machine needs no other files.
set(embedded ${CMAKE_BINARY_DIR}/sites_embedded.cc)
set(text "#include \"sites/embedded.h\"\nnamespace bulkhead::sites {\nstd::span<const EmbeddedFile> embedded_files() {\n  static const EmbeddedFile kFiles[] = {\n")
file(GLOB templates CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/share
  ${CMAKE_SOURCE_DIR}/share/templates/*)
foreach(file IN LISTS templates ITEMS conf/bulkhead.conf conf/mime.types conf/fastcgi_params)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/share/${file})
  file(READ ${CMAKE_SOURCE_DIR}/share/${file} body)
  string(REGEX REPLACE "^conf/" "" name "${file}")
  string(APPEND text "{\"${name}\", R\"bulkhead(${body})bulkhead\"},\n")
endforeach()
string(APPEND text "  };\n  return kFiles;\n}\n}  // namespace bulkhead::sites\n")
file(WRITE ${embedded}.new "${text}")
file(COPY_FILE ${embedded}.new ${embedded} ONLY_IF_DIFFERENT)
target_sources(bulkhead_sites PRIVATE ${embedded})
