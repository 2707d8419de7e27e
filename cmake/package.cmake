# cpack -G DEB: bulkhead_VERSION_amd64.deb for Debian 12.
#
#   tools/build release && cpack -G DEB --config build/CPackConfig.cmake -B build
#
# Programs go to /usr/lib/bulkhead (they find each other beside themselves), /usr/bin/bulkhead is a
# link. What is below /etc is a conffile: dpkg asks before it replaces what was changed.
if(BH_SANITIZE OR BH_FUZZ)
  return()
endif()
include(cmake/manual.cmake)
set(CMAKE_INSTALL_PREFIX /usr CACHE PATH "" FORCE)
set(lib lib/bulkhead)
set(deb ${CMAKE_SOURCE_DIR}/share/debian)
set(made ${CMAKE_BINARY_DIR}/package)

foreach(program bulkhead bulkhead-master bulkhead-front bulkhead-files bulkhead-sendmail bulkhead-site
    bulkhead-import
    bulkhead-verify bulkhead-probe bulkhead-php${PHP_VERSION})
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${lib})
  endif()
endforeach()
install(PROGRAMS share/debian/upgrade DESTINATION ${lib})
file(MAKE_DIRECTORY ${made})
file(CREATE_LINK ../${lib}/bulkhead ${made}/bulkhead SYMBOLIC)
install(FILES ${made}/bulkhead DESTINATION bin)

# The first configuration of `bulkhead site`, with a page instead of 404 for names nobody has.
file(READ share/conf/bulkhead.conf text)
string(REPLACE "@ETC@" "/etc/bulkhead" text "${text}")
string(REPLACE "@LISTEN_DEFAULT@" "listen 80 default_server;\n        listen [::]:80 default_server;"
  text "${text}")
string(REPLACE "return 404;" "root /usr/share/bulkhead/welcome;" text "${text}")
string(REPLACE "# Written by bulkhead site when there was none; change it as you like, then: bulkhead reload"
  "# Change it as you like, then: bulkhead reload" text "${text}")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/share/conf/bulkhead.conf)
file(WRITE ${made}/bulkhead.conf "${text}")
install(FILES ${made}/bulkhead.conf share/conf/mime.types share/conf/fastcgi_params
  DESTINATION /etc/bulkhead)
foreach(directory sites-available sites-enabled sites-disabled pools keys)
  install(DIRECTORY DESTINATION /etc/bulkhead/${directory})
endforeach()
install(DIRECTORY share/templates/ DESTINATION /etc/bulkhead/templates)
install(FILES share/debian/logrotate DESTINATION /etc/logrotate.d RENAME bulkhead)
install(FILES share/systemd/bulkhead.service DESTINATION /lib/systemd/system)
install(FILES share/welcome/index.html DESTINATION share/bulkhead/welcome)
install(FILES share/debian/lintian-overrides DESTINATION share/lintian/overrides RENAME bulkhead)
install(FILES share/debian/copyright DESTINATION share/doc/bulkhead)

# Debian wants pages and the changelog compressed, without a name or a time in them.
find_program(GZIP gzip REQUIRED)
file(GLOB pages CONFIGURE_DEPENDS share/man/*.1 share/man/*.5)
foreach(page IN LISTS pages)
  get_filename_component(name ${page} NAME)
  get_filename_component(section ${page} LAST_EXT)
  string(SUBSTRING ${section} 1 -1 section)
  execute_process(COMMAND ${GZIP} -9nc ${page} OUTPUT_FILE ${made}/${name}.gz)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${page})
  install(FILES ${made}/${name}.gz DESTINATION share/man/man${section})
endforeach()
foreach(page IN LISTS made_pages)
  get_filename_component(name ${page} NAME)
  add_custom_command(OUTPUT ${made}/${name}.gz COMMAND sh -c "${GZIP} -9nc ${page} > ${made}/${name}.gz"
    DEPENDS ${page} VERBATIM)
  list(APPEND packed_pages ${made}/${name}.gz)
endforeach()
add_custom_target(packed_manual ALL DEPENDS ${packed_pages})
install(FILES ${packed_pages} DESTINATION share/man/man5)
execute_process(COMMAND ${GZIP} -9nc ${deb}/changelog OUTPUT_FILE ${made}/changelog.gz)
install(FILES ${made}/changelog.gz DESTINATION share/doc/bulkhead)

foreach(shell_file "bash|bulkhead|share/bash-completion/completions" "zsh|_bulkhead|share/zsh/vendor-completions"
    "fish|bulkhead.fish|share/fish/vendor_completions.d")
  string(REPLACE "|" ";" shell_file "${shell_file}")
  list(GET shell_file 0 shell)
  list(GET shell_file 1 name)
  list(GET shell_file 2 place)
  if(EXISTS ${CMAKE_SOURCE_DIR}/share/completion/${name})
    install(FILES share/completion/${name} DESTINATION ${place})
  endif()
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_NAME bulkhead)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "Bulkhead maintainers <maintainers@bulkhead.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "web server that hosts many PHP sites, each isolated from all others")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "Does the work of nginx and php-fpm in one server, reading server blocks
and pools as they are. Every site runs as its own user, in a view of the
machine of its own, with a bytecode cache of its own. No site can reach
another, and its command verify proves it by attacking.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION httpd)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libphp${PHP_VERSION}-embed, php${PHP_VERSION}-opcache, adduser, init-system-helpers (>= 1.54)")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "php${PHP_VERSION}-cli, logrotate")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "php${PHP_VERSION}-mysql, mariadb-server, openssh-server")
set(CPACK_DEBIAN_PACKAGE_PROVIDES httpd)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${deb}/postinst ${deb}/prerm ${deb}/postrm ${made}/conffiles)
file(GLOB templates CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/share share/templates/*)
set(conffiles "")
foreach(file bulkhead.conf mime.types fastcgi_params ${templates})
  string(APPEND conffiles "/etc/bulkhead/${file}\n")
endforeach()
file(WRITE ${made}/conffiles "${conffiles}/etc/logrotate.d/bulkhead\n")
include(CPack)
