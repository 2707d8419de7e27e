// Front's own work for so many requests, without sockets, for a tool that counts instructions.
//
// Runs in: tests/guard alone.  usage: front_cost static|php COUNT
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "front/phases_fixture.h"

namespace {

using namespace bulkhead::front;

constexpr const char* kSite = R"(
  server { listen 80; server_name localhost; root ROOT; index index.php;
    location / { try_files $uri $uri/ =404; }
    location ~ \.php$ {
      try_files $uri =404;
      fastcgi_pass unix:/one.sock;
      fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param SCRIPT_NAME $fastcgi_script_name;
      fastcgi_param REQUEST_URI $request_uri;
      fastcgi_param DOCUMENT_URI $document_uri;
      fastcgi_param DOCUMENT_ROOT $document_root;
      fastcgi_param SERVER_PROTOCOL $server_protocol;
      fastcgi_param REQUEST_SCHEME $scheme;
      fastcgi_param REMOTE_ADDR $remote_addr;
      fastcgi_param REMOTE_PORT $remote_port;
      fastcgi_param SERVER_ADDR $server_addr;
      fastcgi_param SERVER_PORT $server_port;
      fastcgi_param SERVER_NAME $server_name;
    } })";

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  const bool php = std::string_view(argv[1]) == "php";
  TestFront front(kSite);
  if (!front.problem.empty()) {
    fprintf(stderr, "%s\n", front.problem.c_str());
    return 1;
  }
  front.file("hello.php", "<?php echo \"Hello, world\\n\";");
  front.file("1k.txt", std::string(1024, 'x'));
  front.output.app = [](Exchange&) {
    return std::string("Content-type: text/html; charset=UTF-8\r\n\r\nHello, world\n");
  };
  const char* target = php ? "/hello.php" : "/1k.txt";
  for (long left = atol(argv[2]); left > 0; --left) {
    if (TestFront::status(front.get(target, "User-Agent: guard\r\nAccept: */*\r\n")) != "200") {
      fprintf(stderr, "%s was not answered with 200\n", target);
      return 1;
    }
  }
  return 0;
}
