// Loading beside the loop; see config_loader.hpp.
#include "agent/config_loader.hpp"

#include <signal.h>

#include <exception>
#include <thread>
#include <utility>

#include "agent/listening.hpp"

namespace vital {
namespace {

Prepared load_or_explain(const LoadOptions& options, const std::vector<InheritedSocket>& inherited) {
  Prepared out;
  try {
    out.loaded = load_config(options);
    if (out.loaded.config) out.front = front_options(*out.loaded.config, inherited);
  } catch (const std::exception& e) {
    Problem p;
    p.file = options.file;
    p.text = e.what();
    out.loaded.config = nullptr;
    out.loaded.problems.push_back(std::move(p));
  }
  return out;
}

}  // namespace

ConfigLoader::~ConfigLoader() {
  if (busy_) busy_->is_wanted = false;
}

void ConfigLoader::load(const LoadOptions& options, const std::vector<InheritedSocket>& inherited,
                        std::function<void(Prepared)> loaded) {
  busy_ = std::make_shared<Busy>();
  // Signals are the loop's: a new thread starts with those of its maker, so they are blocked for a moment here.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread([this, options, inherited, mail = mail_, busy = busy_, tell = std::move(loaded)]() mutable {
    auto result = std::make_shared<Prepared>(load_or_explain(options, inherited));
    mail->post([this, result, busy, tell = std::move(tell)] {
      if (!busy->is_wanted) return;  // the loader is gone, `this` with it
      busy_.reset();
      tell(std::move(*result));
    });
  }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace vital
