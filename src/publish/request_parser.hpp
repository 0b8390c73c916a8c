// What a request asks for: method, decoded path, query and what it accepts. Parsed by cpp-httplib, which sees a request
// only when it is whole. Front thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "publish/page_writes.hpp"
#include "publish/request_framer.hpp"

namespace vital {

struct Request {
  std::string method;
  std::string path;                                        // decoded, without the query; "*" for OPTIONS *
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in the order of their names
  std::string accept;
  std::string_view body;           // as in the frame
  std::string_view authorization;  // as in the frame
  std::string_view last_event_id;  // as in the frame
  PageSigns page;                  // point into the peer's buffer, as the three above
  bool is_admin = false;           // came through the admin socket
  bool is_detailed = false;        // may see more than the verdict
  bool may_authorize = false;      // would see more with a token or a client certificate

  // The first value of that name, or null.
  const std::string* parameter(std::string_view name) const;
};

class RequestParser {
 public:
  RequestParser();
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  // Routes one complete frame: calls `handle` with the request, before this returns. False if it cannot be parsed
  // (400); `handle` has not been called then.
  bool route(const Frame& frame, const std::function<void(Request&)>& handle);

 private:
  struct Server;
  std::unique_ptr<Server> server_;
};

}  // namespace vital
