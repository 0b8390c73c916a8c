// Sums over the last echoes; see window.hpp.
#include "window.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "../net/text.hpp"

namespace vital::ping {

using check::Cause;
using check::Result;
using check::Verdict;

namespace {

std::string time_in_words(double seconds) {
  if (seconds < 1e-3) return std::to_string(static_cast<int>(seconds * 1e6)) + " us";
  return net::in_words(std::chrono::nanoseconds(static_cast<long long>(seconds * 1e9)));
}
std::string percent(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g%%", value);
  return text;
}

}  // namespace

void Window::add(Echo echo) {
  echoes_.push_back(echo);
  if (echoes_.size() > most_) echoes_.pop_front();
}

double Window::loss() const {
  if (echoes_.empty()) return 0;
  const auto lost = std::count_if(echoes_.begin(), echoes_.end(), [](const Echo& e) { return e.is_lost; });
  return 100.0 * static_cast<double>(lost) / static_cast<double>(echoes_.size());
}

double Window::rtt() const {
  double sum = 0;
  int count = 0;
  for (const Echo& e : echoes_) {
    if (e.is_lost) continue;
    sum += e.rtt;
    ++count;
  }
  return count > 0 ? sum / count : 0;
}

double Window::longest() const {
  double out = 0;
  for (const Echo& e : echoes_) {
    if (!e.is_lost) out = std::max(out, e.rtt);
  }
  return out;
}

double Window::jitter() const {
  double sum = 0;
  int count = 0;
  for (size_t i = 1; i < echoes_.size(); ++i) {
    if (echoes_[i].is_lost || echoes_[i - 1].is_lost) continue;
    sum += std::abs(echoes_[i].rtt - echoes_[i - 1].rtt);
    ++count;
  }
  return count > 0 ? sum / count : 0;
}

Result judge(const Window& window, int sent, int back, const Demands& demands, const std::string& target) {
  Result result;
  const double loss = window.loss();
  const double rtt = window.rtt();
  const double jitter = window.jitter();
  const std::string over = " over the last " + std::to_string(window.size()) + " echoes";
  if (back == 0) {
    result = check::fail(Cause::timeout, "none of " + std::to_string(sent) + " echoes came back");
  } else {
    result = check::pass(target + " answers in " + time_in_words(rtt) + ", " + percent(loss) + " lost, jitter " +
                         time_in_words(jitter) + over);
    const auto look = [&](double value, const Limits& limits, Cause cause, const std::string& words) {
      const Verdict found = value > limits.fail ? Verdict::fail : value > limits.warn ? Verdict::warn : Verdict::pass;
      if (static_cast<uint32_t>(found) <= static_cast<uint32_t>(result.verdict)) return;
      result.verdict = found;
      result.cause = cause;
      result.text = words + over;
    };
    look(loss, demands.loss, Cause::timeout, percent(loss) + " were lost");
    look(rtt, demands.rtt, Cause::latency, "it answers in " + time_in_words(rtt));
    look(jitter, demands.jitter, Cause::latency, "the time it takes varies by " + time_in_words(jitter));
  }
  result.measure("loss", loss, "%", demands.loss.warn, demands.loss.fail);
  if (rtt > 0) {
    result.measure("rtt", rtt, "s", demands.rtt.warn, demands.rtt.fail);
    result.measure("rtt_longest", window.longest(), "s");
    result.measure("jitter", jitter, "s", demands.jitter.warn, demands.jitter.fail);
  }
  result.measure("echoes", static_cast<double>(window.size()));
  return result;
}

}  // namespace vital::ping
