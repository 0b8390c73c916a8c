// Looking at certificate files; see certificate_watch.hpp.
#include "agent/certificate_watch.hpp"

#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <tuple>
#include <utility>

#include "agent/listening.hpp"

namespace vital {
namespace {

using namespace std::chrono_literals;

constexpr auto look_every = 2s;
constexpr auto patience_at_the_end = 500ms;

// What tells one content of a file from another without reading it; the file behind a symbolic link, too.
using Trait = std::tuple<dev_t, ino_t, off_t, time_t, long>;

std::vector<Trait> traits_of(const std::vector<std::string>& files) {
  std::vector<Trait> out;
  for (const std::string& file : files) {
    struct stat seen {};
    if (::stat(file.c_str(), &seen) != 0) seen = {};
    out.emplace_back(seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtim.tv_sec, seen.st_mtim.tv_nsec);
  }
  return out;
}

}  // namespace

struct CertificateWatch::State {
  std::mutex m;
  std::condition_variable changed;
  bool is_ending = false;  // guarded by m, as all of these
  bool has_thread = false;
  std::uint64_t round = 0;               // of follow()
  std::shared_ptr<const Config> config;  // null = nothing to watch
  std::vector<InheritedSocket> inherited;
  std::shared_ptr<Mailbox> mail;   // constant
  std::function<void(News)> told;  // constant
};

CertificateWatch::CertificateWatch(std::shared_ptr<Mailbox> mail, std::function<void(News)> told)
    : state_(std::make_shared<State>()) {
  state_->mail = std::move(mail);
  state_->told = std::move(told);
}

CertificateWatch::~CertificateWatch() { stop(); }

bool CertificateWatch::stop() {
  std::unique_lock lock(state_->m);
  state_->is_ending = true;
  state_->changed.notify_all();
  return state_->changed.wait_for(lock, patience_at_the_end, [this] { return !state_->has_thread; });
}

void CertificateWatch::follow(std::shared_ptr<const Config> config, std::vector<InheritedSocket> inherited) {
  const bool is_needed = !tls_files_of(*config).empty();
  const std::lock_guard lock(state_->m);
  state_->config = is_needed ? std::move(config) : nullptr;
  state_->inherited = std::move(inherited);
  ++state_->round;
  state_->changed.notify_all();
  if (!is_needed || state_->has_thread || state_->is_ending) return;
  state_->has_thread = true;
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are the loop's
  std::thread([state = state_] { run(state); }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void CertificateWatch::run(const std::shared_ptr<State>& state) {
  std::uint64_t round = 0;
  std::shared_ptr<const Config> config;
  std::vector<std::string> files;
  std::vector<Trait> used;  // of what is served
  std::vector<Trait> seen;  // at the last look
  std::unique_lock lock(state->m);
  while (!state->is_ending) {
    if (round != state->round) {
      round = state->round;
      config = state->config;
      lock.unlock();
      files = config ? tls_files_of(*config) : std::vector<std::string>{};
      used = seen = traits_of(files);
      lock.lock();
    }
    state->changed.wait_for(lock, look_every, [&] { return state->is_ending || state->round != round; });
    if (state->is_ending || state->round != round || !config) continue;
    const std::vector<InheritedSocket> inherited = state->inherited;
    lock.unlock();
    const std::vector<Trait> now = traits_of(files);
    // A certificate and its key are two files: only when both rest they belong together.
    if (now != used && now == seen) {
      News news;
      news.config = config;
      try {
        news.options = front_options(*config, inherited);
      } catch (const std::exception& e) {
        news.trouble = e.what();
      }
      used = now;
      state->mail->post([state, news] { state->told(news); });
    }
    seen = now;
    lock.lock();
  }
  state->has_thread = false;
  state->changed.notify_all();
}

}  // namespace vital
