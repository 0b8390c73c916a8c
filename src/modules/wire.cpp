// Encoding and decoding of the wire; see wire.hpp. Each message lists its fields once, in fields(); the writer and the
// reader walk the same list, so the two cannot disagree. Numbers are in the machine's own order: both ends are on it.
#include "modules/wire.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "base/text.hpp"

namespace vital::wire {
namespace {

struct Writer {
  static constexpr bool is_reading = false;
  std::string& out;

  template <typename T>
  void number(T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void operator()(std::uint8_t v) { number(v); }
  void operator()(std::uint32_t v) { number(v); }
  void operator()(std::uint64_t v) { number(v); }
  void operator()(bool v) { number(static_cast<std::uint8_t>(v)); }
  void operator()(double v) { number(v); }
  void operator()(Duration v) { number(static_cast<std::int64_t>(v.count())); }
  void operator()(Instant v) { (*this)(v.time_since_epoch()); }
  void operator()(const std::string& v) {
    number(static_cast<std::uint32_t>(v.size()));
    out += v;
  }
  template <typename E>
  requires std::is_enum_v<E>
  void choice(E v, E) { number(static_cast<std::uint8_t>(v)); }
  void line(const std::string& v, std::size_t) { (*this)(v); }
  void finite(double v) { number(v); }
  template <typename T, typename Each>
  void list(const std::vector<T>& items, std::size_t, Each each) {
    number(static_cast<std::uint32_t>(items.size()));
    for (const T& item : items) each(*this, item);
  }
};

// Stops at the first thing that is wrong; what was read until then is thrown away by the caller.
struct Reader {
  static constexpr bool is_reading = true;
  std::string_view in;
  bool is_good = true;

  template <typename T>
  T number() {
    T value{};
    if (in.size() < sizeof value) {
      is_good = false;
      in = {};
      return value;
    }
    std::memcpy(&value, in.data(), sizeof value);
    in.remove_prefix(sizeof value);
    return value;
  }
  void operator()(std::uint8_t& v) { v = number<std::uint8_t>(); }
  void operator()(std::uint32_t& v) { v = number<std::uint32_t>(); }
  void operator()(std::uint64_t& v) { v = number<std::uint64_t>(); }
  void operator()(bool& v) {
    const auto raw = number<std::uint8_t>();
    if (raw > 1) is_good = false;
    v = raw == 1;
  }
  void operator()(double& v) { v = number<double>(); }
  void operator()(Duration& v) { v = Duration(number<std::int64_t>()); }
  void operator()(Instant& v) { v = Instant(Duration(number<std::int64_t>())); }
  void operator()(std::string& v) {
    const auto size = number<std::uint32_t>();
    if (size > in.size()) {
      is_good = false;
      in = {};
      return;
    }
    v.assign(in.substr(0, size));
    in.remove_prefix(size);
  }
  template <typename E>
  requires std::is_enum_v<E>
  void choice(E& v, E last) {
    const auto raw = number<std::uint8_t>();
    if (raw > static_cast<std::uint8_t>(last)) {
      is_good = false;
      return;
    }
    v = static_cast<E>(raw);
  }
  // Text that people will see.
  void line(std::string& v, std::size_t limit) {
    (*this)(v);
    v = one_line(v, limit);
  }
  void finite(double& v) {
    v = number<double>();
    if (!std::isfinite(v)) is_good = false;
  }
  template <typename T, typename Each>
  void list(std::vector<T>& items, std::size_t limit, Each each) {
    const auto count = number<std::uint32_t>();
    if (count > limit || count > in.size()) {  // each item takes at least a byte
      is_good = false;
      return;
    }
    for (std::uint32_t i = 0; i < count && is_good; ++i) each(*this, items.emplace_back());
  }
};

constexpr std::size_t max_items = 16 * 1024;

constexpr auto as_is = [](auto& io, auto& item) { io(item); };

template <typename T, typename Want>
concept Is = std::is_same_v<std::remove_const_t<T>, Want>;

void fields(auto& io, Is<Values> auto& values) {
  io.list(values, max_items, [](auto& inner, auto& value) {
    inner(value.first);
    inner.list(value.second, max_items, as_is);
  });
}

void fields(auto& io, Is<Describe> auto& m) { io(m.path); }
void fields(auto& io, Is<Prepare> auto& m) {
  io(m.instance);
  io(m.check);
  io(m.path);
  fields(io, m.values);
}
void fields(auto& io, Is<Create> auto& m) { io(m.instance); }
void fields(auto& io, Is<Forget> auto& m) { io(m.instance); }
void fields(auto& io, Is<Run> auto& m) {
  io(m.probe);
  io(m.instance);
  io(m.attempt);
  io(m.deadline);
}
void fields(auto& io, Is<Cancel> auto& m) { io(m.probe); }
void fields(auto& io, Is<Ping> auto& m) { io(m.number); }
void fields(auto&, Is<Stop> auto&) {}

void fields(auto& io, Is<Hello> auto& m) {
  io(m.version);
  io.line(m.program, 64);
}

void fields(auto& io, Is<OptionSpec> auto& o) {
  io.line(o.name, 64);
  io.choice(o.type, OptionType::map);
  io(o.is_required);
  io(o.is_secret);
  bool has_fallback = o.fallback.has_value();
  io(has_fallback);
  if (has_fallback) {
    std::string fallback = o.fallback.value_or("");
    io(fallback);
    if constexpr (std::remove_reference_t<decltype(io)>::is_reading) o.fallback = std::move(fallback);
  }
  io.list(o.choices, 256, as_is);
  bool has_range = o.range.has_value();
  io(has_range);
  if (has_range) {
    std::pair<double, double> range = o.range.value_or(std::pair{0.0, 0.0});
    io(range.first);
    io(range.second);
    if constexpr (std::remove_reference_t<decltype(io)>::is_reading) o.range = range;
  }
  io.line(o.help, 512);
  io.line(o.example, 512);
}

void fields(auto& io, Is<Described> auto& m) {
  io.line(m.problem, 1024);
  io.line(m.info.type, 64);
  io.line(m.info.version, 64);
  io.line(m.info.summary, 256);
  io(m.info.path);
  io.choice(m.info.lane, Lane::async);
  io.list(m.info.options, 256, [](auto& inner, auto& option) { fields(inner, option); });
}
void fields(auto& io, Is<Created> auto& m) {
  io(m.instance);
  io(m.is_ok);
  io.line(m.option, 128);
  io.line(m.text, 1024);
}
void fields(auto& io, Is<Result> auto& m) {
  io(m.probe);
  io.choice(m.result.verdict, Verdict::unknown);
  io.choice(m.result.cause, Cause::agent);
  io.line(m.result.text, 1024);
  io(m.result.duration);
  io.list(m.result.phases, 64, [](auto& inner, auto& phase) {
    inner.choice(phase.first, Phase::exchange);
    inner(phase.second);
  });
  io.list(m.result.measures, 64, [](auto& inner, auto& measure) {
    inner.line(measure.name, 128);
    inner.finite(measure.value);
    inner.line(measure.unit, 16);
    inner(measure.warn);
    inner(measure.fail);
  });
  io.list(m.result.facts, 64, [](auto& inner, auto& fact) {
    inner.line(fact.first, 128);
    inner.line(fact.second, 1024);
  });
  io(m.taken);
  io(m.worst_lag);
  io(m.left_children);
}
void fields(auto& io, Is<Cancelled> auto& m) { io(m.probe); }
void fields(auto& io, Is<Pong> auto& m) { io(m.number); }
void fields(auto& io, Is<Line> auto& m) {
  io(m.level);
  io.line(m.check, 256);
  io.line(m.text, 1024);
}

template <typename Message>
bool append_any(std::string& out, const Message& message) {
  const std::size_t start = out.size();
  out.append(sizeof(std::uint32_t), '\0');
  out += static_cast<char>(message.index());
  Writer writer{out};
  std::visit([&](const auto& m) { fields(writer, m); }, message);
  const std::size_t length = out.size() - start - sizeof(std::uint32_t);
  if (length > max_frame) {
    out.resize(start);
    return false;
  }
  const auto head = static_cast<std::uint32_t>(length);
  std::memcpy(out.data() + start, &head, sizeof head);
  return true;
}

// Makes the variant's alternative number `index` and reads into it.
template <typename Message, std::size_t N = 0>
std::optional<Message> decode_as(std::size_t index, Reader& reader) {
  if constexpr (N < std::variant_size_v<Message>) {
    if (index != N) return decode_as<Message, N + 1>(index, reader);
    Message message(std::in_place_index<N>);
    fields(reader, std::get<N>(message));
    if (reader.is_good && reader.in.empty()) return message;
  }
  return {};
}

template <typename Message>
std::optional<Message> decode(std::string_view payload) {
  if (payload.empty() || payload.size() > max_frame) return {};
  Reader reader{payload.substr(1)};
  return decode_as<Message>(static_cast<unsigned char>(payload.front()), reader);
}

}  // namespace

bool append(std::string& out, const ToWorker& message) { return append_any(out, message); }
bool append(std::string& out, const ToAgent& message) { return append_any(out, message); }
std::optional<ToWorker> decode_to_worker(std::string_view payload) { return decode<ToWorker>(payload); }
std::optional<ToAgent> decode_to_agent(std::string_view payload) { return decode<ToAgent>(payload); }

void FrameReader::add(std::string_view bytes) {
  bytes_.erase(0, at_);
  at_ = 0;
  bytes_ += bytes;
}

std::optional<std::string_view> FrameReader::next() {
  std::uint32_t length = 0;
  const std::string_view rest = std::string_view(bytes_).substr(at_);
  if (is_broken_ || rest.size() < sizeof length) return {};
  std::memcpy(&length, rest.data(), sizeof length);
  if (length == 0 || length > max_frame) {
    is_broken_ = true;
    return {};
  }
  if (rest.size() - sizeof length < length) return {};
  at_ += sizeof length + length;
  return rest.substr(sizeof length, length);
}

}  // namespace vital::wire
