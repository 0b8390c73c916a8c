// Pages: from a request to its response, for everything that can be answered from the Board at once. It holds no
// socket. Front thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "publish/code_map.hpp"
#include "publish/front.hpp"
#include "publish/negotiation.hpp"
#include "publish/outcome.hpp"
#include "publish/request_parser.hpp"
#include "publish/response.hpp"
#include "publish/view.hpp"

namespace vital {

class Pages {
 public:
  Pages(const Board& board, std::function<FrontCounters()> counters);

  // As for GET; the caller has looked at the method.
  Response answer(const Request& request, Now now);
  // The node's name; empty before the first view.
  std::string node() const;

 private:
  Response health(const Request& request, Now now);
  Response finished(const Request& request, const Negotiated& form, std::optional<ServiceId> service, int code);
  const Answer& answer_for(std::optional<ServiceId> service) const;
  Response judged(const Request& request, const Negotiated& form, const Outcome& outcome,
                  std::optional<ServiceId> service, std::optional<CheckId> check, std::vector<std::string> warnings,
                  Now now);
  Response self(const Request& request, const Outcome& outcome);
  Response live(const Request& request, Now now);
  Response ready(const Request& request, Now now);
  Response metrics(Now now);
  Response badge(const Request& request, Now now);
  Response api(const Request& request, Now now);
  bool is_stalled(Now now) const;

  const Board& board_;
  std::function<FrontCounters()> counters_;
  std::shared_ptr<const View> view_;  // the newest seen; null before the first
  // The detailed documents of view_ that somebody asked for, by path; a new view empties it.
  std::map<std::string, std::shared_ptr<const std::string>, std::less<>> documents_;
  // Badges by what they say; they outlive views, since most of those say the same.
  std::map<std::string, std::shared_ptr<const std::string>, std::less<>> badges_;
};

}  // namespace vital
