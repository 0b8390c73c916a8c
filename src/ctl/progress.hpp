// Progress: a line on the terminal for whoever waits longer than a second, gone when the waiting is over. Where
// standard error is no terminal nothing is written.
//
//   const Progress progress("probing db");
//   const Reply reply = agent.ask(...);        // "probing db ... 3 s"
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace vital::ctl {

class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress();  // wipes the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

 private:
  void show();

  const std::string what_;
  std::mutex m_;
  std::condition_variable over_;
  bool is_over_ = false;  // guarded by m_
  std::thread thread_;    // only on a terminal
};

}  // namespace vital::ctl
