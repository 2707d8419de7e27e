// What `bulkhead import` finds on a machine.
//
// Runs in: bulkhead-import (root).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bulkhead::import {

// One server block.
struct ServedSite {
  std::vector<std::string> names, listens;
  std::string root;  // "": none, or one with variables
  std::string user;  // opens its files, runs its PHP
  std::string pool;  // "": no PHP
  std::string file;
  uint32_t line = 0, end_line = 0;
};

// A directive that does not do here what it does in the original.
struct Problem {
  // "unknown", "refused": the configuration is not served with it; "answers 503", "differs".
  std::string outcome;
  std::string directive, where, reason, advice;
};

// Sites with one user: one site to the kernel.
struct SharedUser {
  std::string user;
  std::vector<size_t> sites;          // into Report::sites
  std::vector<std::string> commands;  // that split all but the first off
};

struct OpenSocket {
  std::string pool, path, where;
};

struct OpenSecret {
  std::string path, kind, mode;  // kind: "private key", "settings of an application"
};

struct IgnoredDirective {
  std::string name, reason;
  size_t times = 0;
};

struct Report {
  std::string nginx, fpm;  // the two files; fpm "" : none
  std::string error;       // "": it can be served
  std::vector<ServedSite> sites;
  std::vector<Problem> problems;
  std::vector<std::string> notes;  // warnings of both languages, with their places
  std::vector<IgnoredDirective> ignored;
  std::vector<SharedUser> shared;
  std::vector<OpenSocket> sockets;
  std::vector<OpenSecret> secrets;
  std::vector<std::string> not_searched;  // roots whose search hit a bound
  std::vector<std::string> taken;         // "0.0.0.0:80"
};

[[nodiscard]] std::string to_text(const Report& report);
[[nodiscard]] std::string to_json(const Report& report);

}  // namespace bulkhead::import
