// Thompson's construction and Pike's simulation, without captures; see pattern.hpp.
#include "pattern.hpp"

#include <cctype>
#include <optional>
#include <utility>

namespace vital::net {

using Class = std::bitset<256>;

// A recursive-descent parser that emits instructions as it goes. Fragments are moved by copying: programs are small.
class PatternCompiler {
 public:
  PatternCompiler(std::string_view text, Pattern& out) : text_(text), out_(out) {}

  void run() {
    if (text_.size() > 4096) throw Pattern::Error("the pattern is longer than 4,096 bytes");
    flags();
    Code code = alternatives(0);
    if (at_ < text_.size()) fail("a ) without its (");
    code.push_back({Pattern::Op::found, 0, 0});
    out_.program_ = std::move(code);
  }

 private:
  using Code = std::vector<Pattern::Instruction>;  // jumps are relative until link()
  using Op = Pattern::Op;

  [[noreturn]] void fail(const std::string& what) const {
    throw Pattern::Error("the pattern has " + what + " at position " + std::to_string(at_ + 1));
  }
  bool more() const { return at_ < text_.size(); }
  char peek() const { return text_[at_]; }
  bool take(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  void flags() {
    if (text_.substr(0, 2) != "(?") return;
    const size_t close = text_.find(')');
    if (close == std::string_view::npos || close == 2) return;
    for (size_t i = 2; i < close; ++i) {
      if (text_[i] != 'i' && text_[i] != 'm' && text_[i] != 's') return;
    }
    for (size_t i = 2; i < close; ++i) {
      if (text_[i] == 'i') ignores_case_ = true;
      if (text_[i] == 'm') is_multiline_ = true;
      if (text_[i] == 's') dot_takes_newline_ = true;
    }
    at_ = close + 1;
  }

  // Relative jumps keep fragments movable: `a` and `b` of split and jump are offsets from the instruction itself.
  static uint32_t relative(ptrdiff_t offset) { return static_cast<uint32_t>(offset); }
  void append(Code& to, const Code& code) const {
    if (to.size() + code.size() > Pattern::max_size) {
      throw Pattern::Error("the pattern is too large: it needs more than " + std::to_string(Pattern::max_size) +
                           " steps; make its repetitions smaller");
    }
    to.insert(to.end(), code.begin(), code.end());
  }

  Code alternatives(int depth) {
    if (depth > 50) fail("more than 50 nested groups");
    Code left = sequence(depth);
    while (take("|")) {
      const Code right = sequence(depth);
      Code both{{Op::split, 1, relative(static_cast<ptrdiff_t>(left.size()) + 2)}};
      append(both, left);
      both.push_back({Op::jump, relative(static_cast<ptrdiff_t>(right.size()) + 1), 0});
      append(both, right);
      left = std::move(both);
    }
    return left;
  }

  Code sequence(int depth) {
    Code all;
    while (more() && peek() != '|' && peek() != ')') append(all, repeated(depth));
    return all;
  }

  Code repeated(int depth) {
    Code one = atom(depth);
    while (more()) {
      int least = 0;
      int most = -1;
      if (take("*")) {
      } else if (take("+")) {
        least = 1;
      } else if (take("?")) {
        most = 1;
      } else if (!counted(least, most)) {
        break;
      }
      take("?");  // lazy: which of several matches is taken makes no difference here
      one = repeat(one, least, most);
    }
    return one;
  }

  // {2}, {2,}, {2,5}; a brace that is none of these is a plain sign.
  bool counted(int& least, int& most) {
    if (peek() != '{') return false;
    size_t i = at_ + 1;
    const auto number = [&]() -> int {
      int value = -1;
      for (; i < text_.size() && text_[i] >= '0' && text_[i] <= '9'; ++i) {
        value = (value < 0 ? 0 : value) * 10 + (text_[i] - '0');
        if (value > 1000) fail("a repetition above 1,000");
      }
      return value;
    };
    least = number();
    if (least < 0) return false;
    most = least;
    if (i < text_.size() && text_[i] == ',') {
      ++i;
      most = number();
    }
    if (i >= text_.size() || text_[i] != '}') return false;
    if (most >= 0 && most < least) fail("a repetition whose second number is below its first");
    at_ = i + 1;
    return true;
  }

  Code repeat(const Code& one, int least, int most) const {
    Code all;
    for (int i = 0; i < least; ++i) append(all, one);
    const auto size = static_cast<ptrdiff_t>(one.size());
    if (most < 0) {
      Code loop{{Op::split, 1, relative(size + 2)}};
      append(loop, one);
      loop.push_back({Op::jump, relative(-size - 1), 0});
      append(all, loop);
    } else {
      for (int i = least; i < most; ++i) {
        Code maybe{{Op::split, 1, relative(size + 1)}};
        append(maybe, one);
        append(all, maybe);
      }
    }
    return all;
  }

  Code atom(int depth) {
    const char c = peek();
    switch (c) {
      case '(': {
        ++at_;
        if (take("?")) {
          if (take("P<") || (text_.substr(at_, 2) != "<=" && text_.substr(at_, 2) != "<!" && take("<"))) {
            const size_t close = text_.find('>', at_);
            if (close == std::string_view::npos) fail("a group name without its >");
            at_ = close + 1;
          } else if (!take(":")) {
            fail("a (? that is not (?: or flags at the beginning; look-around is not supported,");
          }
        }
        Code inside = alternatives(depth + 1);
        if (!take(")")) fail("a ( without its )");
        return inside;
      }
      case '[':
        return bytes(set());
      case '.': {
        ++at_;
        Class all = Class().set();
        if (!dot_takes_newline_) all.reset('\n');
        return bytes(all);
      }
      case '^':
        ++at_;
        return {{is_multiline_ ? Op::line_begin : Op::begin, 0, 0}};
      case '$':
        ++at_;
        return {{is_multiline_ ? Op::line_end : Op::end, 0, 0}};
      case '*':
      case '+':
      case '?':
        fail(std::string("a ") + c + " with nothing to repeat");
      case '\\': {
        ++at_;
        if (!more()) fail("a \\ with nothing behind it");
        if (take("b")) return {{Op::edge, 0, 0}};
        if (take("B")) return {{Op::not_edge, 0, 0}};
        if (take("A")) return {{Op::begin, 0, 0}};
        if (take("z") || take("Z")) return {{Op::end, 0, 0}};
        return bytes(escaped());
      }
      default: {
        ++at_;
        Class one;
        one.set(static_cast<unsigned char>(c));
        return bytes(one);
      }
    }
  }

  Code bytes(Class wanted) {
    if (ignores_case_) {
      for (size_t c = 'a'; c <= 'z'; ++c) {
        const size_t upper = c - 'a' + 'A';
        if (wanted.test(c) || wanted.test(upper)) wanted.set(c).set(upper);
      }
    }
    if (negates_) {
      wanted.flip();
      negates_ = false;
    }
    for (size_t i = 0; i < out_.classes_.size(); ++i) {
      if (out_.classes_[i] == wanted) return {{Op::bytes, static_cast<uint32_t>(i), 0}};
    }
    out_.classes_.push_back(wanted);
    return {{Op::bytes, static_cast<uint32_t>(out_.classes_.size() - 1), 0}};
  }

  static Class where(int (*is)(int)) {
    Class out;
    for (int c = 0; c < 128; ++c) {
      if (is(c) != 0) out.set(static_cast<size_t>(c));
    }
    return out;
  }
  static Class word() {
    return where([](int c) { return c == '_' ? 1 : std::isalnum(c); });
  }

  // Behind the backslash.
  Class escaped() {
    const char c = text_[at_++];
    Class one;
    switch (c) {
      case 'd':
        return where(std::isdigit);
      case 'D':
        return ~where(std::isdigit);
      case 'w':
        return word();
      case 'W':
        return ~word();
      case 's':
        return where(std::isspace);
      case 'S':
        return ~where(std::isspace);
      case 'r':
        return one.set('\r');
      case 'n':
        return one.set('\n');
      case 't':
        return one.set('\t');
      case 'f':
        return one.set('\f');
      case 'v':
        return one.set('\v');
      case 'x': {
        unsigned value = 0;
        for (int i = 0; i < 2; ++i, ++at_) {
          if (!more() || std::isxdigit(static_cast<unsigned char>(peek())) == 0) fail("a \\x without two hex digits");
          const char digit = static_cast<char>(std::tolower(peek()));
          value = value * 16 + static_cast<unsigned>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
        }
        return one.set(value);
      }
      default:
        if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
          --at_;
          fail(std::isdigit(static_cast<unsigned char>(c)) != 0 ? "a back reference, which is not supported,"
                                                                : std::string("an unknown escape \\") + c);
        }
        return one.set(static_cast<unsigned char>(c));
    }
  }

  Class set() {
    const size_t opened = at_++;
    const bool is_negated = take("^");
    Class all;
    bool is_first = true;
    for (;; is_first = false) {
      if (!more()) {
        at_ = opened;
        fail("a [ without its ]");
      }
      if (peek() == ']' && !is_first) break;
      if (text_.substr(at_, 2) == "[:") {
        all |= named();
        continue;
      }
      const Class from = member();
      if (from.count() == 1 && at_ + 1 < text_.size() && peek() == '-' && text_[at_ + 1] != ']') {
        ++at_;
        const Class to = member();
        if (to.count() != 1) fail("a range that does not end in one sign");
        const size_t low = first(from);
        const size_t high = first(to);
        if (low > high) fail("a range whose end lies before its beginning");
        for (size_t c = low; c <= high; ++c) all.set(c);
      } else {
        all |= from;
      }
    }
    ++at_;
    negates_ = is_negated;  // after case is folded: [^a] with (?i) excludes A too
    return all;
  }
  static size_t first(const Class& one) {
    size_t i = 0;
    while (!one.test(i)) ++i;
    return i;
  }
  Class member() {
    const char c = peek();
    if (c == '\\') {
      ++at_;
      if (!more()) fail("a \\ with nothing behind it");
      return escaped();
    }
    if (static_cast<unsigned char>(c) >= 0x80) fail("a sign outside ASCII within [ ]; write (a|b) instead,");
    ++at_;
    Class one;
    return one.set(static_cast<unsigned char>(c));
  }
  Class named() {
    static constexpr std::pair<std::string_view, int (*)(int)> names[] = {
        {"[:alpha:]", std::isalpha}, {"[:digit:]", std::isdigit},  {"[:alnum:]", std::isalnum},
        {"[:upper:]", std::isupper}, {"[:lower:]", std::islower},  {"[:space:]", std::isspace},
        {"[:punct:]", std::ispunct}, {"[:xdigit:]", std::isxdigit}};
    for (const auto& [name, is] : names) {
      if (take(name)) return where(is);
    }
    fail("an unknown [:class:]");
  }

  std::string_view text_;
  Pattern& out_;
  size_t at_ = 0;
  bool ignores_case_ = false;
  bool is_multiline_ = false;
  bool dot_takes_newline_ = false;
  bool negates_ = false;
};

Pattern::Pattern(std::string_view text) { PatternCompiler(text, *this).run(); }

Pattern::Search::Search(const Pattern& pattern) : pattern_(pattern) {
  now_.where.resize(pattern.program_.size());
  later_.where.resize(pattern.program_.size());
  follow(now_, 0, not_yet);
}

// Whether it needs to know the next byte.
bool Pattern::Search::waits(uint32_t pc) const {
  const Op op = pattern_.program_[pc].op;
  return op == Op::end || op == Op::line_end || op == Op::edge || op == Op::not_edge;
}

// Whether what stands at `pc`, which reads no byte, lets us pass between previous_ and `next`.
bool Pattern::Search::holds(uint32_t pc, int next) const {
  const auto is_word = [](int c) { return c == '_' || (c >= 0 && c < 128 && std::isalnum(c) != 0); };
  switch (pattern_.program_[pc].op) {
    case Op::begin:
      return previous_ == nothing;
    case Op::line_begin:
      return previous_ == nothing || previous_ == '\n';
    case Op::end:
      return next == nothing;
    case Op::line_end:
      return next == nothing || next == '\n';
    case Op::edge:
      return is_word(previous_) != is_word(next);
    case Op::not_edge:
      return is_word(previous_) == is_word(next);
    case Op::bytes:
    case Op::split:
    case Op::jump:
    case Op::found:
      break;
  }
  return false;
}

// Adds `pc` and all that is reached from it without reading. What depends on a next byte that is not known yet stays
// in the set as it is, until settle().
void Pattern::Search::follow(Set& set, uint32_t pc, int next) {
  todo_.push_back(pc);
  while (!todo_.empty() && !is_found_) {
    const uint32_t here = todo_.back();
    todo_.pop_back();
    if (set.has(here)) continue;
    const Instruction& i = pattern_.program_[here];
    if (i.op == Op::found) {
      is_found_ = true;
    } else if (i.op == Op::bytes || (waits(here) && next == not_yet)) {
      set.add(here);
    } else if (i.op == Op::jump || i.op == Op::split) {
      set.add(here);
      if (i.op == Op::split) todo_.push_back(here + i.b);
      todo_.push_back(here + i.a);
    } else if (holds(here, next)) {
      todo_.push_back(here + 1);
    }
  }
  todo_.clear();
}

// The next byte (or the end) is known: resolve what waited for it.
void Pattern::Search::settle(int next) {
  for (size_t k = 0; k < now_.members.size() && !is_found_; ++k) {
    const uint32_t pc = now_.members[k];
    if (waits(pc) && holds(pc, next)) follow(now_, pc + 1, next);
  }
}

bool Pattern::Search::feed(std::string_view piece) {
  for (const char c : piece) {
    if (is_found_) break;
    const int byte = static_cast<unsigned char>(c);
    settle(byte);
    if (is_found_) break;
    previous_ = byte;
    later_.members.clear();
    for (const uint32_t pc : now_.members) {
      const Instruction& i = pattern_.program_[pc];
      if (i.op == Op::bytes && pattern_.classes_[i.a].test(static_cast<size_t>(byte))) {
        follow(later_, pc + 1, not_yet);
        if (is_found_) break;
      }
    }
    follow(later_, 0, not_yet);  // a match may begin anywhere
    std::swap(now_, later_);
  }
  return is_found_;
}

bool Pattern::Search::end() {
  if (!is_found_) settle(nothing);
  return is_found_;
}

}  // namespace vital::net
