// HttpProbe: one attempt of an http check. Resolve, let libcurl connect, handshake and exchange, judge the answer while
// it arrives, follow redirects if asked to, and say what happened in which phase. Destroying it at any moment releases
// everything. [loop]
#pragma once

#include <curl/curl.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>
#include <vitald/check.hpp>

#include "../net/address.hpp"
#include "../net/loop.hpp"
#include "../net/tls.hpp"
#include "elasticsearch.hpp"
#include "expect.hpp"
#include "multi.hpp"
#include "patroni.hpp"
#include "settings.hpp"

namespace vital::http {

struct FreeEasy {
  void operator()(CURL* e) const { curl_easy_cleanup(e); }
};
struct FreeList {
  void operator()(curl_slist* l) const { curl_slist_free_all(l); }
};
using Easy = std::unique_ptr<CURL, FreeEasy>;
using List = std::unique_ptr<curl_slist, FreeList>;

// A handle of libcurl with what it refers to. Making one and telling it all a request needs costs as much as a request:
// the one for a check's first hop is kept for its next probe.
struct Request {
  List headers;
  List resolve;
  List connect;
  std::string address;        // that resolve names
  check::Duration told_at{};  // when libcurl was told
  Easy easy;                  // goes before what it refers to
};

// What a check keeps between its probes. Connections that are kept open write their handshake's report here.
struct Standing {
  check::Host host;
  Settings settings;
  std::shared_ptr<Multi> multi;
  std::string key;             // names this check's connections in libcurl's cache, so that no two checks share one
  net::TlsReport kept_report;  // of the kept connection
  std::string kept_address;    // where it goes
  Request spare;               // of the first hop, if no probe uses it
};

class HttpProbe final : public check::AsyncProbe, private Transfer {
 public:
  HttpProbe(Standing& standing, const check::Attempt& attempt, check::Finisher finisher);
  ~HttpProbe() override;
  HttpProbe(const HttpProbe&) = delete;
  HttpProbe& operator=(const HttpProbe&) = delete;

  // Called once, from Async::start().
  void begin();

 private:
  // Transfer
  void ended(CURLcode code) override;
  void trouble(const char* what) noexcept override;
  const check::Host& host() const override { return standing_.host; }
  friend class net::Timer;
  friend class net::Lookup;
  template <typename Owner, typename Call>
  friend void net::guarded(Owner*, Call) noexcept;

  void go_to(const Url& url);
  void resolved(const net::Addresses& found);
  void connect_to(const std::vector<std::string>& addresses);
  void try_next();
  bool is_on_socket() const { return !settings_.unix_socket.empty() && is_first_origin_; }
  std::string printed_peer(const std::string& address) const {
    return is_on_socket() ? settings_.unix_socket : net::printed(address, url_.port);
  }
  void share_is_over();
  bool take_request();
  void make_request();
  void add_signature();
  void bind_request(const std::string& address);
  void leave_request();
  CURL* easy() const { return request_.easy.get(); }
  void set_tls();
  bool may_redirect() const;
  void redirect();
  void decided();
  void out_of_time();
  void linger_over();
  void deliver_waiting();
  void keep_times();

  check::Result judge(bool is_complete);
  check::Result refused_status() const;
  check::Result judge_speed() const;
  check::Result explain(CURLcode code);
  check::Result overdue() const;
  std::string limit() const;
  check::Result with_account(check::Result result) const;
  check::Result from(const net::Trouble& trouble) const;
  const net::TlsReport& seen_report() const { return settings_.reuses_connection ? standing_.kept_report : report_; }
  net::TlsReport& report() { return settings_.reuses_connection ? standing_.kept_report : report_; }
  void stop();
  void finish(check::Result result);

  bool took_header(std::string_view line);
  bool took_body(std::string_view piece);
  static curl_socket_t open_socket(void* self, curlsocktype purpose, curl_sockaddr* address);
  static CURLcode tls_context(CURL* easy, void* context, void* self);
  bool is_connected() const;

  Standing& standing_;
  const Settings& settings_;
  const check::Finisher finisher_;
  const check::Duration started_;
  const check::Duration deadline_;  // ours, a little before the agent's
  net::Timer deadline_timer_;
  net::Timer soon_;  // an address's share of the time, the end of the linger, a result known before start() returned
  net::Lookup lookup_;
  std::optional<check::Result> waiting_;
  bool is_starting_ = true;

  // The hop: one request, the first or one after a redirect.
  Url url_;
  std::string method_;
  bool is_first_origin_ = true;  // credentials, headers and our certificate go only there
  int redirects_ = 0;
  std::vector<std::string> addresses_;
  size_t next_address_ = 0;
  net::TlsSettings tls_;
  Request request_;
  char said_[CURL_ERROR_SIZE] = "";
  bool is_running_ = false;      // its handle is in the multi handle
  std::vector<int> sockets_;     // made for this address; libcurl's to close
  int no_socket_ = 0;            // errno, if one could not be made
  check::Duration tls_began_{};  // since hop_started_; zero: not yet
  net::TlsReport report_;
  std::string our_tls_trouble_;

  // The answer as far as it is here.
  long status_ = 0;
  bool has_header_ = false;                 // all of it
  std::vector<std::string> header_values_;  // for each header rule, what was seen
  std::vector<bool> is_header_seen_;
  std::vector<bool> is_header_good_;
  size_t header_bytes_ = 0;
  bool is_header_too_large_ = false;
  std::string location_;
  std::optional<BodyJudge> body_;
  std::optional<ClusterHealth> cluster_;  // of the preset
  std::optional<PatroniMember> member_;   // of the preset
  size_t body_bytes_ = 0;
  bool is_cut_short_ = false;  // we stopped reading
  bool is_decided_ = false;    // waiting a moment for an orderly end
  check::Duration decided_after_{};

  check::Duration hop_started_{};
  check::Duration resolve_took_{-1};  // negative: not done
  check::Duration connect_took_{-1};
  check::Duration tls_took_{-1};
  check::Duration exchange_took_{-1};
  std::string peer_;  // "192.0.2.1:80" or a Unix socket's path, once connected
  long spoken_ = 0;   // CURL_HTTP_VERSION_* of the answer
  bool is_reused_ = false;
};

}  // namespace vital::http
