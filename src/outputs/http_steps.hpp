// HttpSteps: a port that speaks HTTP, by the helper program vitald-deliver. [loop]
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "outputs/spec.hpp"
#include "outputs/steps.hpp"

namespace vital {

struct HttpRequest {
  std::string method = "GET";
  std::string path;                  // appended to the base
  std::vector<std::string> headers;  // "Name: value"
  std::string body;
};

struct HttpReply {
  int status = 0;
  std::string body;
};

// What vitald-deliver is given, and what it said. Pure.
std::string delivery_text(const HttpTarget& to, Duration timeout, const std::vector<HttpRequest>& requests);
// *trouble in one line if not all were answered below 400.
std::vector<HttpReply> parse_replies(std::string_view text, std::size_t expected, std::string* trouble);

// "https://host:port" of a URL: the rest may be a secret, as it is with many hooks.
std::string origin_of(std::string_view url);
// `text` without any of the secrets, should somebody have sent one back to us.
std::string without(std::string text, const std::vector<std::string>& secrets);

// "a b/c" as a piece of a path.
std::string url_piece(std::string_view text);

class HttpSteps : public Steps {
 public:
  // `helper` is the path of vitald-deliver; empty in a build without it.
  HttpSteps(Loop& loop, std::string helper, HttpTarget to, Duration timeout)
      : Steps(loop), helper_(std::move(helper)), to_(std::move(to)), timeout_(timeout) {}

 protected:
  // `next` gets the replies there are, at most one for each request, and what is wrong if they are fewer or the last
  // one refuses.
  using Next = std::function<void(const std::vector<HttpReply>& replies, const std::string& trouble)>;
  void call(const std::vector<HttpRequest>& requests, Next next);
  // Never to be shown, whatever anybody answers. Empty ones are ignored.
  void hide(const std::string& secret) {
    if (secrets_.size() == 8) secrets_.erase(secrets_.begin() + 1);  // tokens that ended long ago
    secrets_.push_back(secret);
  }

 private:
  std::string helper_;
  HttpTarget to_;
  Duration timeout_;
  std::vector<std::string> secrets_;
};

}  // namespace vital
