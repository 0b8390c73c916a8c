// Fuzz target: any text as a composite's rule. It parses or gets an error that points into it, and what parses has a
// value for known and unknown inputs alike. The first byte chooses the inputs.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/expression.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using vital::Expression;
  if (size == 0) return 0;
  const unsigned seed = data[0];
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto parsed = Expression::parse(text);
  if (const auto* error = std::get_if<Expression::Error>(&parsed)) {
    if (error->at > text.size() || error->text.empty()) std::abort();
    return 0;
  }
  const auto& expression = std::get<Expression>(parsed);
  const auto value = [&](std::size_t i) -> Expression::Value {
    switch ((seed + i) % 5) {
      case 0:
        return std::monostate{};
      case 1:
        return static_cast<double>(seed) - 100;
      case 2:
        return std::string("standby");
      case 3:
        return std::string("12.5");
      default:
        return std::nan("");
    }
  };
  const auto first = expression.judge(value), again = expression.judge(value);
  if (first != again) std::abort();
  // With nothing known a condition may still hold, but knowing nothing never contradicts knowing all.
  const auto blind = expression.judge([](std::size_t) { return Expression::Value(); });
  bool asks = false;
  for (const char c : text) asks = asks || c == 'k';  // known() is about knowing itself
  if (!asks && blind && first && *blind != *first) std::abort();
  return 0;
}
