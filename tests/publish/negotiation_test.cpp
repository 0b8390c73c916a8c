// Which form each consumer gets.
#include "publish/negotiation.hpp"

#include <catch2/catch.hpp>
#include <string>

using vital::Format;
using vital::negotiate;

TEST_CASE("what a consumer accepts decides the form") {
  struct Row {
    const char* who;
    const char* accept;
    Format format;
    const char* type;
  };
  const Row rows[] = {
      {"HAProxy, keepalived", "", Format::json, "application/health+json"},
      {"curl, kubelet, monit", "*/*", Format::json, "application/health+json"},
      {"Consul", "text/plain, text/*, */*", Format::text, "text/plain; charset=utf-8"},
      {"a JSON client", "application/json", Format::json, "application/json"},
      {"the draft's client", "application/health+json", Format::json, "application/health+json"},
      {"preferring text", "application/json;q=0.5, text/plain", Format::text, "text/plain; charset=utf-8"},
      {"preferring JSON", "text/plain;q=0.5, application/json;q=0.9", Format::json, "application/json"},
      {"refusing text", "text/plain;q=0, */*;q=0.1", Format::json, "application/health+json"},
      {"a browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::json,
       "application/json"},
      {"nothing we have", "image/png", Format::json, "application/health+json"},
      {"nonsense", ";;,=,q=1,/", Format::json, "application/health+json"},
      {"upper case", "TEXT/PLAIN", Format::text, "text/plain; charset=utf-8"},
  };
  for (const Row& row : rows) {
    INFO(row.who);
    const auto got = negotiate(nullptr, row.accept);
    REQUIRE(got);
    CHECK(got->format == row.format);
    CHECK(got->content_type == row.type);
  }
}

TEST_CASE("format= wins over Accept, and one nobody knows is refused") {
  const std::string nagios = "nagios";
  const std::string unknown = "yaml";
  CHECK(negotiate(&nagios, "application/json")->format == Format::nagios);
  CHECK_FALSE(negotiate(&unknown, "*/*"));
}

TEST_CASE("only who names text/html is a browser") {
  CHECK(vital::wants_html("text/html,application/xhtml+xml,*/*;q=0.8"));
  CHECK_FALSE(vital::wants_html("*/*"));
  CHECK_FALSE(vital::wants_html("text/html;q=0"));
  CHECK_FALSE(vital::wants_html("application/xhtml+xml"));
}
