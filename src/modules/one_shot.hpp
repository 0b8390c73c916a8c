// OneShot: a short-lived worker that answers questions one at a time, waited for with a deadline. For the registry,
// which must not be hurt by the modules it asks about. [control]: its calls wait; it has a loop of its own.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/time.hpp"
#include "modules/wire.hpp"

namespace vital {

class OneShot {
 public:
  // Throws std::system_error if the worker cannot be started.
  OneShot(const std::string& worker, const std::string& role);
  ~OneShot();  // kills it and waits, bounded, until it is gone
  OneShot(const OneShot&) = delete;
  OneShot& operator=(const OneShot&) = delete;

  // Sent, not answered. False if it is too long for a frame.
  bool tell(const wire::ToWorker& message);

  // The answer, or nothing and in *why how it ended: "crashed (signal 11)", "did not answer within 5s".
  std::optional<wire::ToAgent> ask(const wire::ToWorker& message, Duration patience, std::string* why);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vital
