// See outputs.hpp.
#include "outputs/outputs.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "base/text.hpp"

namespace vital {
namespace {

OutputPace pace_of(const OutputSpec& spec) {
  OutputPace pace;
  pace.interval = spec.interval;
  pace.timeout = spec.timeout;
  pace.tells_events = std::holds_alternative<WebhookOutput>(spec.target);
  if (std::holds_alternative<NginxOutput>(spec.target)) pace.min_gap = std::chrono::seconds(1);  // a reload costs
  // It changes with every result; once a second is soon enough for a script.
  if (std::holds_alternative<FileOutput>(spec.target)) pace.min_gap = std::chrono::seconds(1);
  return pace;
}

std::string said(const Wanted& wanted) {
  return wanted.is_withdrawn ? "withdrawn" : std::string(name(wanted.word.told));
}

}  // namespace

struct Outputs::Item {
  explicit Item(OutputSpec of) : spec(std::move(of)), reconciler(pace_of(spec)) {}

  OutputSpec spec;
  Reconciler reconciler;
  std::optional<Wanted> wanted;
  std::string asked;  // what the look under way is to make true, in a word
  OutputState state = OutputState::pending;
  std::string error;
  WallTime since{};
  WallTime last_change{};
  std::unique_ptr<Port> port;  // last: ended before what its callbacks use
};

Outputs::Outputs(Loop& loop, MakePort make_port, OutputHooks hooks)
    : loop_(loop), make_port_(std::move(make_port)), hooks_(std::move(hooks)), timer_(loop, [this] { turn(); }) {}

Outputs::~Outputs() = default;

void Outputs::adopt(const std::vector<OutputSpec>& specs) {
  std::vector<std::unique_ptr<Item>> old = std::exchange(items_, {});
  for (const OutputSpec& spec : specs) {
    const auto same =
        std::find_if(old.begin(), old.end(), [&](const auto& item) { return item && item->spec == spec; });
    if (same != old.end()) {
      items_.push_back(std::move(*same));
      continue;
    }
    auto item = std::make_unique<Item>(spec);
    item->since = Loop::both().wall;
    item->port = make_port_(loop_, spec);
    items_.push_back(std::move(item));
  }
  old.clear();
  if (snapshot_) show(snapshot_);
  hooks_.changed();
}

void Outputs::show(std::shared_ptr<const Snapshot> snapshot) {
  if (is_leaving_) return;
  snapshot_ = std::move(snapshot);
  const Instant now = Loop::now();
  for (const auto& item : items_) {
    auto wanted = wanted_by(item->spec, snapshot_);
    if (!wanted) continue;
    if (!item->wanted || item->wanted->key != wanted->key) item->port->heard(*wanted);
    item->reconciler.want(now, wanted->key, wanted->detail);
    item->wanted = std::move(wanted);
  }
  turn();
}

void Outputs::leave(Duration patience, std::function<void()> left) {
  is_leaving_ = true;
  const Instant now = Loop::now();
  patience_ = now + patience;
  left_ = std::move(left);
  for (const auto& item : items_) {
    if (auto last = farewell_of(item->spec, item->wanted)) {
      item->reconciler.want(now, last->key);
      item->wanted = std::move(last);
    }
  }
  turn();
}

// What was wanted last has been told to everybody who can be reached.
bool Outputs::is_left() const {
  return std::all_of(items_.begin(), items_.end(), [](const auto& item) {
    return !item->reconciler.is_busy() &&
           (!item->wanted || item->spec.on_stop == OnStop::leave || item->reconciler.state() != OutputState::pending);
  });
}

void Outputs::turn() {
  const Instant now = Loop::now();
  Instant wake = Instant::max();
  for (const auto& item : items_) {
    if (item->reconciler.overdue(now)) {
      item->port->cancel();
      note_state(*item);
    }
    if (item->reconciler.due(now)) start(*item, now);
    wake = std::min(wake, item->reconciler.wake_at());
  }
  if (left_) {
    if (is_left() || now >= *patience_) {
      loop_.post(std::exchange(left_, {}));
    } else {
      wake = std::min(wake, *patience_);
    }
  }
  if (wake != Instant::max()) timer_.arm_at(wake);
}

void Outputs::start(Item& item, Instant now) {
  item.reconciler.started(now);
  item.asked = said(*item.wanted);
  try {
    item.port->sync(*item.wanted, [this, &item](const Synced& synced) { ended(item, synced); });
  } catch (const std::exception& e) {
    item.reconciler.ended(now, {Synced::How::failed, one_line(e.what()), {}, {}});
    note_state(item);
  }
}

void Outputs::ended(Item& item, const Synced& synced) {
  const Now now = Loop::both();
  const bool is_repair = item.reconciler.ended(now.mono, synced);
  if (synced.how == Synced::How::written || synced.how == Synced::How::sent) {
    item.last_change = now.wall;
    // The file with the snapshot changes all the time: that is no news.
    const bool is_news = !std::holds_alternative<FileOutput>(item.spec.target);
    if (is_repair) {
      hooks_.note(Note::Level::warning, "output_repaired",
                  {{"output", item.spec.name}, {"type", std::string(type_of(item.spec))}, {"held", synced.held}});
    } else if (is_news) {
      hooks_.note(Note::Level::info, "output_told",
                  {{"output", item.spec.name}, {"type", std::string(type_of(item.spec))}, {"told", item.asked}});
    }
  }
  note_state(item);
  hooks_.changed();
  turn();
}

void Outputs::note_state(Item& item) {
  const OutputState state = item.reconciler.state();
  const std::string& error = item.reconciler.error();
  const bool is_same = state == item.state && (state != OutputState::failing || error == item.error);
  if (is_same) return;
  const bool was_failing = item.state == OutputState::failing;
  if (item.state != state) item.since = Loop::both().wall;
  item.state = state;
  item.error = error;
  const std::vector<std::pair<std::string, std::string>> who{{"output", item.spec.name},
                                                             {"type", std::string(type_of(item.spec))}};
  if (state == OutputState::failing) {
    auto fields = who;
    fields.emplace_back("error", error);
    hooks_.note(Note::Level::warning, "output_failing", std::move(fields));
  } else if (was_failing && state == OutputState::ok) {
    hooks_.note(Note::Level::info, "output_recovered", who);
  }
  hooks_.changed();
}

std::vector<OutputView> Outputs::views() const {
  std::vector<OutputView> out;
  for (const auto& item : items_) {
    OutputView view;
    view.name = item->spec.name;
    view.type = type_of(item->spec);
    view.service = item->spec.service;
    view.state = item->reconciler.state();
    view.since = item->since;
    if (item->wanted) view.told = said(*item->wanted);
    view.error = item->reconciler.error();
    view.last_change = item->last_change;
    view.counters = item->reconciler.counters();
    view.queued = item->port->queued();
    view.dropped = item->port->dropped();
    view.users = item->port->users();
    view.is_confirmed = item->reconciler.is_confirmed();
    out.push_back(std::move(view));
  }
  return out;
}

bool Outputs::has_strays() const {
  return std::any_of(items_.begin(), items_.end(), [](const auto& item) { return item->port->has_stray(); });
}

}  // namespace vital
