// Where everything of a site lies.
//
// Runs in: bulkhead-site.  Input: the administrator's command line and environment.
#pragma once

#include <string>

#include "master/options.h"

namespace bulkhead::sites {

struct Places {
  std::string etc;        // --etc, BULKHEAD_ETC; /etc/bulkhead
  std::string state;      // --state, BULKHEAD_STATE; /var/lib/bulkhead
  std::string homes;      // --homes, BULKHEAD_HOMES; /srv/bulkhead
  std::string pid;        // --pid; what the configuration says
  std::string ssh;        // --ssh, BULKHEAD_SSH; /etc/ssh
  std::string cron_dir;   // --cron, BULKHEAD_CRON; /etc/cron.d
  std::string db_socket;  // --db-socket; the client's own default

  [[nodiscard]] std::string config() const { return etc + "/bulkhead.conf"; }
  [[nodiscard]] std::string available(const std::string& site) const {
    return etc + "/sites-available/" + site + ".conf";
  }
  [[nodiscard]] std::string enabled(const std::string& site) const {
    return etc + "/sites-enabled/" + site + ".conf";
  }
  // The page that answers while a site is disabled.
  [[nodiscard]] std::string disabled(const std::string& site) const {
    return etc + "/sites-disabled/" + site + ".conf";
  }
  [[nodiscard]] std::string pool(const std::string& site) const {
    return etc + "/pools/" + site + ".conf";
  }
  [[nodiscard]] std::string template_file(const std::string& name) const {
    return etc + "/templates/" + name + ".conf";
  }
  [[nodiscard]] std::string keys(const std::string& user) const { return etc + "/keys/" + user; }
  [[nodiscard]] std::string sshd(const std::string& user) const {
    return ssh + "/sshd_config.d/bulkhead-" + user + ".conf";
  }
  [[nodiscard]] std::string cron(const std::string& user) const {
    return cron_dir + "/bulkhead-" + user;
  }
  [[nodiscard]] std::string home(const std::string& site) const { return homes + "/" + site; }
  [[nodiscard]] std::string records() const { return state + "/records"; }
  [[nodiscard]] std::string record(const std::string& site) const {
    return records() + "/" + site + ".json";
  }
  [[nodiscard]] std::string journal() const { return state + "/journal"; }
  [[nodiscard]] std::string archives() const { return state + "/archive"; }
  [[nodiscard]] std::string socket(const std::string& user) const {
    return state + "/sockets/" + user + ".sock";
  }
  // The server that reads this configuration.
  [[nodiscard]] master::Options server() const {
    master::Options options;
    options.bulkhead_conf = true;
    options.nginx_conf = config();
    options.prefix = master::kNginxPrefix;
    options.pid = pid;
    options.state = state;
    return options;
  }
};

}  // namespace bulkhead::sites
