// A module's table with anything in it: what is read stays within what the table says, and what comes out is sound or
// refused in one line. The dice are always the same.
#include <vitald/module.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "probe/worker/module_table.hpp"

using namespace vital;

namespace {

constexpr std::size_t max_stride = 16 * 1024;  // as the reader has it
constexpr std::size_t max_options = 256;

class Dice {
 public:
  explicit Dice(unsigned seed) : random_(seed) {}
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
  bool rarely() { return below(12) == 0; }
  std::uint32_t size(std::uint32_t honest) {
    const std::uint32_t lies[] = {0, 1, 4, 7, honest - 1, honest + 8, 4096, 0x7fffffff, 0xffffffff};
    return rarely() ? lies[below(9)] : honest;
  }
  const char* text(const std::vector<std::string>& words) {
    return rarely() ? nullptr : words[below(static_cast<std::uint32_t>(words.size()))].c_str();
  }
  double number() {
    const double numbers[] = {
        0, 1, -1, 1e300, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()};
    return numbers[below(6)];
  }

 private:
  std::mt19937 random_;
};

int create(const vital_host*, const vital_values*, void**, vital_error*) { return 1; }
void destroy(void*) {}
void probe(void*, const vital_probe*) {}

}  // namespace

TEST_CASE("a table of dice is refused in one line or read as something sound") {
  Dice dice(2024);
  const std::vector<std::string> words{
      "a",        "b",     "c.d", "",  ".", "UPPER", "with space", "x\ny", std::string(300, 'n'),
      "\xff\xfe", "table", "e",   "f", "g", "h"};
  const char* const choices[] = {"one", "two", nullptr};
  // As large as the largest array the reader may believe in.
  std::vector<char> memory(max_options * max_stride + sizeof(vital_option));
  unsigned refused = 0;
  unsigned taken = 0;
  for (int round = 0; round < 20'000; ++round) {
    vital_module table{};
    table.size = dice.size(sizeof table);
    table.magic = dice.rarely() ? dice.below(1000) : VITAL_ABI_MAGIC;
    table.abi_major = dice.rarely() ? dice.below(9) : VITAL_ABI_MAJOR;
    table.abi_minor = dice.below(99);
    table.kind = dice.rarely() ? dice.below(5) : 0U + VITAL_BLOCKING;
    table.type = dice.rarely() ? dice.text(words) : "table";
    table.version = dice.text(words);
    table.summary = dice.text(words);
    table.option_count = dice.rarely() ? dice.size(10'000) : dice.below(5);
    table.option_stride = dice.rarely() ? dice.below(max_stride + 100) : dice.size(sizeof(vital_option));
    table.options = dice.rarely() ? nullptr : reinterpret_cast<const vital_option*>(memory.data());
    table.create = dice.rarely() ? nullptr : create;
    table.destroy = destroy;
    table.probe = probe;
    // Honest elements where the stride says they are, as far as there is room.
    const std::size_t stride = table.option_stride;
    for (std::size_t i = 0; i < std::min<std::size_t>(table.option_count, 8); ++i) {
      vital_option o{};
      o.size = dice.size(sizeof o);
      o.type = dice.rarely() ? dice.below(50) : dice.below(10);
      o.flags = dice.below(8);
      o.name = dice.text(words);
      o.default_value = dice.text(words);
      o.choices = dice.below(2) == 0 ? choices : nullptr;
      o.has_range = dice.below(3);
      o.min = dice.number();
      o.max = dice.number();
      o.help = dice.text(words);
      o.example = dice.text(words);
      if ((i + 1) * stride + sizeof o <= memory.size()) std::memcpy(memory.data() + i * stride, &o, sizeof o);
    }
    vital_module copy{};
    ModuleInfo info;
    const std::string problem = worker::read_table(&table, "table", copy, info);
    CHECK(problem.find('\n') == std::string::npos);
    CHECK(problem.size() < 500);
    if (!problem.empty()) {
      ++refused;
      continue;
    }
    ++taken;
    CHECK(info.type == "table");
    CHECK(info.options.size() == table.option_count);
    std::set<std::string> names;
    for (const OptionSpec& o : info.options) {
      CHECK(names.insert(o.name).second);
      CHECK(o.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.") == std::string::npos);
      CHECK((o.type != OptionType::choice || !o.choices.empty()));
      CHECK((!o.range || o.range->first <= o.range->second));
      CHECK(o.help.find('\n') == std::string::npos);
    }
  }
  // The dice are fair to both.
  CHECK(refused > 1000);
  CHECK(taken > 1000);
}
