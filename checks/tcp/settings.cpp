// From options to settings; see settings.hpp.
#include "settings.hpp"

#include <algorithm>

#include "../net/text.hpp"

namespace vital::tcp {

using check::Invalid;

Expectation parse_expectation(const std::string& written) {
  Expectation out;
  out.written = written;
  if (!written.empty() && written.front() == '~') {
    out.pattern = std::make_shared<net::Pattern>(written.substr(1));
    return out;
  }
  const auto text = net::unescape(written);
  if (!text) throw net::Pattern::Error("ends within an escape; write \\\\ for a backslash");
  out.text = *text;
  return out;
}

Settings read_settings(const check::Options& options) {
  Settings s;
  if (options.has("address")) {
    if (options.has("host") || options.has("port"))
      throw Invalid("address", "is given beside host and port; write one of the two");
    const auto target = net::parse_endpoint(options.text("address"));
    if (!target) throw Invalid("address", "is not HOST:PORT; write it as in 127.0.0.1:6379 or [::1]:6379");
    s.target = *target;
  } else {
    if (!options.has("host")) throw Invalid("address", "is needed; write it as in 127.0.0.1:6379");
    if (!options.has("port")) throw Invalid("port", "is needed with host");
    s.target = {options.text("host"), static_cast<uint16_t>(options.integer("port"))};
    if (s.target.host.empty() || s.target.host.find_first_of(" /[]") != std::string::npos) {
      throw Invalid("host", "is not a host name or address");
    }
  }
  if (options.has("send")) {
    const auto send = net::unescape(options.text("send"));
    if (!send || send->empty()) throw Invalid("send", "is empty or ends within an escape; write it as in PING\\r\\n");
    if (send->size() > AnswerJudge::cap) throw Invalid("send", "is longer than 16 KiB");
    s.send = *send;
  }
  if (options.has("expect")) {
    try {
      s.expect = parse_expectation(options.text("expect"));
    } catch (const net::Pattern::Error& e) {
      throw Invalid("expect", e.what());
    }
    if (s.expect->pattern == nullptr && s.expect->text.empty()) {
      throw Invalid("expect", "is empty, which every answer contains; write a text or leave it out");
    }
  }
  const std::string family = options.text_or("family", "any");
  s.family = family == "4" ? 4 : family == "6" ? 6 : 0;
  s.tls = net::read_tls(options);
  if (!s.tls.is_on() &&
      (!s.tls.ca.empty() || !s.tls.certificate.empty() || !s.tls.server_name.empty() || s.tls.warn_days > 0)) {
    throw Invalid("tls.mode", "is off while other tls options are set; write verify");
  }
  return s;
}

AnswerJudge::AnswerJudge(const Expectation& expectation) : expectation_(expectation) {
  if (expectation.pattern != nullptr) search_.emplace(*expectation.pattern);
}

bool AnswerJudge::feed(std::string_view piece) {
  piece = piece.substr(0, cap - std::min(size_, cap));
  size_ += piece.size();
  has_line_ = has_line_ || piece.find('\n') != std::string_view::npos;
  beginning_.append(piece.substr(0, 200 - std::min<size_t>(beginning_.size(), 200)));
  if (is_found_) return true;
  if (search_) return is_found_ = search_->feed(piece);
  tail_.append(piece);
  is_found_ = tail_.find(expectation_.text) != std::string::npos;
  if (tail_.size() >= expectation_.text.size()) tail_.erase(0, tail_.size() - expectation_.text.size() + 1);
  return is_found_;
}

bool AnswerJudge::end() {
  if (!is_found_ && search_) is_found_ = search_->end();
  return is_found_;
}

}  // namespace vital::tcp
