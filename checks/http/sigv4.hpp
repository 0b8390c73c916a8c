// AWS Signature Version 4: the headers that prove who asks. libcurl 7.88 can sign too, but leaves out the payload's
// hash that S3 demands and signs the query in the order written. Pure, but for OpenSSL's SHA-256. Source: AWS, "Create
// a signed AWS API request". [any]
#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vital::http {

struct AwsKeys {
  std::string region, service, access_key, secret_key, session_token;
  bool is_set() const { return !access_key.empty(); }
};

struct ToSign {
  std::string method;
  std::string host;                                               // as the Host header says it
  std::string path;                                               // as it is sent, percent-encoded; with its slash
  std::string query;                                              // as it is sent, without its question mark
  std::vector<std::pair<std::string, std::string>> headers = {};  // those of x-amz-* and Content-Type are signed too
  std::string_view body = {};
};

// What to send beside: Authorization, X-Amz-Date, X-Amz-Content-Sha256 and, with a session, X-Amz-Security-Token.
std::vector<std::pair<std::string, std::string>> sign(const ToSign& request, const AwsKeys& keys, std::time_t now);

// HMAC-SHA-256, raw; and bytes as lower-case hex.
std::string hmac_sha256(std::string_view key, std::string_view text);
std::string hex(std::string_view bytes);

// Percent-encoded as SigV4 wants it: everything but letters, digits and -._~, and slashes where they are kept.
std::string aws_encoded(std::string_view text, bool keeps_slashes);

}  // namespace vital::http
