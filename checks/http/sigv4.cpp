// Signing for AWS; see sigv4.hpp.
#include "sigv4.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <stdexcept>

namespace vital::http {
namespace {

constexpr std::string_view digits = "0123456789abcdef";

std::string hash(std::string_view text) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), out, &size, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("OpenSSL gives no SHA-256");
  return {reinterpret_cast<const char*>(out), size};
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// %HH to bytes; what is no escape stays.
std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_escape =
        text[i] == '%' && i + 2 < text.size() && nibble(text[i + 1]) >= 0 && nibble(text[i + 2]) >= 0;
    if (!is_escape) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(nibble(text[i + 1]) * 16 + nibble(text[i + 2]));
    i += 2;
  }
  return out;
}

// Each name and value encoded anew, sorted.
std::string canonical_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> parts;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const std::size_t equals = std::min(part.find('='), part.size());
    if (part.empty()) continue;
    parts.emplace_back(aws_encoded(decoded(part.substr(0, equals)), false),
                       aws_encoded(decoded(part.substr(std::min(equals + 1, part.size()))), false));
  }
  std::sort(parts.begin(), parts.end());
  std::string out;
  for (const auto& [name, value] : parts) out += (out.empty() ? "" : "&") + name + "=" + value;
  return out;
}

// Runs of spaces are one, none at the ends.
std::string folded(std::string_view value) {
  std::string out;
  for (const char c : value) {
    const bool is_space = c == ' ' || c == '\t';
    if (!is_space) out += c;
    if (is_space && !out.empty() && out.back() != ' ') out += ' ';
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    out += digits[static_cast<unsigned char>(c) >> 4];
    out += digits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::string hmac_sha256(std::string_view key, std::string_view text) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
           text.size(), out, &size) == nullptr)
    throw std::runtime_error("OpenSSL gives no HMAC-SHA-256");
  return {reinterpret_cast<const char*>(out), size};
}

std::string aws_encoded(std::string_view text, bool keeps_slashes) {
  std::string out;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                          c == '.' || c == '_' || c == '~' || (keeps_slashes && c == '/');
    if (is_plain) {
      out += c;
      continue;
    }
    out += '%';
    out += static_cast<char>(std::string_view("0123456789ABCDEF")[static_cast<unsigned char>(c) >> 4]);
    out += static_cast<char>(std::string_view("0123456789ABCDEF")[static_cast<unsigned char>(c) & 15]);
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> sign(const ToSign& request, const AwsKeys& keys, std::time_t now) {
  std::tm utc{};
  gmtime_r(&now, &utc);
  char time[32] = "";
  std::strftime(time, sizeof time, "%Y%m%dT%H%M%SZ", &utc);
  const std::string day = std::string(time).substr(0, 8);

  const std::string payload = hex(hash(request.body));
  std::vector<std::pair<std::string, std::string>> added = {{"X-Amz-Date", time}, {"X-Amz-Content-Sha256", payload}};
  if (!keys.session_token.empty()) added.emplace_back("X-Amz-Security-Token", keys.session_token);

  std::vector<std::pair<std::string, std::string>> headers = {{"host", request.host}};
  for (const auto& [name, value] : added) headers.emplace_back(lower(name), folded(value));
  for (const auto& [name, value] : request.headers) {
    const std::string key = lower(name);
    if (key == "content-type" || key.substr(0, 6) == "x-amz-") headers.emplace_back(key, folded(value));
  }
  std::sort(headers.begin(), headers.end());
  std::string lines;
  std::string names;
  for (const auto& [name, value] : headers) {
    lines += name + ":" + value + "\n";
    names += (names.empty() ? "" : ";") + name;
  }
  // S3 takes a path as it is, the others encode it once more.
  const std::string path =
      keys.service == "s3" ? aws_encoded(decoded(request.path), true) : aws_encoded(request.path, true);
  const std::string canonical = request.method + "\n" + path + "\n" + canonical_query(request.query) + "\n" + lines +
                                "\n" + names + "\n" + payload;
  const std::string scope = day + "/" + keys.region + "/" + keys.service + "/aws4_request";
  const std::string text = std::string("AWS4-HMAC-SHA256\n") + time + "\n" + scope + "\n" + hex(hash(canonical));
  const std::string key = hmac_sha256(
      hmac_sha256(hmac_sha256(hmac_sha256("AWS4" + keys.secret_key, day), keys.region), keys.service), "aws4_request");
  added.emplace_back("Authorization", "AWS4-HMAC-SHA256 Credential=" + keys.access_key + "/" + scope +
                                          ", SignedHeaders=" + names + ", Signature=" + hex(hmac_sha256(key, text)));
  return added;
}

}  // namespace vital::http
