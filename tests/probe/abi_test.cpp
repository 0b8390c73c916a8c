// What was published stays: every field of the first headers is where it was, every number means what it meant, and a
// module built with them, or with ones of the future, loads and probes. Tables that lie cost one line.
// clang-format off: this order matters
#include <stddef.h>
#include <stdint.h>

// The first headers come first, in a namespace of their own. One C function cannot return two types.
#define vital_module_entry vital_module_entry_of_0_1
namespace first {
#include "modules/frozen/0.1/ext/log.h"
#include "modules/frozen/0.1/ext/loop.h"
#include "modules/frozen/0.1/ext/resolve.h"
#include "modules/frozen/0.1/ext/spawn.h"
#include "modules/frozen/0.1/module.h"
constexpr unsigned magic = VITAL_ABI_MAGIC, major = VITAL_ABI_MAJOR, minor = VITAL_ABI_MINOR;
constexpr char log_name[] = VITAL_SERVICE_LOG, loop_name[] = VITAL_SERVICE_LOOP;
constexpr char resolve_name[] = VITAL_SERVICE_RESOLVE, spawn_name[] = VITAL_SERVICE_SPAWN;
}  // namespace first
#undef vital_module_entry
#undef VITALD_MODULE_H
#undef VITALD_EXT_LOG_H
#undef VITALD_EXT_LOOP_H
#undef VITALD_EXT_RESOLVE_H
#undef VITALD_EXT_SPAWN_H
#undef VITAL_ABI_MINOR

#include <vitald/ext/log.h>
#include <vitald/ext/loop.h>
#include <vitald/ext/resolve.h>
#include <vitald/ext/spawn.h>

#include <catch2/catch.hpp>
#include <string_view>

#include "modules/registry.hpp"
#include "probe/bench_core.hpp"
#include "probe/worker/abi.hpp"
// clang-format on

#define SAME_PLACE(type, field)                                                                                       \
  static_assert(                                                                                                      \
      offsetof(::type, field) == offsetof(first::type, field) && sizeof(::type::field) == sizeof(first::type::field), \
      #type "." #field " has moved or changed: a module built with 0.1 would break")
#define SAME_NUMBER(name) \
  static_assert(static_cast<int>(::name) == static_cast<int>(first::name), #name " means something else now")

constexpr bool is_same(std::string_view a, std::string_view b) { return a == b; }
static_assert(VITAL_ABI_MAGIC == first::magic && VITAL_ABI_MAJOR == first::major && VITAL_ABI_MINOR >= first::minor);
static_assert(is_same(VITAL_SERVICE_LOG, first::log_name) && is_same(VITAL_SERVICE_LOOP, first::loop_name) &&
              is_same(VITAL_SERVICE_RESOLVE, first::resolve_name) && is_same(VITAL_SERVICE_SPAWN, first::spawn_name));

// vital_option
SAME_PLACE(vital_option, size);
SAME_PLACE(vital_option, type);
SAME_PLACE(vital_option, flags);
SAME_PLACE(vital_option, name);
SAME_PLACE(vital_option, default_value);
SAME_PLACE(vital_option, choices);
SAME_PLACE(vital_option, min);
SAME_PLACE(vital_option, max);
SAME_PLACE(vital_option, has_range);
SAME_PLACE(vital_option, help);
SAME_PLACE(vital_option, example);
// vital_value
SAME_PLACE(vital_value, size);
SAME_PLACE(vital_value, count);
SAME_PLACE(vital_value, name);
SAME_PLACE(vital_value, items);
// vital_values
SAME_PLACE(vital_values, size);
SAME_PLACE(vital_values, count);
SAME_PLACE(vital_values, stride);
SAME_PLACE(vital_values, values);
// vital_error
SAME_PLACE(vital_error, size);
SAME_PLACE(vital_error, option_size);
SAME_PLACE(vital_error, option);
SAME_PLACE(vital_error, text_size);
SAME_PLACE(vital_error, text);
// vital_probe
SAME_PLACE(vital_probe, size);
SAME_PLACE(vital_probe, attempt);
SAME_PLACE(vital_probe, id);
SAME_PLACE(vital_probe, deadline_ns);
// vital_phase
SAME_PLACE(vital_phase, size);
SAME_PLACE(vital_phase, phase);
SAME_PLACE(vital_phase, duration_ns);
// vital_measure
SAME_PLACE(vital_measure, size);
SAME_PLACE(vital_measure, name);
SAME_PLACE(vital_measure, unit);
SAME_PLACE(vital_measure, value);
SAME_PLACE(vital_measure, warn);
SAME_PLACE(vital_measure, fail);
// vital_fact
SAME_PLACE(vital_fact, size);
SAME_PLACE(vital_fact, name);
SAME_PLACE(vital_fact, value);
// vital_result
SAME_PLACE(vital_result, size);
SAME_PLACE(vital_result, verdict);
SAME_PLACE(vital_result, cause);
SAME_PLACE(vital_result, text);
SAME_PLACE(vital_result, phase_count);
SAME_PLACE(vital_result, phase_stride);
SAME_PLACE(vital_result, phases);
SAME_PLACE(vital_result, measure_count);
SAME_PLACE(vital_result, measure_stride);
SAME_PLACE(vital_result, measures);
SAME_PLACE(vital_result, fact_count);
SAME_PLACE(vital_result, fact_stride);
SAME_PLACE(vital_result, facts);
// vital_host
SAME_PLACE(vital_host, size);
SAME_PLACE(vital_host, abi_major);
SAME_PLACE(vital_host, abi_minor);
SAME_PLACE(vital_host, finish);
SAME_PLACE(vital_host, service);
// vital_module
SAME_PLACE(vital_module, size);
SAME_PLACE(vital_module, magic);
SAME_PLACE(vital_module, abi_major);
SAME_PLACE(vital_module, abi_minor);
SAME_PLACE(vital_module, kind);
SAME_PLACE(vital_module, type);
SAME_PLACE(vital_module, version);
SAME_PLACE(vital_module, summary);
SAME_PLACE(vital_module, option_count);
SAME_PLACE(vital_module, option_stride);
SAME_PLACE(vital_module, options);
SAME_PLACE(vital_module, create);
SAME_PLACE(vital_module, destroy);
SAME_PLACE(vital_module, probe);
SAME_PLACE(vital_module, cancel);
// vital_loop
SAME_PLACE(vital_loop, size);
SAME_PLACE(vital_loop, now);
SAME_PLACE(vital_loop, watch);
SAME_PLACE(vital_loop, change);
SAME_PLACE(vital_loop, unwatch);
SAME_PLACE(vital_loop, timer);
SAME_PLACE(vital_loop, disarm);
// vital_log
SAME_PLACE(vital_log, size);
SAME_PLACE(vital_log, write);
// vital_addresses
SAME_PLACE(vital_addresses, size);
SAME_PLACE(vital_addresses, status);
SAME_PLACE(vital_addresses, count);
SAME_PLACE(vital_addresses, addresses);
SAME_PLACE(vital_addresses, text);
// vital_resolve
SAME_PLACE(vital_resolve, size);
SAME_PLACE(vital_resolve, resolve);
SAME_PLACE(vital_resolve, withdraw);
// vital_command
SAME_PLACE(vital_command, size);
SAME_PLACE(vital_command, output_limit);
SAME_PLACE(vital_command, argv);
SAME_PLACE(vital_command, environment);
SAME_PLACE(vital_command, directory);
SAME_PLACE(vital_command, input);
SAME_PLACE(vital_command, input_size);
SAME_PLACE(vital_command, timeout_ns);
// vital_ended
SAME_PLACE(vital_ended, size);
SAME_PLACE(vital_ended, how);
SAME_PLACE(vital_ended, code);
SAME_PLACE(vital_ended, flags);
SAME_PLACE(vital_ended, output);
SAME_PLACE(vital_ended, output_size);
SAME_PLACE(vital_ended, errors);
SAME_PLACE(vital_ended, errors_size);
SAME_PLACE(vital_ended, took_ns);
SAME_PLACE(vital_ended, text);
// vital_spawn
SAME_PLACE(vital_spawn, size);
SAME_PLACE(vital_spawn, start);
SAME_PLACE(vital_spawn, give_up);

SAME_NUMBER(VITAL_PASS);
SAME_NUMBER(VITAL_WARN);
SAME_NUMBER(VITAL_FAIL);
SAME_NUMBER(VITAL_UNKNOWN);
SAME_NUMBER(VITAL_CAUSE_NONE);
SAME_NUMBER(VITAL_CAUSE_TIMEOUT);
SAME_NUMBER(VITAL_CAUSE_REFUSED);
SAME_NUMBER(VITAL_CAUSE_UNREACHABLE);
SAME_NUMBER(VITAL_CAUSE_DNS);
SAME_NUMBER(VITAL_CAUSE_TLS);
SAME_NUMBER(VITAL_CAUSE_AUTH);
SAME_NUMBER(VITAL_CAUSE_PROTOCOL);
SAME_NUMBER(VITAL_CAUSE_CONTENT);
SAME_NUMBER(VITAL_CAUSE_ROLE);
SAME_NUMBER(VITAL_CAUSE_LATENCY);
SAME_NUMBER(VITAL_CAUSE_CONFIG);
SAME_NUMBER(VITAL_CAUSE_AGENT);
SAME_NUMBER(VITAL_PHASE_RESOLVE);
SAME_NUMBER(VITAL_PHASE_CONNECT);
SAME_NUMBER(VITAL_PHASE_TLS);
SAME_NUMBER(VITAL_PHASE_AUTH);
SAME_NUMBER(VITAL_PHASE_EXCHANGE);
SAME_NUMBER(VITAL_LOG_DEBUG);
SAME_NUMBER(VITAL_LOG_INFO);
SAME_NUMBER(VITAL_LOG_WARNING);
SAME_NUMBER(VITAL_LOG_ERROR);
SAME_NUMBER(VITAL_TYPE_STRING);
SAME_NUMBER(VITAL_TYPE_INTEGER);
SAME_NUMBER(VITAL_TYPE_NUMBER);
SAME_NUMBER(VITAL_TYPE_BOOLEAN);
SAME_NUMBER(VITAL_TYPE_DURATION);
SAME_NUMBER(VITAL_TYPE_SIZE);
SAME_NUMBER(VITAL_TYPE_SIZE_OR_PERCENT);
SAME_NUMBER(VITAL_TYPE_CHOICE);
SAME_NUMBER(VITAL_TYPE_LIST);
SAME_NUMBER(VITAL_TYPE_MAP);
SAME_NUMBER(VITAL_OPTION_REQUIRED);
SAME_NUMBER(VITAL_OPTION_SECRET);
SAME_NUMBER(VITAL_BLOCKING);
SAME_NUMBER(VITAL_ASYNC);
SAME_NUMBER(VITAL_READABLE);
SAME_NUMBER(VITAL_WRITABLE);
SAME_NUMBER(VITAL_HANGUP);
SAME_NUMBER(VITAL_RESOLVED);
SAME_NUMBER(VITAL_RESOLVE_NOT_FOUND);
SAME_NUMBER(VITAL_RESOLVE_UNAVAILABLE);
SAME_NUMBER(VITAL_RESOLVE_TIMEOUT);
SAME_NUMBER(VITAL_SPAWN_OUTPUT_MAX);
SAME_NUMBER(VITAL_SPAWN_INPUT_MAX);
SAME_NUMBER(VITAL_SPAWN_RUNNING_MAX);
SAME_NUMBER(VITAL_SPAWN_EXITED);
SAME_NUMBER(VITAL_SPAWN_SIGNALLED);
SAME_NUMBER(VITAL_SPAWN_TIMED_OUT);
SAME_NUMBER(VITAL_SPAWN_NOT_STARTED);
SAME_NUMBER(VITAL_SPAWN_OUTPUT_CUT);
SAME_NUMBER(VITAL_SPAWN_LEFT_CHILDREN);

// What we ask of a foreign struct is what the first header had, for ever.
static_assert(vital::worker::base_size<::vital_module> == sizeof(first::vital_module));
static_assert(vital::worker::base_size<::vital_option> == sizeof(first::vital_option));
static_assert(vital::worker::base_size<::vital_result> == sizeof(first::vital_result));
static_assert(vital::worker::base_size<::vital_phase> == sizeof(first::vital_phase));
static_assert(vital::worker::base_size<::vital_measure> == sizeof(first::vital_measure));
static_assert(vital::worker::base_size<::vital_fact> == sizeof(first::vital_fact));

using namespace vital;
using namespace vital::test;

namespace {

Registry registry() { return Registry({{TEST_MODULES}, {}, TEST_WORKER, 10s}); }

}  // namespace

TEST_CASE("a module built with the first header declares what it declared") {
  Registry all = registry();
  std::string why;
  const auto info = all.describe("frozen_0_1", &why);
  INFO(why);
  REQUIRE(info != nullptr);
  REQUIRE(info->options.size() == 11);
  for (std::uint8_t type = 0; type < 10; ++type) CHECK(info->options[type].type == static_cast<OptionType>(type));
  CHECK(info->options[0].is_required);
  CHECK(info->options[1].range == std::pair(1.0, 10.0));
  CHECK(info->options[7].choices == std::vector<std::string>{"red", "green"});
  CHECK(info->options[10].is_secret);
}

TEST_CASE("a module built with the first header probes, and refuses options, as it did") {
  BenchCore core;
  const Outcome good = core.run(make_spec("c", "frozen_0_1", Lane::blocking, {{"text", "a"}, {"integer", "7"}}), 10s);
  CHECK(word(good) == "pass/none");
  CHECK(good.result.text == "as in the first days");
  CHECK(good.result.phases.size() == 1);
  REQUIRE(good.result.measures.size() == 1);
  CHECK(good.result.measures[0].value == 2);
  CHECK(good.result.facts.size() == 1);
  const Outcome bad = core.run(make_spec("d", "frozen_0_1", Lane::blocking, {{"text", "refuse"}}), 10s);
  CHECK(word(bad) == "unknown/config");
  CHECK(bad.result.text == "text: is refused; write another");
}

TEST_CASE("an async module built with the first headers finds every service it knew") {
  BenchCore core;
  const auto spec = make_spec("c", "frozen_async_0_1", Lane::async, {}, false);
  for (int round = 0; round < 5; ++round) {
    const Outcome outcome = core.run(spec, 10s);
    INFO(outcome.result.text);
    CHECK(word(outcome) == "pass/none");
  }
  for (int round = 0; round < 20; ++round) {
    const auto id = core.start(spec, 10s);
    core.turn(std::chrono::microseconds(300 * round));
    if (!core.outcomes.contains(id)) core.pool().abandon(ProbeId(id));
  }
  CHECK(word(core.run(spec, 10s)) == "pass/none");
  CHECK(core.pool().stats().started == 1);
}

TEST_CASE("a module of a minor version to come loads, and what we do not know of it is left alone") {
  Registry all = registry();
  std::string why;
  const auto info = all.describe("future", &why);
  INFO(why);
  REQUIRE(info != nullptr);
  REQUIRE(info->options.size() == 2);
  CHECK(info->options[1].name == "second");
  CHECK(info->options[1].range == std::pair(1.0, 3.0));
  CHECK_FALSE(info->options[1].is_required);
  BenchCore core;
  const Outcome outcome = core.run(make_spec("c", "future", Lane::blocking), 10s);
  CHECK(word(outcome) == "warn/latency");
  CHECK(outcome.result.phases == std::vector<std::pair<Phase, Duration>>{{Phase::connect, 11ns}, {Phase::auth, 13ns}});
  REQUIRE(outcome.result.measures.size() == 2);
  CHECK(outcome.result.measures[1].name == "two");
  CHECK(outcome.result.facts.size() == 2);
}

TEST_CASE("a table that lies costs one line that says what is wrong") {
  struct Case {
    const char* type;
    std::string_view expected;  // empty: it is fine
  };
  constexpr std::string_view stride = "has a broken option table: wrong size or stride";
  constexpr std::string_view functions = "has a broken table: create, destroy, probe and (if async) cancel are needed";
  const Case cases[] = {
      {"stride_of_one", stride},
      {"stride_of_gigabytes", stride},
      {"element_beyond_stride", stride},
      {"element_of_four_bytes", stride},
      {"no_array", stride},
      {"ten_thousand_options", "declares 10000 options, at most 256"},
      {"no_option_name", "has an option called '': use a-z, 0-9, _ and ."},
      {"endless_option_name", "has an option called 'aaaaaaaaaa"},
      {"two_of_one_name", "declares the option 'name' twice"},
      {"dot_at_the_end", "has an option called 'name.': use a-z, 0-9, _ and ."},
      {"unknown_type", "option 'name' has the unknown type 99"},
      {"empty_range", "option 'name' has an empty range"},
      {"choice_without_choices", "option 'name' is a choice without choices"},
      {"no_type", "declares the type '': call the file .so, or the type 'lies_no_type'"},
      {"no_texts", ""},
      {"no_probe", functions},
      {"unknown_kind", "has the unknown kind 7"},
      {"refuses", "does not work with module ABI 0.1, which this vitald speaks: get one made for it"},
      {"table_nowhere", "crashed (signal 11) while it was loaded"},
      {"table_of_eight_bytes", "is not a vitald module: its magic is 0x00000000, expected 0x314c5456"},
  };
  Registry all = registry();
  for (const Case& c : cases) {
    INFO(c.type);
    std::string why;
    const auto info = all.describe(std::string("lies_") + c.type, &why);
    CHECK((info != nullptr) == c.expected.empty());
    if (c.expected.empty()) continue;
    CHECK(why.find(module_path(std::string("lies_") + c.type) + " " + std::string(c.expected)) == 0);
    CHECK(why.find('\n') == std::string::npos);
    CHECK(why.size() < 400);
  }
}
