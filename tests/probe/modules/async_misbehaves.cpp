// An async module that behaves, or does wrong what an async module can do wrong, by the value of `how`.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vitald/check.hpp>

namespace {

using namespace vital::check;

struct Shared {
  Host host;
  std::string how;
  Duration after;
  Duration busy;
};

class Probe final : public AsyncProbe {
 public:
  Probe(const Shared& shared, Finisher finisher) : shared_(shared), finisher_(finisher) {
    timer_ = shared.host.loop->timer(
        shared.host.raw, static_cast<uint64_t>(shared.after.count()),
        [](void* self) { static_cast<Probe*>(self)->fired(); }, this);
  }
  ~Probe() override {
    shared_.host.loop->disarm(timer_);
    if (shared_.how == "crash in cancel" && timer_ != nullptr) raise(SIGSEGV);
    if (shared_.how == "hang in cancel" && timer_ != nullptr) std::this_thread::sleep_for(std::chrono::hours(1));
  }

 private:
  void fired() {
    timer_ = nullptr;
    const std::string& how = shared_.how;
    if (how == "never") return;
    if (how == "crash") raise(SIGSEGV);
    if (how == "exit") std::exit(3);
    if (how == "throw") throw std::runtime_error("it is raining");
    if (how == "block") std::this_thread::sleep_for(shared_.busy);
    if (how == "close") close_range(3, ~0U, 0);
    if (how == "log") {
      for (int n = 0; n < 1000; ++n) shared_.host.log->write(shared_.host.raw, VITAL_LOG_INFO, "a line");
    }
    if (how == "other thread") {
      const Finisher finisher = finisher_;
      std::thread([finisher] { finisher.finish(pass("from another thread")); }).join();
      return;
    }
    finisher_.finish(pass("done: " + how));
  }

  const Shared& shared_;
  Finisher finisher_;
  vital_timer* timer_ = nullptr;
};

class AsyncMisbehaves final : public Async {
 public:
  AsyncMisbehaves(Host host, const Options& options)
      : shared_{host, options.text("how"), options.duration("after"), options.duration("busy")} {
    if (shared_.how == "crash at create") raise(SIGSEGV);
  }
  std::unique_ptr<AsyncProbe> start(const Attempt&, Finisher finisher) override {
    if (shared_.how == "throw at start") throw std::runtime_error("it is snowing");
    if (shared_.how == "block at start") std::this_thread::sleep_for(shared_.busy);
    return std::make_unique<Probe>(shared_, finisher);
  }

 private:
  Shared shared_;
};

constexpr OptionRow options[] = {
    {"how", Type::string, "answer", "what to do"},
    {"after", Type::duration, "1ms", "when to do it"},
    {"busy", Type::duration, "1h", "how long to block"},
};

}  // namespace

VITAL_ASYNC_MODULE(AsyncMisbehaves, "async_misbehaves", "1.0", "behaves, or does not", options)
