// Signals of libev: any number of objects may ask for one, all on the same loop. See loop.hpp.
#include <utility>
#include <vector>

#include "loop/loop_impl.hpp"

namespace vital {

struct Signals::State : std::enable_shared_from_this<Signals::State> {
  std::shared_ptr<Loop::Impl> loop;
  std::function<void(int)> caught;
  std::vector<ev_signal> watchers;
};

Signals::Signals(Loop& loop, std::initializer_list<int> numbers, std::function<void(int)> caught)
    : state_(std::make_shared<State>()) {
  state_->loop = loop.shared_impl();
  state_->caught = std::move(caught);
  state_->watchers.resize(numbers.size());
  auto number = numbers.begin();
  for (ev_signal& watcher : state_->watchers) {
    watcher.data = state_.get();
    watcher.signum = *number++;
    watcher.cb = [](struct ev_loop*, ev_signal* seen, int) {
      const auto state = static_cast<State*>(seen->data)->shared_from_this();
      const int signum = seen->signum;
      state->loop->guarded([&] { state->caught(signum); });
    };
    ev_signal_start(state_->loop->ev, &watcher);
  }
}

Signals::~Signals() {
  for (ev_signal& watcher : state_->watchers) ev_signal_stop(state_->loop->ev, &watcher);
}

}  // namespace vital
