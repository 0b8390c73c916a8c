// Reads replies; see resp.hpp.
#include "resp.hpp"

namespace vital::redis {
namespace {

constexpr int most_depth = 4;
constexpr long long most_elements = 1024;
constexpr long long longest_string = 64 * 1024;
constexpr size_t longest_line = 4096;

using net::Framing;

// Reads one reply, and stores it unless told not to. How far it came is in at_.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  Framing::Status read(Reply* out, int depth = 0) {
    using Status = Framing::Status;
    if (at_ >= bytes_.size()) return Status::more;
    const char kind = bytes_[at_];
    if (std::string_view("+-:$*").find(kind) == std::string_view::npos)
      return broken("it does not speak the Redis protocol");
    const size_t end = bytes_.find("\r\n", at_);
    if (end == std::string_view::npos) {
      return bytes_.size() - at_ > longest_line ? broken("its line never ends") : Status::more;
    }
    const std::string_view line = bytes_.substr(at_ + 1, end - at_ - 1);
    if (line.size() > longest_line) return broken("its line is too long");
    at_ = end + 2;
    if (kind == '+' || kind == '-') {
      set(out, kind == '+' ? Reply::Kind::text : Reply::Kind::error, line);
      return Status::whole;
    }
    const auto number = integer(line);
    if (!number) return broken("a number in its reply is none");
    if (kind == ':') {
      set(out, Reply::Kind::number, line);
      return Status::whole;
    }
    if (*number == -1) return Status::whole;  // null
    if (*number < 0 || *number > (kind == '$' ? longest_string : most_elements)) {
      return broken("it announces a reply of absurd length");
    }
    return kind == '$' ? read_string(out, static_cast<size_t>(*number)) : read_list(out, *number, depth);
  }

  size_t at() const { return at_; }
  const char* why() const { return why_; }

 private:
  Framing::Status read_string(Reply* out, size_t size) {
    if (bytes_.size() - at_ < size + 2) return Framing::Status::more;
    if (bytes_.substr(at_ + size, 2) != "\r\n") return broken("a string of its reply does not end where it should");
    set(out, Reply::Kind::text, bytes_.substr(at_, size));
    at_ += size + 2;
    return Framing::Status::whole;
  }

  Framing::Status read_list(Reply* out, long long count, int depth) {
    if (depth >= most_depth) return broken("its reply is nested too deep");
    if (out != nullptr) out->kind = Reply::Kind::list;
    for (long long i = 0; i < count; ++i) {
      if (++elements_ > most_elements) return broken("its reply has too many elements");
      Reply* item = out != nullptr ? &out->list.emplace_back() : nullptr;
      const auto status = read(item, depth + 1);
      if (status != Framing::Status::whole) return status;
    }
    return Framing::Status::whole;
  }

  Framing::Status broken(const char* why) {
    why_ = why;
    return Framing::Status::broken;
  }
  static void set(Reply* out, Reply::Kind kind, std::string_view text) {
    if (out == nullptr) return;
    out->kind = kind;
    out->text = text;
  }
  static std::optional<long long> integer(std::string_view text) {
    const bool is_negative = !text.empty() && text.front() == '-';
    const std::string_view digits = text.substr(is_negative ? 1 : 0);
    if (digits.empty() || digits.size() > 18) return {};
    long long value = 0;
    for (const char c : digits) {
      if (c < '0' || c > '9') return {};
      value = value * 10 + (c - '0');
    }
    return is_negative ? -value : value;
  }

  std::string_view bytes_;
  size_t at_ = 0;
  long long elements_ = 0;
  const char* why_ = "";
};

}  // namespace

std::string command_of(const std::string_view* words, size_t count) {
  std::string out = "*" + std::to_string(count) + "\r\n";
  for (size_t i = 0; i < count; ++i) {
    out += "$" + std::to_string(words[i].size()) + "\r\n";
    out.append(words[i]);
    out += "\r\n";
  }
  return out;
}

Framing frame(std::string_view bytes) {
  Reader reader(bytes);
  switch (reader.read(nullptr)) {
    case Framing::Status::more:
      return {};
    case Framing::Status::whole:
      return Framing::whole(reader.at());
    case Framing::Status::broken:
      break;
  }
  return Framing::broken(reader.why());
}

std::optional<Reply> parse(std::string_view bytes) {
  Reply out;
  Reader reader(bytes);
  if (reader.read(&out) != Framing::Status::whole || reader.at() != bytes.size()) return {};
  return out;
}

}  // namespace vital::redis
