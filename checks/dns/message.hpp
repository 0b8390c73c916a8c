// DNS messages: a question to bytes, an answer's bytes to records in words. Names are read by c-ares. Pure; whatever a
// peer sends, nothing beyond it is read and no more than a hundred records are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../net/framing.hpp"

namespace vital::dns {

struct TypeName {
  uint16_t number;
  const char* name;
};
// A, AAAA, CNAME, MX, TXT, SRV, NS, SOA, PTR.
constexpr TypeName types[] = {{1, "A"},    {28, "AAAA"}, {5, "CNAME"}, {15, "MX"}, {16, "TXT"},
                              {33, "SRV"}, {2, "NS"},    {6, "SOA"},   {12, "PTR"}};
// "NXDOMAIN"; the number in words for those without a name.
std::string rcode_name(unsigned rcode);

struct Question {
  std::string name;
  uint16_t type = 1;
  bool is_recursive = true;
  bool has_edns = true;
};
// The question's bytes with this id; nothing if the name is none.
std::optional<std::string> encode(const Question& question, uint16_t id);

struct Record {
  uint16_t type = 0;
  uint32_t ttl = 0;
  std::string text;     // as in a zone file, names in lower case and without the last dot
  uint32_t serial = 0;  // of a SOA
};

struct Answer {
  uint16_t id = 0;
  unsigned rcode = 0;
  bool is_truncated = false;
  bool is_authoritative = false;
  bool is_authenticated = false;
  std::string name;  // of its question, lower case
  uint16_t type = 0;
  std::vector<Record> answers;
  std::vector<Record> authority;
};
// Nothing if it is no answer, or breaks off.
std::optional<Answer> parse(std::string_view bytes);

// Framers: what comes over UDP is a message, over TCP its length stands before it.
net::Framing datagram(std::string_view bytes);
net::Framing with_length(std::string_view bytes);

// "192.0.2.1" to "1.2.0.192.in-addr.arpa", for PTR; any other text stays.
std::string reverse_name(const std::string& address);
// A name as answers have it: lower case, without the last dot.
std::string canonical(std::string_view name);

}  // namespace vital::dns
