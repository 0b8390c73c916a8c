// Reads and writes messages; see message.hpp.
#include "message.hpp"

#include <ares.h>
#include <arpa/inet.h>

#include <cctype>
#include <cstring>
#include <memory>

namespace vital::dns {
namespace {

constexpr size_t header_size = 12;
constexpr size_t most_records = 100;
constexpr int udp_size = 1232;  // fits every path, so that nothing is fragmented

struct FreeAres {
  void operator()(void* p) const { ares_free_string(p); }
};

// Walks over a message. After the first thing that does not fit, is_good is false and everything read is zero or empty.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  bool is_good() const { return is_good_; }
  size_t at() const { return at_; }
  void seek(size_t at) { at_ = at; }
  bool has(size_t count) {
    if (!is_good_ || bytes_.size() - at_ < count) is_good_ = false;
    return is_good_;
  }
  uint8_t byte() {
    if (!has(1)) return 0;
    return static_cast<uint8_t>(bytes_[at_++]);
  }
  uint16_t word() {
    const unsigned high = byte();
    return static_cast<uint16_t>(high << 8 | byte());
  }
  uint32_t longword() {
    const uint32_t high = word();
    return high << 16 | word();
  }
  std::string_view take(size_t count) {
    if (!has(count)) return {};
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }
  std::string name() {
    if (!has(1)) return {};
    const auto* all = reinterpret_cast<const unsigned char*>(bytes_.data());
    char* raw = nullptr;
    long length = 0;
    if (ares_expand_name(all + at_, all, static_cast<int>(bytes_.size()), &raw, &length) != ARES_SUCCESS) {
      is_good_ = false;
      return {};
    }
    const std::unique_ptr<char, FreeAres> owned(raw);
    at_ += static_cast<size_t>(length);
    return canonical(raw);
  }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
  bool is_good_ = true;
};

std::string numeric(int family, std::string_view raw) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(family, raw.data(), text, sizeof text);
  return text;
}

std::string strings(std::string_view data) {
  std::string out;
  while (!data.empty()) {
    const size_t length = static_cast<unsigned char>(data[0]);
    if (length > data.size() - 1) break;
    out += data.substr(1, length);
    data.remove_prefix(1 + length);
  }
  return out;
}

// The data of one record, of which `reader` stands at the beginning.
void read_data(Reader& reader, size_t length, Record& record) {
  const size_t end = reader.at() + length;
  switch (record.type) {
    case 1:
      if (length == 4) record.text = numeric(AF_INET, reader.take(4));
      break;
    case 28:
      if (length == 16) record.text = numeric(AF_INET6, reader.take(16));
      break;
    case 2:
    case 5:
    case 12:
      record.text = reader.name();
      break;
    case 15: {
      const uint16_t preference = reader.word();
      record.text = std::to_string(preference) + " " + reader.name();
      break;
    }
    case 16:
      record.text = strings(reader.take(length));
      break;
    case 33: {
      for (int i = 0; i < 3; ++i) record.text += std::to_string(reader.word()) + " ";
      record.text += reader.name();
      break;
    }
    case 6: {
      record.text = reader.name() + " ";
      record.text += reader.name();
      record.serial = reader.longword();
      record.text += " " + std::to_string(record.serial);
      for (int i = 0; i < 4; ++i) record.text += " " + std::to_string(reader.longword());
      break;
    }
    default:
      break;
  }
  reader.seek(end);
}

void read_records(Reader& reader, unsigned count, std::vector<Record>& out) {
  for (unsigned i = 0; i < count && reader.is_good(); ++i) {
    reader.name();
    Record record;
    record.type = reader.word();
    reader.word();  // class
    record.ttl = reader.longword();
    const uint16_t length = reader.word();
    if (!reader.has(length)) return;
    read_data(reader, length, record);
    if (reader.is_good() && out.size() < most_records) out.push_back(std::move(record));
  }
}

}  // namespace

std::string rcode_name(unsigned rcode) {
  static constexpr const char* names[] = {"NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
                                          "YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE"};
  return rcode < std::size(names) ? names[rcode] : "code " + std::to_string(rcode);
}

std::optional<std::string> encode(const Question& question, uint16_t id) {
  unsigned char* raw = nullptr;
  int length = 0;
  const int made = ares_create_query(question.name.c_str(), 1, question.type, id, question.is_recursive ? 1 : 0, &raw,
                                     &length, question.has_edns ? udp_size : 0);
  const std::unique_ptr<unsigned char, FreeAres> owned(raw);
  if (made != ARES_SUCCESS) return {};
  std::string out(reinterpret_cast<const char*>(raw), static_cast<size_t>(length));
  out[3] = static_cast<char>(out[3] | 0x20);  // AD: tell us whether the answer was authenticated (RFC 6840)
  return out;
}

std::optional<Answer> parse(std::string_view bytes) {
  if (bytes.size() < header_size || bytes.size() > 65535) return {};
  Reader reader(bytes);
  Answer answer;
  answer.id = reader.word();
  const uint16_t flags = reader.word();
  if ((flags & 0x8000) == 0) return {};
  answer.is_authoritative = (flags & 0x0400) != 0;
  answer.is_truncated = (flags & 0x0200) != 0;
  answer.is_authenticated = (flags & 0x0020) != 0;
  answer.rcode = flags & 0x000f;
  const unsigned questions = reader.word();
  const unsigned answers = reader.word();
  const unsigned authorities = reader.word();
  reader.word();
  if (questions > 1) return {};
  if (questions == 1) {
    answer.name = reader.name();
    answer.type = reader.word();
    reader.word();
  }
  read_records(reader, answers, answer.answers);
  if (reader.is_good()) read_records(reader, authorities, answer.authority);
  if (!reader.is_good() && !answer.is_truncated) return {};
  return answer;
}

net::Framing datagram(std::string_view bytes) {
  return bytes.empty() ? net::Framing{} : net::Framing::whole(bytes.size());
}

net::Framing with_length(std::string_view bytes) {
  if (bytes.size() < 2) return {};
  const size_t length =
      static_cast<size_t>(static_cast<unsigned char>(bytes[0])) << 8 | static_cast<unsigned char>(bytes[1]);
  if (length < header_size) return net::Framing::broken("it does not speak DNS");
  // The flags say it is an answer, long before the whole of it is here.
  if (bytes.size() > 4 && (static_cast<unsigned char>(bytes[4]) & 0x80) == 0) {
    return net::Framing::broken("it does not speak DNS");
  }
  return bytes.size() < 2 + length ? net::Framing{} : net::Framing::whole(2 + length);
}

std::string reverse_name(const std::string& address) {
  unsigned char raw[16];
  std::string out;
  if (inet_pton(AF_INET, address.c_str(), raw) == 1) {
    for (int i = 3; i >= 0; --i) out += std::to_string(raw[i]) + ".";
    return out + "in-addr.arpa";
  }
  if (inet_pton(AF_INET6, address.c_str(), raw) == 1) {
    static constexpr char digits[] = "0123456789abcdef";
    for (int i = 15; i >= 0; --i) {
      out += digits[raw[i] & 15];
      out += '.';
      out += digits[raw[i] >> 4];
      out += '.';
    }
    return out + "ip6.arpa";
  }
  return address;
}

std::string canonical(std::string_view name) {
  if (name.size() > 1 && name.back() == '.') name.remove_suffix(1);
  std::string out;
  for (const char c : name) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace vital::dns
