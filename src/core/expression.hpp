// Expression: a condition over what other checks found, as a composite check's rule: `db.lag < 10 and db.role ==
// standby`. Parsed once, with its mistakes found then; judged as often as wanted, in three values: what is not known
// makes the condition unknown, unless the rest of it decides alone. Total: every text parses or gets one error, every
// parsed expression has a value for all inputs, in time and space bounded by its size. Pure. The language is in
// docs/checks/composite.md.
//
//   auto parsed = Expression::parse("db.lag < 10s");
//   if (const auto* e = std::get_if<Expression>(&parsed)) e->judge([&](std::size_t i) { return
//   value_of(e->references()[i]); });
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace vital {

class Expression {
 public:
  static constexpr std::size_t max_text = 4096;
  static constexpr std::size_t max_nodes = 500;
  static constexpr std::size_t max_depth = 64;  // of parentheses, signs and nots

  // Something another check found: "db", "lag".
  struct Reference {
    std::string check, field;
    bool operator==(const Reference&) const = default;
  };
  // A number or a text; nothing where it is not known.
  using Value = std::variant<std::monostate, double, std::string>;
  using Lookup = std::function<Value(std::size_t reference)>;

  struct Error {
    std::size_t at = 0;  // byte of the text, from 0
    std::string text;    // what is wrong, and what to write instead
  };

  static std::variant<Expression, Error> parse(std::string_view text);

  // What it looks at, each once, in the order written.
  const std::vector<Reference>& references() const { return references_; }
  // Whether it holds; empty if that is not known.
  std::optional<bool> judge(const Lookup& lookup) const;

 private:
  friend class ExpressionParser;
  enum class Op : std::uint8_t {
    number,
    text,
    reference,
    truth,
    known,
    negate,
    add,
    subtract,
    multiply,
    divide,
    minimum,
    maximum,
    absolute,
    less,
    less_or_equal,
    greater,
    greater_or_equal,
    equal,
    unequal,
    negation,
    conjunction,
    disjunction
  };
  struct Node {
    Op op = Op::truth;
    double number = 0;           // number; truth: 1 or 0; reference, known: index of it
    std::string text;            // text
    std::uint32_t a = 0, b = 0;  // operands, which come before the node itself
  };

  std::vector<Node> nodes_;  // the last one is the whole
  std::vector<Reference> references_;
};

}  // namespace vital
