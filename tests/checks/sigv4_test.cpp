// Signatures for AWS, against those that botocore 1.29 made of the same requests.
#include "http/sigv4.hpp"

#include <catch2/catch.hpp>

using namespace vital::http;

TEST_CASE("a signature is what botocore's is: bodies, queries in any order, encoded paths, sessions") {
  struct Row {
    ToSign request;
    const char* service;
    const char* session;
    const char* signature;
  };
  const Row table[] = {
      {{"GET", "examplebucket.s3.amazonaws.com", "/test.txt", "", {}, R"()"},
       "s3",
       "",
       "fe861e32b668c3e8b26db6a2491159ce5c4dc60309b7b91690b7257c1658c953"},
      {{"PUT",
        "s3.ap-northeast-1.amazonaws.com",
        "/bucket/a%20b/%E6%97%A5",
        "",
        {{"Content-Type", "text/plain"}},
        R"(Welcome)"},
       "s3",
       "",
       "1bfcc9ad6df86b4bc67d49883871c0a40432150b4b591132c17841c4bbbf0a6a"},
      {{"GET", "s3.ap-northeast-1.amazonaws.com", "/bucket", "list-type=2&prefix=a%2Fb&delimiter=", {}, R"()"},
       "s3",
       "token/+=",
       "487b7f8263e35a680687e39f847086601486e509be3444a3737b023632762827"},
      {{"POST",
        "api.example.com:8443",
        "/a%20b/c~d",
        "b=2&a=2&a=1",
        {{"X-Amz-Target", "  A   b "}, {"Content-Type", "application/json"}},
        R"({"a":1})"},
       "execute-api",
       "",
       "7d598739e6d2e49c0929ed7dabb7312f79fa94070500f38d30f7b596162ad880"},
      {{"GET", "example.amazonaws.com", "/", "", {}, R"()"},
       "service",
       "",
       "4dca119d8f157523c569097fb51b94abf3559661dcb444d7185cedfd56b36ffc"},
  };
  for (const Row& row : table) {
    INFO(row.request.host << row.request.path);
    const AwsKeys keys{"ap-northeast-1", row.service, "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                       row.session};
    const auto added = sign(row.request, keys, 1440938160);  // 2015-08-30 12:36:00 UTC
    REQUIRE(added.back().first == "Authorization");
    const std::string& text = added.back().second;
    CHECK(text.substr(text.rfind('=') + 1) == row.signature);
    CHECK(text.find("wJalr") == std::string::npos);
  }
}

TEST_CASE("everything but the plain letters is encoded, in capitals") {
  CHECK(aws_encoded("a/b c~d-e_f.G+\xe6", true) == "a/b%20c~d-e_f.G%2B%E6");
  CHECK(aws_encoded("a/b", false) == "a%2Fb");
}
