// The C++17 face of the module ABI: write a check as a class, declare its options as a table, export it with one macro.
// Header-only, needs nothing but the standard library. All the rules of module.h hold; this file only spares you the C.
//
//   class Answer final : public vital::check::Blocking {
//    public:
//     explicit Answer(const vital::check::Options& options) : want_(options.integer("want")) {}
//     vital::check::Result probe(const vital::check::Attempt&) override {
//       return want_ == 42 ? vital::check::pass("it is 42") : vital::check::fail(vital::check::Cause::content, "not
//       42");
//     }
//    private:
//     long long want_;
//   };
//   static constexpr vital::check::OptionRow options[] = {{"want", vital::check::Type::integer, "42", "the number"}};
//   VITAL_BLOCKING_MODULE(Answer, "answer", "1.0", "whether a number is the answer", options)
//
// A constructor that throws vital::check::Invalid{"option", "what, and what to write instead"} makes a config error
// with the option's position. Any other exception, from any method, becomes unknown/agent with its what().
#pragma once

#include <time.h>
#include <vitald/ext/log.h>
#include <vitald/ext/loop.h>
#include <vitald/ext/resolve.h>
#include <vitald/ext/spawn.h>
#include <vitald/module.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vital::check {

using Duration = std::chrono::nanoseconds;

enum class Verdict : uint32_t { pass = VITAL_PASS, warn = VITAL_WARN, fail = VITAL_FAIL, unknown = VITAL_UNKNOWN };

enum class Cause : uint32_t {
  none = VITAL_CAUSE_NONE,
  timeout = VITAL_CAUSE_TIMEOUT,
  refused = VITAL_CAUSE_REFUSED,
  unreachable = VITAL_CAUSE_UNREACHABLE,
  dns = VITAL_CAUSE_DNS,
  tls = VITAL_CAUSE_TLS,
  auth = VITAL_CAUSE_AUTH,
  protocol = VITAL_CAUSE_PROTOCOL,
  content = VITAL_CAUSE_CONTENT,
  role = VITAL_CAUSE_ROLE,
  latency = VITAL_CAUSE_LATENCY,
  config = VITAL_CAUSE_CONFIG,
  agent = VITAL_CAUSE_AGENT
};

enum class Phase : uint32_t {
  resolve = VITAL_PHASE_RESOLVE,
  connect = VITAL_PHASE_CONNECT,
  tls = VITAL_PHASE_TLS,
  auth = VITAL_PHASE_AUTH,
  exchange = VITAL_PHASE_EXCHANGE
};

enum class Type : uint32_t {
  string = VITAL_TYPE_STRING,
  integer = VITAL_TYPE_INTEGER,
  number = VITAL_TYPE_NUMBER,
  boolean = VITAL_TYPE_BOOLEAN,
  duration = VITAL_TYPE_DURATION,
  size = VITAL_TYPE_SIZE,
  size_or_percent = VITAL_TYPE_SIZE_OR_PERCENT,
  choice = VITAL_TYPE_CHOICE,
  list = VITAL_TYPE_LIST,
  map = VITAL_TYPE_MAP
};

// Thrown by a constructor: the option at fault, and one line that says what is wrong and what to write instead.
struct Invalid : std::runtime_error {
  Invalid(std::string option_name, const std::string& text)
      : std::runtime_error(text), option(std::move(option_name)) {}
  std::string option;
};

// ---- options -------------------------------------------------------------------------------------------------------

// One row of an option table. Only the first two are needed; `fallback` is the default as a config would write it.
struct OptionRow {
  const char* name;
  Type type;
  const char* fallback = nullptr;
  const char* help = "";
  const char* example = nullptr;
  uint32_t flags = 0;                    // VITAL_OPTION_REQUIRED | VITAL_OPTION_SECRET
  const char* const* choices = nullptr;  // NULL-terminated
  double min = 0, max = 0;               // a range if max > min
};

// The table of a check that has no options of its own.
inline constexpr OptionRow no_options[] = {{nullptr, Type::string}};

// The validated values of one check. Accessors without `or_` throw Invalid where the option is absent.
class Options {
 public:
  explicit Options(const vital_values* values) : values_(values) {}

  bool has(std::string_view name) const { return find(name) != nullptr; }
  std::string text(std::string_view name) const { return need(name).items[0]; }
  std::string text_or(std::string_view name, std::string_view fallback) const {
    const vital_value* v = find(name);
    return v != nullptr ? std::string(v->items[0]) : std::string(fallback);
  }
  long long integer(std::string_view name) const { return std::strtoll(need(name).items[0], nullptr, 10); }
  long long integer_or(std::string_view name, long long fallback) const { return has(name) ? integer(name) : fallback; }
  double number(std::string_view name) const { return std::strtod(need(name).items[0], nullptr); }
  bool boolean(std::string_view name) const { return std::strcmp(need(name).items[0], "true") == 0; }
  Duration duration(std::string_view name) const { return Duration(integer(name)); }
  std::vector<std::string> list(std::string_view name) const {
    const vital_value* v = find(name);
    return v == nullptr ? std::vector<std::string>{} : std::vector<std::string>(v->items, v->items + v->count);
  }
  // In the order written.
  std::vector<std::pair<std::string, std::string>> map(std::string_view name) const {
    std::vector<std::pair<std::string, std::string>> out;
    if (const vital_value* v = find(name)) {
      for (uint32_t i = 0; i + 1 < v->count; i += 2) out.emplace_back(v->items[i], v->items[i + 1]);
    }
    return out;
  }

 private:
  const vital_value* find(std::string_view name) const {
    for (uint32_t i = 0; i < values_->count; ++i) {
      const auto* v = reinterpret_cast<const vital_value*>(reinterpret_cast<const char*>(values_->values) +
                                                           static_cast<size_t>(i) * values_->stride);
      if (name == v->name && v->count > 0) return v;
    }
    return nullptr;
  }
  const vital_value& need(std::string_view name) const {
    const vital_value* v = find(name);
    if (v == nullptr) throw Invalid(std::string(name), "is needed");
    return *v;
  }
  const vital_values* values_;
};

// ---- results -------------------------------------------------------------------------------------------------------

constexpr double no_threshold = std::numeric_limits<double>::quiet_NaN();

struct Measure {
  std::string name;
  double value = 0;
  std::string unit;
  double warn = no_threshold;
  double fail = no_threshold;
};

struct Result {
  Verdict verdict = Verdict::unknown;
  Cause cause = Cause::agent;
  std::string text;
  std::vector<std::pair<Phase, Duration>> phases;
  std::vector<Measure> measures;
  std::vector<std::pair<std::string, std::string>> facts;

  Result& phase(Phase which, Duration took) {
    phases.emplace_back(which, took);
    return *this;
  }
  Result& measure(std::string name, double value, std::string unit = "", double warn_at = no_threshold,
                  double fail_at = no_threshold) {
    measures.push_back({std::move(name), value, std::move(unit), warn_at, fail_at});
    return *this;
  }
  Result& fact(std::string name, std::string value) {
    facts.emplace_back(std::move(name), std::move(value));
    return *this;
  }
};

inline Result make_result(Verdict verdict, Cause cause, std::string text) {
  Result r;
  r.verdict = verdict;
  r.cause = cause;
  r.text = std::move(text);
  return r;
}
inline Result pass(std::string text) { return make_result(Verdict::pass, Cause::none, std::move(text)); }
inline Result warn(Cause cause, std::string text) { return make_result(Verdict::warn, cause, std::move(text)); }
inline Result fail(Cause cause, std::string text) { return make_result(Verdict::fail, cause, std::move(text)); }
inline Result unknown(Cause cause, std::string text) { return make_result(Verdict::unknown, cause, std::move(text)); }

// ---- time ----------------------------------------------------------------------------------------------------------

inline Duration monotonic_now() noexcept {
  timespec ts{};
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return std::chrono::seconds(ts.tv_sec) + Duration(ts.tv_nsec);
}

// One probe as the check sees it.
class Attempt {
 public:
  explicit Attempt(const vital_probe* probe)
      : number_(probe->attempt), deadline_(static_cast<Duration::rep>(probe->deadline_ns)) {}
  uint32_t number() const { return number_; }      // 0, then 1.. for retries in the same cycle
  Duration deadline() const { return deadline_; }  // on CLOCK_MONOTONIC
  // Never negative.
  Duration remaining() const {
    const Duration left = deadline_ - monotonic_now();
    return left > Duration::zero() ? left : Duration::zero();
  }

 private:
  uint32_t number_;
  Duration deadline_;
};

// Times the phases of a probe: lap(phase) closes the stretch since the last lap.
class Stopwatch {
 public:
  Stopwatch() : start_(monotonic_now()), last_(start_) {}
  void lap(Phase phase) {
    const Duration now = monotonic_now();
    laps_.emplace_back(phase, now - last_);
    last_ = now;
  }
  Duration elapsed() const { return monotonic_now() - start_; }
  // Hands the laps to a result.
  Result& into(Result& result) const {
    result.phases.insert(result.phases.end(), laps_.begin(), laps_.end());
    return result;
  }

 private:
  Duration start_;
  Duration last_;
  std::vector<std::pair<Phase, Duration>> laps_;
};

// ---- what you derive from ------------------------------------------------------------------------------------------

// A check that does all its work in probe(). [worker]
class Blocking {
 public:
  virtual ~Blocking() = default;
  virtual Result probe(const Attempt& attempt) = 0;
};

// One running probe of an async check. Hand the result to finish() once; destroying it means: give up. [loop]
class AsyncProbe {
 public:
  virtual ~AsyncProbe() = default;
};

namespace detail {
// What a probe of an async check holds until it is over.
struct Slot {
  const vital_probe* probe = nullptr;
  std::unique_ptr<AsyncProbe> work;
  bool is_over = false;
};
}  // namespace detail

// Where the result of an async probe goes. Copyable. [loop]
class Finisher {
 public:
  Finisher(const vital_host* host, std::shared_ptr<detail::Slot> slot) : host_(host), slot_(std::move(slot)) {}
  // Hands in the result and destroys the AsyncProbe: touch nothing of it after this call. A second call, or one after
  // the probe was given up, is counted by the host and ignored.
  void finish(const Result& result) const;

 private:
  const vital_host* host_;
  std::shared_ptr<detail::Slot> slot_;
};

// The host's services, typed. Any may be null with an older host.
struct Host {
  const vital_host* raw = nullptr;
  const vital_loop* loop = nullptr;
  const vital_resolve* resolve = nullptr;
  const vital_log* log = nullptr;
  const vital_spawn* spawn = nullptr;  // <vitald/child.hpp> has a face for it

  explicit Host(const vital_host* host)
      : raw(host),
        loop(static_cast<const vital_loop*>(host->service(host, VITAL_SERVICE_LOOP))),
        resolve(static_cast<const vital_resolve*>(host->service(host, VITAL_SERVICE_RESOLVE))),
        log(static_cast<const vital_log*>(host->service(host, VITAL_SERVICE_LOG))),
        spawn(static_cast<const vital_spawn*>(host->service(host, VITAL_SERVICE_SPAWN))) {}
};

// A check that runs on the worker's loop: start() returns at once with an object that holds what the probe needs, or,
// if it has finished the probe already, with nullptr. [loop]
class Async {
 public:
  virtual ~Async() = default;
  virtual std::unique_ptr<AsyncProbe> start(const Attempt& attempt, Finisher finisher) = 0;
};

// ---- the glue; nothing below is for you ----------------------------------------------------------------------------
namespace detail {

inline void hand_in(const vital_host* host, const vital_probe* probe, const Result& r) {
  std::vector<vital_phase> phases;
  phases.reserve(r.phases.size());
  for (const auto& [phase, took] : r.phases) {
    phases.push_back({sizeof(vital_phase), static_cast<uint32_t>(phase),
                      took.count() > 0 ? static_cast<uint64_t>(took.count()) : 0});
  }
  std::vector<vital_measure> measures;
  measures.reserve(r.measures.size());
  for (const auto& m : r.measures) {
    measures.push_back({sizeof(vital_measure), m.name.c_str(), m.unit.c_str(), m.value, m.warn, m.fail});
  }
  std::vector<vital_fact> facts;
  facts.reserve(r.facts.size());
  for (const auto& [name, value] : r.facts) facts.push_back({sizeof(vital_fact), name.c_str(), value.c_str()});
  vital_result out{};
  out.size = sizeof out;
  out.verdict = static_cast<uint32_t>(r.verdict);
  out.cause = static_cast<uint32_t>(r.cause);
  out.text = r.text.c_str();
  out.phase_count = static_cast<uint32_t>(phases.size());
  out.phase_stride = sizeof(vital_phase);
  out.phases = phases.data();
  out.measure_count = static_cast<uint32_t>(measures.size());
  out.measure_stride = sizeof(vital_measure);
  out.measures = measures.data();
  out.fact_count = static_cast<uint32_t>(facts.size());
  out.fact_stride = sizeof(vital_fact);
  out.facts = facts.data();
  host->finish(host, probe, &out);
}

inline void put(char* to, uint32_t size, const std::string& text) {
  if (to != nullptr && size > 0) std::snprintf(to, size, "%s", text.c_str());
}

template <typename Make>
int guarded_create(Make make, void** instance, vital_error* error) {
  try {
    *instance = make();
    return 0;
  } catch (const Invalid& e) {
    put(error->option, error->option_size, e.option);
    put(error->text, error->text_size, e.what());
  } catch (const std::exception& e) {
    put(error->text, error->text_size, e.what());
  } catch (...) {
    put(error->text, error->text_size, "the module threw something unknown while it was set up");
  }
  return 1;
}

template <typename Check>
struct BlockingGlue {
  const vital_host* host;
  std::unique_ptr<Check> check;

  static int create(const vital_host* host, const vital_values* values, void** instance, vital_error* error) {
    return guarded_create(
        [&] {
          return new BlockingGlue{host, std::make_unique<Check>(Options(values))};
        },
        instance, error);
  }
  static void destroy(void* instance) { delete static_cast<BlockingGlue*>(instance); }
  static constexpr void (*cancel)(void*, const vital_probe*) = nullptr;
  static void probe(void* instance, const vital_probe* probe) {
    auto* self = static_cast<BlockingGlue*>(instance);
    Result result;
    try {
      result = self->check->probe(Attempt(probe));
    } catch (const std::exception& e) {
      result = unknown(Cause::agent, std::string("the check threw: ") + e.what());
    } catch (...) {
      result = unknown(Cause::agent, "the check threw something unknown");
    }
    hand_in(self->host, probe, result);
  }
};

template <typename Check>
struct AsyncGlue {
  const vital_host* host;
  std::unique_ptr<Check> check;
  std::vector<std::shared_ptr<Slot>> running;

  static int create(const vital_host* host, const vital_values* values, void** instance, vital_error* error) {
    return guarded_create(
        [&] {
          return new AsyncGlue{host, std::make_unique<Check>(Host(host), Options(values)), {}};
        },
        instance, error);
  }
  static void destroy(void* instance) { delete static_cast<AsyncGlue*>(instance); }
  void sweep() {
    for (size_t i = 0; i < running.size();) {
      if (running[i]->is_over) {
        running[i] = std::move(running.back());
        running.pop_back();
      } else {
        ++i;
      }
    }
  }
  static void probe(void* instance, const vital_probe* probe) {
    auto* self = static_cast<AsyncGlue*>(instance);
    self->sweep();
    auto slot = std::make_shared<Slot>();
    slot->probe = probe;
    std::string thrown;
    try {
      auto work = self->check->start(Attempt(probe), Finisher(self->host, slot));
      if (slot->is_over) return;
      slot->work = std::move(work);
    } catch (const std::exception& e) {
      thrown = std::string("the check threw: ") + e.what();
    } catch (...) {
      thrown = "the check threw something unknown";
    }
    if (thrown.empty() && slot->work == nullptr) thrown = "the check gave nothing that could run";
    if (thrown.empty()) {
      self->running.push_back(std::move(slot));
    } else if (!slot->is_over) {
      slot->is_over = true;
      hand_in(self->host, probe, unknown(Cause::agent, thrown));
    }
  }
  static void cancel(void* instance, const vital_probe* probe) {
    auto* self = static_cast<AsyncGlue*>(instance);
    for (auto& slot : self->running) {
      if (slot->is_over || slot->probe != probe) continue;
      slot->is_over = true;
      slot->work.reset();
    }
    self->sweep();
  }
};

template <size_t N>
std::vector<vital_option> table(const OptionRow (&rows)[N]) {
  std::vector<vital_option> out;
  out.reserve(N);
  for (const OptionRow& row : rows) {
    if (row.name == nullptr) continue;
    vital_option o{};
    o.size = sizeof o;
    o.type = static_cast<uint32_t>(row.type);
    o.flags = row.flags;
    o.name = row.name;
    o.default_value = row.fallback;
    o.choices = row.choices;
    o.min = row.min;
    o.max = row.max;
    o.has_range = row.max > row.min ? 1 : 0;
    o.help = row.help;
    o.example = row.example;
    out.push_back(o);
  }
  return out;
}

template <typename Glue, size_t N>
const vital_module* describe(uint32_t kind, const char* type, const char* version, const char* summary,
                             const OptionRow (&rows)[N]) {
  static const std::vector<vital_option> options = table(rows);
  static vital_module m{};
  m.size = sizeof m;
  m.magic = VITAL_ABI_MAGIC;
  m.abi_major = VITAL_ABI_MAJOR;
  m.abi_minor = VITAL_ABI_MINOR;
  m.kind = kind;
  m.type = type;
  m.version = version;
  m.summary = summary;
  m.option_count = static_cast<uint32_t>(options.size());
  m.option_stride = sizeof(vital_option);
  m.options = options.data();
  m.create = Glue::create;
  m.destroy = Glue::destroy;
  m.probe = Glue::probe;
  m.cancel = Glue::cancel;
  return &m;
}

}  // namespace detail

inline void Finisher::finish(const Result& result) const {
  // Copies first: `this` may be a member of the object that ends here. The probe's object dies before the result
  // leaves, so its sockets are closed before the agent may start the next probe.
  const vital_host* host = host_;
  const std::shared_ptr<detail::Slot> slot = slot_;
  const Result copy = result;
  slot->is_over = true;
  std::unique_ptr<AsyncProbe> work = std::move(slot->work);
  work.reset();
  detail::hand_in(host, slot->probe, copy);
}

}  // namespace vital::check

#define VITAL_BLOCKING_MODULE(Class, type, version, summary, rows)                                                  \
  extern "C" VITAL_EXPORT const vital_module* vital_module_entry(uint32_t, uint32_t) {                              \
    return vital::check::detail::describe<vital::check::detail::BlockingGlue<Class>>(VITAL_BLOCKING, type, version, \
                                                                                     summary, rows);                \
  }

// Class(Host, const Options&).
#define VITAL_ASYNC_MODULE(Class, type, version, summary, rows)                                                        \
  extern "C" VITAL_EXPORT const vital_module* vital_module_entry(uint32_t, uint32_t) {                                 \
    return vital::check::detail::describe<vital::check::detail::AsyncGlue<Class>>(VITAL_ASYNC, type, version, summary, \
                                                                                  rows);                               \
  }
