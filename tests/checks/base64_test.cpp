// base64, with the vectors of RFC 4648.
#include "base64.hpp"

#include <catch2/catch.hpp>

using vital::check::base64;
using vital::check::from_base64;

TEST_CASE("base64 there and back") {
  for (const char* text : {"", "f", "fo", "foo", "foob", "fooba", "foobar", "\xff\xfe\x01"}) {
    CHECK(from_base64(base64(text)) == text);
  }
  CHECK(base64("").empty());
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foob") == "Zm9vYg==");
  CHECK(base64("fooba") == "Zm9vYmE=");
  CHECK(base64(std::string("\0u\0p\xff", 5)) == "AHUAcP8=");
  CHECK_FALSE(from_base64("Zm9"));
  CHECK_FALSE(from_base64("Zm9*"));
}
