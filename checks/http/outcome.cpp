// What an HTTP attempt amounts to: the verdict on an answer, the reason there is none, and the account of where the
// time went. The other half of probe.hpp.
#include <cerrno>
#include <cstring>
#include <ctime>

#include "../net/address.hpp"
#include "../net/text.hpp"
#include "../net/trouble.hpp"
#include "../words.hpp"
#include "probe.hpp"

namespace vital::http {
namespace {

using check::Cause;
using check::Duration;
using check::Result;

constexpr double nanoseconds = 1e9;

Duration info_time(CURL* easy, CURLINFO which) {
  curl_off_t microseconds = 0;
  curl_easy_getinfo(easy, which, &microseconds);
  return std::chrono::microseconds(microseconds);
}

// Libcurl's message about a TLS failure, reduced to OpenSSL's reason.
std::string tls_reason(const std::string& said) {
  std::string reason = said;
  const size_t routines = reason.rfind("routines::");
  if (routines != std::string::npos) return reason.substr(routines + 10);
  const size_t colon = reason.find(": ");
  return colon == std::string::npos ? reason : reason.substr(colon + 2);
}

}  // namespace

void HttpProbe::keep_times() {
  if (easy() == nullptr) return;
  const Duration passed = check::monotonic_now() - hop_started_;
  const Duration connected = tls_began_ > Duration::zero() ? tls_began_ : info_time(easy(), CURLINFO_CONNECT_TIME_T);
  const Duration secured = info_time(easy(), CURLINFO_APPCONNECT_TIME_T);
  long made = 0;
  curl_easy_getinfo(easy(), CURLINFO_NUM_CONNECTS, &made);
  curl_easy_getinfo(easy(), CURLINFO_HTTP_VERSION, &spoken_);
  is_reused_ = settings_.reuses_connection && made == 0 && has_header_;
  const bool has_connected = is_reused_ || connected > Duration::zero() || is_connected();
  if (has_connected && !addresses_.empty()) {
    char* ip = nullptr;  // of a kept connection, which may go elsewhere than the address offered
    curl_easy_getinfo(easy(), CURLINFO_PRIMARY_IP, &ip);
    const std::string address = ip != nullptr && *ip != '\0' ? ip : addresses_[next_address_ - 1];
    peer_ = printed_peer(address);
    if (settings_.reuses_connection) standing_.kept_address = address;
  }
  const auto add = [](Duration& to, Duration took) {
    to = std::max(to, Duration::zero()) + std::max(took, Duration::zero());
  };
  if (is_reused_) return add(exchange_took_, passed);
  add(connect_took_, has_connected && connected > Duration::zero() ? connected : passed);
  if (!has_connected) return;
  if (url_.is_https()) {
    add(tls_took_, (secured > Duration::zero() ? secured : passed) - connected);
    if (secured <= Duration::zero()) return;
  }
  add(exchange_took_, passed - std::max(connected, secured));
}

Result HttpProbe::judge(bool is_complete) {
  if (!is_decided_) decided_after_ = check::monotonic_now() - started_;
  const std::string status = "HTTP " + std::to_string(status_);
  if (!settings_.status.has(status_)) return refused_status();
  for (size_t i = 0; i < settings_.header_rules.size(); ++i) {
    const HeaderRule& rule = settings_.header_rules[i];
    if (i < is_header_good_.size() && is_header_good_[i]) continue;
    const bool is_seen = i < is_header_seen_.size() && is_header_seen_[i];
    return check::fail(Cause::content, status + ", but " +
                                           (is_seen ? "header " + rule.name + " is " + net::quoted(header_values_[i]) +
                                                          ", expected " + net::quoted(rule.value)
                                                    : "there is no header " + rule.name));
  }
  if (!body_) body_.emplace(settings_.body_rules, settings_.max_body);
  const std::string complaint = body_->complaint(is_complete);
  if (!complaint.empty()) return check::fail(Cause::content, status + ", but " + complaint);

  if (settings_.demands_2 && spoken_ != CURL_HTTP_VERSION_2_0) {
    return check::fail(Cause::protocol, status + ", but in HTTP/1, expected HTTP/2");
  }

  if (settings_.is_patroni) {
    member_ = read_patroni(body_->text());
    if (!member_) return check::fail(Cause::protocol, status + ", but the body is not the word of a Patroni member");
    check::Findings found;
    judge_patroni(*member_, found);
    const std::string who = member_->role.empty() ? "the member" : "the " + member_->role;
    return found.into(found.worst() == check::Verdict::fail ? check::pass("") : judge_speed(), who);
  }
  if (!settings_.is_elasticsearch) return judge_speed();
  cluster_ = read_cluster_health(body_->text());
  if (!cluster_) return check::fail(Cause::protocol, status + ", but the body is not the health of a cluster");
  check::Findings found;
  judge_cluster(*cluster_, settings_.min_nodes, found);
  const std::string who = "cluster " + check::shown(cluster_->name);
  return found.into(found.worst() == check::Verdict::fail ? check::pass("") : judge_speed(), who);
}

Result HttpProbe::refused_status() const {
  const std::string status = "HTTP " + std::to_string(status_);
  const bool is_locked = status_ == 401 || status_ == 403;
  if (is_locked && settings_.has_credentials) {
    return check::unknown(Cause::auth, status + ", it rejects our credentials");
  }
  if (is_locked && settings_.is_elasticsearch) {
    return check::unknown(Cause::auth, status + ", it wants a login; set user and password_file");
  }
  std::string text = status + ", expected " + settings_.status.printed();
  if (status_ / 100 == 3 && !location_.empty()) text += " (it redirects; follow_redirects is off)";
  if (settings_.is_elasticsearch && body_) {
    const std::string error = read_cluster_error(body_->text());
    if (!error.empty()) text += " (" + error + ")";
  }
  return check::fail(Cause::content, text);
}

// The answer is right. Was it in time, and will it be tomorrow?
Result HttpProbe::judge_speed() const {
  const std::string where = peer_.empty() ? "" : " from " + peer_;
  const std::string good = "HTTP " + std::to_string(status_) + " in " + net::in_words(decided_after_) + where;
  const double seconds = static_cast<double>(decided_after_.count()) / nanoseconds;
  const check::Verdict speed = settings_.latency_s.judge(seconds);
  if (speed != check::Verdict::pass) {
    return check::make_result(speed, Cause::latency, good + ", " + settings_.latency_s.words(speed));
  }
  if (url_.is_https() && settings_.tls.warn_days > 0) {
    const double left = seen_report().days_left(std::time(nullptr));
    if (left < static_cast<double>(settings_.tls.warn_days)) {
      return check::warn(Cause::tls,
                         good + ", but its certificate ends in " + std::to_string(static_cast<long>(left)) + " days");
    }
  }
  return check::pass(good);
}

Result HttpProbe::explain(CURLcode code) {
  const std::string said = said_;
  long error = 0;
  curl_easy_getinfo(easy(), CURLINFO_OS_ERRNO, &error);
  if (!our_tls_trouble_.empty()) return check::unknown(Cause::config, our_tls_trouble_);
  if (is_header_too_large_) return check::fail(Cause::protocol, "its header is larger than 64 KiB");
  if (report().wants_certificate && tls_.certificate.empty() && header_bytes_ == 0 && url_.is_https()) {
    return from(net::handshake_trouble("certificate required", false));  // the alert may be lost to the reset behind it
  }
  switch (code) {
    case CURLE_COULDNT_CONNECT:
      if (is_on_socket() && error != 0) {
        const check::Result failed = check::connect_failure(static_cast<int>(error), settings_.unix_socket);
        return check::make_result(failed.verdict, failed.cause, failed.text);
      }
      if (no_socket_ != 0)
        return check::unknown(Cause::agent, std::string("cannot make a socket: ") + std::strerror(no_socket_));
      return from(net::connect_trouble(static_cast<int>(error)));
    case CURLE_OPERATION_TIMEDOUT:
      return overdue();
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR: {
      const std::string name = tls_.server_name.empty() ? url_.host : tls_.server_name;
      const std::string rejection = report().rejection(name, std::time(nullptr));
      if (tls_.mode == net::TlsSettings::Mode::verify && !rejection.empty()) return check::fail(Cause::tls, rejection);
      if (error == ECONNRESET || error == EPIPE)
        return check::fail(Cause::tls, "the peer reset the connection during the TLS handshake");
      const bool is_closed = said.find("SSL_ERROR_SYSCALL") != std::string::npos;
      return from(net::handshake_trouble(is_closed ? "unexpected eof" : tls_reason(said), !tls_.certificate.empty()));
    }
    case CURLE_GOT_NOTHING:
      return check::fail(Cause::protocol, "it closed the connection without an answer");
    case CURLE_PARTIAL_FILE:
      return check::fail(Cause::protocol, "it closed the connection in the middle of its answer");
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR: {
      if (url_.is_https() && said.find("alert") != std::string::npos) {
        return from(net::handshake_trouble(tls_reason(said), !tls_.certificate.empty()));
      }
      if (said.find("unexpected eof") != std::string::npos) {
        return check::fail(Cause::protocol, "it closed the connection in the middle of its answer");
      }
      if (error != 0) return from(net::exchange_trouble(static_cast<int>(error)));
      return check::fail(Cause::protocol, "it broke the connection off");
    }
    case CURLE_UNSUPPORTED_PROTOCOL:  // libcurl's word for an answer without a status line
    case CURLE_WEIRD_SERVER_REPLY:
      return check::fail(Cause::protocol, "it does not answer in HTTP");
    case CURLE_OUT_OF_MEMORY:  // libcurl's word for a header line beyond its limit
      return check::fail(Cause::protocol, "its header is larger than 64 KiB");
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_FAILED_INIT:
    case CURLE_ABORTED_BY_CALLBACK:
    case CURLE_BAD_FUNCTION_ARGUMENT:
      return check::unknown(Cause::agent, "libcurl could not do it: " + net::quoted(said, 200));
    default:
      return check::fail(Cause::protocol,
                         said.empty() ? std::string(curl_easy_strerror(code)) : net::quoted(said, 200));
  }
}

// The deadline, a little before the agent's: says what was missing.
void HttpProbe::out_of_time() {
  const bool was_looking_up = easy() == nullptr;
  keep_times();
  if (is_decided_) {
    stop();
    return finish(judge(false));
  }
  if (was_looking_up) {
    return finish(check::unknown(Cause::agent, "no name server answered for " + url_.host + " within " + limit()));
  }
  stop();
  finish(overdue());
}

std::string HttpProbe::limit() const { return net::in_words(check::monotonic_now() - started_); }

// What was missing when time was up.
Result HttpProbe::overdue() const {
  std::string missing;
  if (peer_.empty()) {
    missing = "nobody answered the connection";
  } else if (exchange_took_ < Duration::zero()) {
    missing = "it did not finish the TLS handshake";
  } else if (header_bytes_ == 0) {
    missing = "it did not answer";
  } else if (!has_header_) {
    missing = "it did not finish its header (" + std::to_string(header_bytes_) + " bytes came)";
  } else {
    missing = "it did not finish its answer (HTTP " + std::to_string(status_) + ", " + std::to_string(body_bytes_) +
              " bytes came)";
  }
  return check::fail(Cause::timeout, missing + " within " + limit());
}

Result HttpProbe::from(const net::Trouble& trouble) const {
  return check::make_result(trouble.verdict, trouble.cause, trouble.text);
}

// What every result carries, good or bad.
Result HttpProbe::with_account(Result result) const {
  if (result.verdict != check::Verdict::pass && result.verdict != check::Verdict::warn) {
    const std::string where = peer_.empty() || peer_ == net::printed(url_.host, url_.port) ? "" : " (at " + peer_ + ")";
    result.text = method_ + " " + url_.printable() + where + ": " + result.text;
    if (peer_.empty() && addresses_.size() > 1) {
      result.text += " (tried ";
      for (size_t i = 0; i < addresses_.size(); ++i) result.text += (i == 0 ? "" : ", ") + addresses_[i];
      result.text += ")";
    }
  }
  const auto phase = [&](check::Phase which, Duration took) {
    if (took >= Duration::zero()) result.phase(which, took);
  };
  phase(check::Phase::resolve, resolve_took_);
  phase(check::Phase::connect, connect_took_);
  phase(check::Phase::tls, tls_took_);
  phase(check::Phase::exchange, exchange_took_);
  if (!peer_.empty()) result.fact("address", peer_);
  if (settings_.reuses_connection && has_header_) result.fact("connection", is_reused_ ? "reused" : "new");
  if (spoken_ == CURL_HTTP_VERSION_2_0) result.fact("http", "2");
  if (status_ >= 100) {
    result.measure("status", static_cast<double>(status_));
    result.measure("bytes", static_cast<double>(body_bytes_), "B");
  }
  if (cluster_) describe_cluster(*cluster_, settings_.min_nodes, result);
  if (member_) describe_patroni(*member_, result);
  if (decided_after_ > Duration::zero()) {
    settings_.latency_s.measure(result, "latency", static_cast<double>(decided_after_.count()) / nanoseconds, "s");
  }
  const net::TlsReport& seen = seen_report();
  if (url_.is_https() && seen.is_seen) {
    const double warn_at =
        settings_.tls.warn_days > 0 ? static_cast<double>(settings_.tls.warn_days) : check::no_threshold;
    result.measure("certificate_days_left", seen.days_left(std::time(nullptr)), "d", warn_at);
    result.fact("certificate", seen.subject);
  }
  return result;
}

}  // namespace vital::http
