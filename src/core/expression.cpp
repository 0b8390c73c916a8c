// See expression.hpp. The nodes stand in the order they are computed in, so that judging is one loop without recursion.
#include "core/expression.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace vital {

namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

struct Unit {
  std::string_view name;
  double factor;
};
constexpr Unit units[] = {
    {"ms", 1e-3}, {"s", 1},        {"m", 60},          {"h", 3600},           {"d", 86400},
    {"%", 1},     {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}, {"TiB", 1099511627776.0},
    {"KB", 1e3},  {"MB", 1e6},     {"GB", 1e9},        {"TB", 1e12}};

std::optional<double> number_of(std::string_view text) {
  double out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(out)) return {};
  return out;
}

std::string quoted(std::string_view text) { return "'" + std::string(text.substr(0, 40)) + "'"; }

}  // namespace

// Recursive descent; what may follow what is also what has which type.
class ExpressionParser {
 public:
  explicit ExpressionParser(std::string_view text) : text_(text) {}

  std::variant<Expression, Expression::Error> run() {
    if (text_.size() > Expression::max_text) return Expression::Error{0, "is longer than 4096 characters; split it"};
    try {
      advance();
      if (token_ == Token::end) fail("is empty; write a condition, such as db.lag < 10s");
      const Part whole = disjunction();
      if (token_ != Token::end) fail("there is " + shown() + " after the condition; write and, or, or nothing");
      need_condition(whole);
    } catch (const Expression::Error& error) {
      return error;
    }
    return std::move(out_);
  }

 private:
  using Op = Expression::Op;
  enum class Token { end, number, text, name, symbol };
  enum class Kind { condition, number, text, any };
  // A node, what it is, and where it began.
  struct Part {
    std::uint32_t node;
    Kind kind;
    std::size_t at;
  };

  [[noreturn]] void fail(std::string what) const { throw Expression::Error{at_, std::move(what)}; }
  [[noreturn]] static void fail_at(std::size_t at, std::string what) { throw Expression::Error{at, std::move(what)}; }
  std::string shown() const { return token_ == Token::end ? "nothing" : quoted(text_.substr(at_, next_ - at_)); }

  // ---- tokens ----

  void advance() {
    while (next_ < text_.size() && std::string_view(" \t\r\n").find(text_[next_]) != std::string_view::npos) ++next_;
    at_ = next_;
    if (next_ == text_.size()) {
      token_ = Token::end;
      word_.clear();
      return;
    }
    const char c = text_[next_];
    if (is_digit(c)) return read_number();
    if (is_letter(c)) return read_name();
    if (c == '\'' || c == '"') return read_text(c);
    token_ = Token::symbol;
    for (const std::string_view two : {"<=", ">=", "==", "!="}) {
      if (text_.substr(next_, 2) == two) {
        word_ = two;
        next_ += 2;
        return;
      }
    }
    word_ = c;
    ++next_;
    if (c == '=') fail("'=' is no comparison; write ==");
    if (std::string_view("<>()+-*/,.").find(c) == std::string_view::npos) {
      const bool is_plain = c > ' ' && c < 0x7f;
      fail(is_plain ? quoted(word_) + " means nothing here"
                    : "this character means nothing here; put texts into quotes");
    }
  }

  void read_number() {
    token_ = Token::number;
    const std::size_t begin = next_;
    while (next_ < text_.size() && (is_digit(text_[next_]) || text_[next_] == '.')) ++next_;
    const auto value = number_of(text_.substr(begin, next_ - begin));
    if (!value) fail(shown() + " is no number");
    const std::size_t unit = next_;
    while (next_ < text_.size() && (is_letter(text_[next_]) || is_digit(text_[next_]) || text_[next_] == '%')) ++next_;
    const std::string_view suffix = text_.substr(unit, next_ - unit);
    number_ = *value;
    if (suffix.empty()) return;
    for (const Unit& u : units) {
      if (suffix == u.name) {
        number_ *= u.factor;
        return;
      }
    }
    fail(quoted(suffix) +
         " is no unit; write ms, s, m, h, d, KiB, MiB, GiB, TiB, KB, MB, GB, TB or %, or put the word into quotes");
  }

  // Names of checks have - and . in them; a minus has a space before or after it.
  void read_name() {
    token_ = Token::name;
    const std::size_t begin = next_;
    const auto goes_on = [&](char c) { return is_letter(c) || is_digit(c); };
    while (next_ < text_.size()) {
      const char c = text_[next_];
      const bool is_joined = (c == '-' || c == '.') && next_ + 1 < text_.size() && goes_on(text_[next_ + 1]);
      if (!goes_on(c) && !is_joined) break;
      ++next_;
    }
    word_ = text_.substr(begin, next_ - begin);
  }

  void read_text(char quote) {
    token_ = Token::text;
    const auto end = text_.find(quote, next_ + 1);
    if (end == std::string_view::npos) fail("a text begins here and does not end; write the closing quote");
    word_ = text_.substr(next_ + 1, end - next_ - 1);
    next_ = end + 1;
  }

  bool is_symbol(std::string_view s) const { return token_ == Token::symbol && word_ == s; }
  bool is_word(std::string_view s) const { return token_ == Token::name && word_ == s; }
  void need_symbol(std::string_view s) {
    if (!is_symbol(s)) fail("there is " + shown() + " where " + quoted(s) + " should be");
    advance();
  }

  // ---- nodes ----

  std::uint32_t add(Op op, std::uint32_t a = 0, std::uint32_t b = 0, double number = 0, std::string text = {}) {
    if (out_.nodes_.size() >= Expression::max_nodes) fail("is made of more than 500 parts; split it");
    out_.nodes_.push_back({op, number, std::move(text), a, b});
    return static_cast<std::uint32_t>(out_.nodes_.size() - 1);
  }

  std::uint32_t refer(Op op, Expression::Reference reference) {
    auto& all = out_.references_;
    auto found = std::find(all.begin(), all.end(), reference);
    if (found == all.end()) found = all.insert(all.end(), std::move(reference));
    return add(op, 0, 0, static_cast<double>(found - all.begin()));
  }

  static void need_condition(const Part& p) {
    if (p.kind != Kind::condition) fail_at(p.at, "this is a value and no condition; compare it with something");
  }
  static void need_number(const Part& p) {
    if (p.kind == Kind::condition) fail_at(p.at, "this is a condition and no number");
    if (p.kind == Kind::text) fail_at(p.at, "this is a text and no number; a check's value is written CHECK.NAME");
  }

  struct Deeper {
    explicit Deeper(ExpressionParser& parser) : depth(parser.depth_) {
      if (++depth > Expression::max_depth) parser.fail("is nested more than 64 deep; split it");
    }
    ~Deeper() { --depth; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;
    std::size_t& depth;
  };

  // ---- grammar, from what binds least ----

  Part disjunction() {
    Part left = conjunction();
    while (is_word("or")) left = join(Op::disjunction, left, &ExpressionParser::conjunction);
    return left;
  }
  Part conjunction() {
    Part left = negation();
    while (is_word("and")) left = join(Op::conjunction, left, &ExpressionParser::negation);
    return left;
  }
  Part join(Op op, const Part& left, Part (ExpressionParser::*next)()) {
    need_condition(left);
    advance();
    const Part right = (this->*next)();
    need_condition(right);
    return {add(op, left.node, right.node), Kind::condition, left.at};
  }

  Part negation() {
    if (!is_word("not")) return comparison();
    const Deeper deeper(*this);
    const std::size_t at = at_;
    advance();
    const Part operand = negation();
    need_condition(operand);
    return {add(Op::negation, operand.node), Kind::condition, at};
  }

  Part comparison() {
    const Part left = sum();
    struct Row {
      std::string_view symbol;
      Op op;
      bool is_order;
    };
    static constexpr Row rows[] = {{"<", Op::less, true},    {"<=", Op::less_or_equal, true},
                                   {">", Op::greater, true}, {">=", Op::greater_or_equal, true},
                                   {"==", Op::equal, false}, {"!=", Op::unequal, false}};
    const auto row = std::find_if(std::begin(rows), std::end(rows), [&](const Row& r) { return is_symbol(r.symbol); });
    if (row == std::end(rows)) return left;
    advance();
    const Part right = sum();
    for (const Part& p : {left, right}) {
      if (p.kind == Kind::condition) fail_at(p.at, "this is a condition; only values are compared");
      if (row->is_order && p.kind == Kind::text)
        fail_at(p.at, "texts have no order; write == or !=, or CHECK.NAME for a value of a check");
    }
    for (const Row& r : rows) {
      if (is_symbol(r.symbol)) fail("one comparison follows another; write a < b and b < c");
    }
    return {add(row->op, left.node, right.node), Kind::condition, left.at};
  }

  Part sum() {
    Part left = product();
    while (is_symbol("+") || is_symbol("-"))
      left = compute(is_symbol("+") ? Op::add : Op::subtract, left, &ExpressionParser::product);
    return left;
  }
  Part product() {
    Part left = sign();
    while (is_symbol("*") || is_symbol("/"))
      left = compute(is_symbol("*") ? Op::multiply : Op::divide, left, &ExpressionParser::sign);
    return left;
  }
  Part compute(Op op, const Part& left, Part (ExpressionParser::*next)()) {
    need_number(left);
    advance();
    const Part right = (this->*next)();
    need_number(right);
    return {add(op, left.node, right.node), Kind::number, left.at};
  }

  Part sign() {
    if (!is_symbol("-")) return primary();
    const Deeper deeper(*this);
    const std::size_t at = at_;
    advance();
    const Part operand = sign();
    need_number(operand);
    return {add(Op::negate, operand.node), Kind::number, at};
  }

  Part primary() {
    const std::size_t at = at_;
    if (token_ == Token::number) {
      const double number = number_;
      advance();
      return {add(Op::number, 0, 0, number), Kind::number, at};
    }
    if (is_symbol("(")) {
      const Deeper deeper(*this);
      advance();
      Part inner = disjunction();
      need_symbol(")");
      inner.at = at;
      return inner;
    }
    if (token_ != Token::name && token_ != Token::text) {
      fail("there is " + shown() + " where a value should be, such as db.lag, 10s or 'standby'");
    }
    if (token_ == Token::name) {
      if (word_ == "and" || word_ == "or" || word_ == "not") fail(quoted(word_) + " stands where a value should be");
      if (word_ == "true" || word_ == "false") {
        const bool is_true = word_ == "true";
        advance();
        return {add(Op::truth, 0, 0, is_true ? 1 : 0), Kind::condition, at};
      }
      if (next_ < text_.size() && text_[next_] == '(') return function();
    }
    if (const auto reference = read_reference()) return {refer(Op::reference, *reference), Kind::any, at};
    std::string text = std::move(last_);
    return {add(Op::text, 0, 0, 0, std::move(text)), Kind::text, at};
  }

  Part function() {
    const Deeper deeper(*this);
    const std::size_t at = at_;
    const std::string name = word_;
    advance();
    advance();  // the parenthesis, which follows without a space
    if (name == "known") {
      const std::size_t where = at_;
      std::optional<Expression::Reference> reference;
      if (token_ == Token::name || token_ == Token::text) reference = read_reference();
      if (!reference) fail_at(where, "known() wants a check's value, such as known(db.lag)");
      need_symbol(")");
      return {refer(Op::known, *reference), Kind::condition, at};
    }
    const bool is_absolute = name == "abs";
    if (!is_absolute && name != "min" && name != "max") {
      fail_at(at, quoted(name) + " is no function; there are min, max, abs and known");
    }
    Part all = sum();
    need_number(all);
    if (is_absolute) all.node = add(Op::absolute, all.node);
    while (!is_absolute && is_symbol(",")) {
      advance();
      const Part next = sum();
      need_number(next);
      all.node = add(name == "min" ? Op::minimum : Op::maximum, all.node, next.node);
    }
    need_symbol(")");
    return {all.node, Kind::number, at};
  }

  // CHECK.NAME, each perhaps in quotes; the last dot is the one between them. Otherwise the word is in last_.
  std::optional<Expression::Reference> read_reference() {
    const bool is_quoted = token_ == Token::text;
    last_ = word_;
    const auto touches = [&](char c) { return next_ < text_.size() && text_[next_] == c; };
    if (touches('.')) {  // "a name".lag, db."/var"
      advance();
      if (next_ == text_.size() || (!is_letter(text_[next_]) && text_[next_] != '"' && text_[next_] != '\'')) {
        fail("a value's name should follow this dot");
      }
      advance();
      Expression::Reference reference{last_, word_};
      if (token_ == Token::name && word_.find('.') != std::string::npos) fail("put a name with dots into quotes");
      advance();
      return reference;
    }
    advance();
    const auto dot = last_.rfind('.');
    if (is_quoted || dot == std::string::npos) return {};
    return Expression::Reference{last_.substr(0, dot), last_.substr(dot + 1)};
  }

  const std::string_view text_;
  std::size_t at_ = 0, next_ = 0;  // of the token, and behind it
  Token token_ = Token::end;
  std::string word_, last_;
  double number_ = 0;
  std::size_t depth_ = 0;
  Expression out_;
};

std::variant<Expression, Expression::Error> Expression::parse(std::string_view text) {
  return ExpressionParser(text).run();
}

namespace {

using Truth = std::optional<bool>;

// What a node comes to: a value, or a truth; both absent where it is not known.
struct Outcome {
  Expression::Value value;
  Truth truth;
};

std::optional<double> as_number(const Expression::Value& v) {
  if (const auto* n = std::get_if<double>(&v)) return std::isfinite(*n) ? std::optional(*n) : std::nullopt;
  if (const auto* t = std::get_if<std::string>(&v)) return number_of(*t);
  return {};
}

// Numbers as numbers, where both are or read as one; else byte for byte.
Truth is_equal(const Expression::Value& a, const Expression::Value& b) {
  if (a.index() == 0 || b.index() == 0) return {};
  const auto x = as_number(a), y = as_number(b);
  if (x && y) return *x == *y;
  const auto *s = std::get_if<std::string>(&a), *t = std::get_if<std::string>(&b);
  if (s != nullptr && t != nullptr) return *s == *t;
  const bool is_no_number = (s == nullptr && !x) || (t == nullptr && !y);  // infinite, or none
  return is_no_number ? Truth() : Truth(false);
}

Truth both(Truth a, Truth b) {
  if ((a && !*a) || (b && !*b)) return false;
  return a && b ? Truth(true) : Truth();
}
Truth opposite(Truth a) { return a ? Truth(!*a) : Truth(); }

}  // namespace

std::optional<bool> Expression::judge(const Lookup& lookup) const {
  std::vector<Outcome> done;
  done.reserve(nodes_.size());
  const auto value = [](std::optional<double> v) -> Outcome {
    if (!v || !std::isfinite(*v)) return {};
    return {*v, {}};
  };
  for (const Node& n : nodes_) {
    const auto x = [&] { return as_number(done[n.a].value); };
    const auto y = [&] { return as_number(done[n.b].value); };
    const auto pair = [&](auto compute) -> std::optional<double> {
      const auto p = x(), q = y();
      return p && q ? std::optional<double>(compute(*p, *q)) : std::nullopt;
    };
    const auto order = [&](auto compare) -> Outcome {
      const auto p = x(), q = y();
      return {{}, p && q ? Truth(compare(*p, *q)) : Truth()};
    };
    switch (n.op) {
      case Op::number:
        done.push_back(value(n.number));
        break;
      case Op::text:
        done.push_back({n.text, {}});
        break;
      case Op::reference:
        done.push_back({lookup(static_cast<std::size_t>(n.number)), {}});
        break;
      case Op::known:
        done.push_back({{}, lookup(static_cast<std::size_t>(n.number)).index() != 0});
        break;
      case Op::truth:
        done.push_back({{}, n.number != 0});
        break;
      case Op::negate:
        done.push_back(value(x() ? std::optional(-*x()) : std::nullopt));
        break;
      case Op::absolute:
        done.push_back(value(x() ? std::optional(std::fabs(*x())) : std::nullopt));
        break;
      case Op::add:
        done.push_back(value(pair([](double p, double q) { return p + q; })));
        break;
      case Op::subtract:
        done.push_back(value(pair([](double p, double q) { return p - q; })));
        break;
      case Op::multiply:
        done.push_back(value(pair([](double p, double q) { return p * q; })));
        break;
      case Op::divide:
        done.push_back(value(y() && *y() == 0 ? std::nullopt : pair([](double p, double q) { return p / q; })));
        break;
      case Op::minimum:
        done.push_back(value(pair([](double p, double q) { return std::min(p, q); })));
        break;
      case Op::maximum:
        done.push_back(value(pair([](double p, double q) { return std::max(p, q); })));
        break;
      case Op::less:
        done.push_back(order([](double p, double q) { return p < q; }));
        break;
      case Op::less_or_equal:
        done.push_back(order([](double p, double q) { return p <= q; }));
        break;
      case Op::greater:
        done.push_back(order([](double p, double q) { return p > q; }));
        break;
      case Op::greater_or_equal:
        done.push_back(order([](double p, double q) { return p >= q; }));
        break;
      case Op::equal:
        done.push_back({{}, is_equal(done[n.a].value, done[n.b].value)});
        break;
      case Op::unequal:
        done.push_back({{}, opposite(is_equal(done[n.a].value, done[n.b].value))});
        break;
      case Op::negation:
        done.push_back({{}, opposite(done[n.a].truth)});
        break;
      case Op::conjunction:
        done.push_back({{}, both(done[n.a].truth, done[n.b].truth)});
        break;
      case Op::disjunction:
        done.push_back({{}, opposite(both(opposite(done[n.a].truth), opposite(done[n.b].truth)))});
        break;
    }
  }
  return done.empty() ? Truth() : done.back().truth;
}

}  // namespace vital
