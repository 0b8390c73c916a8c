// See signature.hpp. The primitive is OpenSSL's.
#include "outputs/signature.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <stdexcept>

namespace vital {

std::string hmac_sha256_hex(std::string_view secret, std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size) == nullptr) {
    throw std::runtime_error("OpenSSL cannot make an HMAC-SHA256");
  }
  std::string out;
  for (unsigned i = 0; i < size; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

std::string signature_of(std::string_view secret, std::string_view timestamp, std::string_view body) {
  return "sha256=" + hmac_sha256_hex(secret, std::string(timestamp) + "." + std::string(body));
}

}  // namespace vital
