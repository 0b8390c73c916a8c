// The signature of a webhook's message: HMAC-SHA256 over the timestamp, a full stop and the body, as hex. Pure.
#pragma once

#include <string>
#include <string_view>

namespace vital {

std::string hmac_sha256_hex(std::string_view secret, std::string_view text);

// "sha256=..." for the header X-Vitald-Signature.
std::string signature_of(std::string_view secret, std::string_view timestamp, std::string_view body);

}  // namespace vital
