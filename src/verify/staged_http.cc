// Groups C9 to C11 and F: what an ordinary client may try over HTTP.
//
// Runs in: bulkhead-verify.  Ref: RFC 9112 sections 3.2, 5.1 and 6.3; CVE-2016-5385;
// CVE-2019-11043.
#include <nlohmann/json.hpp>

#include "verify/pair.h"

namespace bulkhead::verify {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

Finding proxy_header(Pair& pair) {
  const std::string value = "http://" + pair.marker("proxy") + "/";
  Reply reply = pair.from_victim("/" + pair.tag + "-v.php?do=proxy", "Proxy: " + value + "\r\n");
  auto answer = json::parse(reply.body, nullptr, false);
  if (!answer.is_object()) return cannot("the victim's script does not answer");
  if (answer.value("proxy", "") == value) return obtained("getenv('HTTP_PROXY') is the visitor's");
  return refused("set HTTP_PROXY");
}

Finding path_info(Pair& pair) {
  if (!pair.victim.runs_php) return cannot("the victim runs no PHP");
  const std::string script = "/" + pair.tag + "-v.php";
  int crashed = 0;
  for (int length = 1; length <= 2000; length += 57) {
    Reply reply = pair.from_victim(script + "/PHP%0Ais_the_shittiest_lang.php?" +
                                   std::string(static_cast<size_t>(length), 'Q'));
    crashed += reply.status == 502 || reply.status == 0;
  }
  if (crashed > 0) return obtained(std::to_string(crashed) + " requests crashed a worker");
  return refused("crash a worker by a line end in the path, with 36 lengths");
}

// Every answer must refuse, or read the message as one and the same.
Finding smuggle(Pair& pair) {
  const std::string question = "/" + pair.tag + "-v.php?do=proxy";
  const std::string mark = pair.marker("smuggled");
  auto answer =
      json::parse(pair.from_victim(question, "X_Bhv_Under: " + mark + "\r\n").body, nullptr, false);
  if (!answer.is_object()) return cannot("the victim's script does not answer");
  if (answer.value("under", "") == mark) return obtained("X_Y passes for X-Y");
  const std::string inner =
      "GET /" + pair.tag + "-config.inc HTTP/1.1\r\nHost: " + pair.victim.host + "\r\n\r\n";
  for (const std::string& headers :
       {"Content-Length: 0\r\nContent-Length: " + std::to_string(inner.size()) + "\r\n",
        "Content-Length: " + std::to_string(inner.size()) + "\r\nTransfer-Encoding: chunked\r\n",
        std::string("Transfer-Encoding: xchunked\r\n"),
        "Content-Length : " + std::to_string(inner.size()) + "\r\n",
        "Host: " + pair.victim.host + "\r\n"}) {
    Connection connection(pair.attacker.port);
    connection.send("POST /none HTTP/1.1\r\nHost: " + pair.attacker.host + "\r\n" + headers +
                    "\r\n" + inner);
    // A body ends the message; 400 ends the connection.  The victim's file answered behind the
    // first answer means that the two sides could disagree where the first message ends.
    std::string all = connection.receive_all(700ms);
    Reply first = parse_reply(all);
    bool refused_it = first.status == 400 || first.status == 501 || first.status == 505;
    if (!refused_it && all.find(pair.marker("public")) != std::string::npos) {
      return obtained("two readings of one message: " + headers.substr(0, 60));
    }
  }
  return refused("have one message read in two ways");
}

// The name in the request line rules (RFC 9112 3.2.2), and two Host lines are refused.
Finding two_names(Pair& pair) {
  const std::string leaf = "/" + pair.tag + "-config.inc";
  Connection absolute(pair.attacker.port);
  absolute.send("GET http://" + pair.attacker.host + leaf +
                " HTTP/1.1\r\nHost: " + pair.victim.host + "\r\nConnection: close\r\n\r\n");
  std::string all = absolute.receive_all(3s);
  if (all.find(pair.marker("public")) != std::string::npos) {
    return obtained("the Host line overrode the request line");
  }
  Connection twice(pair.attacker.port);
  twice.send("GET " + leaf + " HTTP/1.1\r\nHost: " + pair.attacker.host +
             "\r\nHost: " + pair.victim.host + "\r\nConnection: close\r\n\r\n");
  Reply reply = parse_reply(twice.receive_all(3s));
  if (reply.status != 400) {
    return obtained("two Host lines are answered with " + std::to_string(reply.status));
  }
  return refused("have another site's name accepted");
}

Finding mixed_answers(Pair& pair) {
  constexpr const char* kStatusLine = "HTTP/1.1 ";
  std::string requests;
  constexpr int kEach = 20;
  const std::string leaf = "/" + pair.tag + "-config.inc";
  for (int i = 0; i < kEach; ++i) {
    for (const Site* site : {&pair.attacker, &pair.victim}) {
      requests += "GET " + leaf + " HTTP/1.1\r\nHost: " + site->host + "\r\n" +
                  (i == kEach - 1 && site == &pair.victim ? "Connection: close\r\n" : "") + "\r\n";
    }
  }
  Connection connection(pair.attacker.port);
  connection.send(requests);
  std::string all = connection.receive_all(5s);
  // Answers come in the order of the requests: the attacker's own (a refusal, or whatever its front
  // controller says), then the victim's.
  int victims = 0, astray = 0, answers = 0;
  for (size_t at = all.find(kStatusLine); at != std::string::npos; ++answers) {
    const size_t next = all.find(kStatusLine, at + 1);
    const bool is_victims =
        all.substr(at, next - at).find(pair.marker("public")) != std::string::npos;
    victims += is_victims;
    astray += is_victims && answers % 2 == 0;
    at = next;
  }
  if (victims == 0) return cannot("the victim's file was not served on a shared connection");
  if (victims != kEach || astray != 0 || answers != 2 * kEach) {
    return obtained(std::to_string(victims) + " answers of the victim, " + std::to_string(astray) +
                    " in the attacker's place, " + std::to_string(answers) + " in all, to " +
                    std::to_string(kEach) + " requests each");
  }
  return refused("get the neighbour's answer in 40 on one connection");
}

Finding error_paths(Pair& pair) {
  std::string all;
  for (const char* target : {"/bhv-missing", "/bhv-missing.php", "/%ff%fe", "/?%00"}) {
    Reply reply = pair.from_victim(target);
    all += reply.head + reply.body;
  }
  if (all.find(pair.victim.root) != std::string::npos) return obtained(pair.victim.root);
  return refused("find a path in four error pages");
}

Finding status_page(Pair& pair) {
  Reply reply = pair.from_victim("/bhv-status?html&full&x=<script>" + pair.tag + "</script>");
  if (reply.status != 200 || reply.body.find("<table") == std::string::npos) {
    return cannot("the victim has no status page at /bhv-status");
  }
  if (reply.body.find("<script>" + pair.tag) != std::string::npos) {
    return obtained("<script> of the visitor stands in the status page");
  }
  return refused("have <script> stand in the status page");
}

Finding split_answer(Pair& pair) {
  // PHP itself refuses line ends in header(); the site's pool could still send them.
  Reply reply = pair.from_attacker("/" + pair.tag +
                                   "-a.php?redirect=" + percent("/x\r\nX-Injected: " + pair.tag));
  if (reply.status == 0) return cannot("no answer");
  if (reply.head.find("X-Injected: " + pair.tag) != std::string::npos) {
    return obtained("a header of the visitor's making");
  }
  return refused("add a header by a line end");
}

constexpr StageRow kRows[] = {
    {"C9", proxy_header},  {"C10", path_info},  {"C11", smuggle},    {"F1", two_names},
    {"F2", mixed_answers}, {"F3", error_paths}, {"F4", status_page}, {"F5", split_answer},
};

}  // namespace

std::span<const StageRow> http_stages() { return kRows; }

}  // namespace bulkhead::verify
