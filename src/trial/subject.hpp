// Subject: one worker with one module under trial, spoken to over the wire as the agent does, each answer waited for
// with a deadline. [control]: it has a loop of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "modules/option.hpp"
#include "modules/wire.hpp"

namespace vital::trial {

// What a worker holds at a moment.
struct Footprint {
  long resident_kib = 0;
  long descriptors = 0;
  long threads = 0;
  long children = 0;
};

class Subject {
 public:
  Subject(const std::string& worker, bool is_async);  // throws std::system_error
  ~Subject();                                         // kills it
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;

  bool is_alive() const;
  std::string death() const;  // "crashed (signal 11) in probe"; "did not come back in create" if it is still there

  void prepare(std::uint32_t instance, const CheckSpec& spec);
  std::optional<wire::Created> create(std::uint32_t instance, Duration patience);
  void forget(std::uint32_t instance);
  bool ping(Duration patience);  // whether its loop turns

  // `deadline` is the probe's. The number of the probe.
  std::uint64_t start(std::uint32_t instance, Instant deadline);
  std::optional<wire::Result> result(std::uint64_t probe, Duration patience);
  bool cancel(std::uint64_t probe, Duration patience);  // whether that was answered
  void turn(Duration time);

  Footprint footprint() const;
  const std::vector<std::string>& lines() const;  // logged, warnings and errors, at most 1,000
  std::size_t logged() const;                     // lines in all; the host lets ten a second through

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vital::trial
