// Loading beside the loop; see config_loader.hpp.
#include "agent/config_loader.hpp"

#include <signal.h>

#include <exception>
#include <thread>
#include <utility>

namespace vital {
namespace {

Loaded load_or_explain(const LoadOptions& options) {
  try {
    return load_config(options);
  } catch (const std::exception& e) {
    Loaded failed;
    Problem p;
    p.file = options.file;
    p.text = e.what();
    failed.problems.push_back(std::move(p));
    return failed;
  }
}

}  // namespace

ConfigLoader::~ConfigLoader() {
  if (busy_) busy_->is_wanted = false;
}

void ConfigLoader::load(const LoadOptions& options, std::function<void(Loaded)> loaded) {
  busy_ = std::make_shared<Busy>();
  // Signals are the loop's: a new thread starts with those of its maker, so they are blocked for a moment here.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread([this, options, mail = mail_, busy = busy_, tell = std::move(loaded)]() mutable {
    auto result = std::make_shared<Loaded>(load_or_explain(options));
    mail->post([this, result, busy, tell = std::move(tell)] {
      if (!busy->is_wanted) return;  // the loader is gone, `this` with it
      busy_.reset();
      tell(std::move(*result));
    });
  }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace vital
