// What is written is JSON, whatever is put into it.
#include "publish/json_text.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

using nlohmann::json;
using vital::JsonText;

TEST_CASE("values, objects and arrays stand where they were put") {
  JsonText out;
  out.begin_object();
  out.field("text", "a");
  out.field("number", -3);
  out.field("big", std::numeric_limits<long long>::max());
  out.field("real", 0.25);
  out.field("yes", true);
  out.field("nothing", nullptr);
  out.field("maybe", std::optional<int>());
  out.begin_array("empty");
  out.end_array();
  out.begin_array("mixed");
  out.value(1);
  out.begin_object();
  out.end_object();
  out.begin_array();
  out.value("x");
  out.value("y");
  out.end_array();
  out.end_array();
  out.field("last", std::optional<std::string>("z"));
  out.end_object();
  const std::string text = out.take();
  CHECK(text ==
        R"({"text":"a","number":-3,"big":9223372036854775807,"real":0.25,"yes":true,"nothing":null,"maybe":null,)"
        R"("empty":[],"mixed":[1,{},["x","y"]],"last":"z"})"
        "\n");
}

TEST_CASE("any text comes back as it was, and bytes that are no text do not break the document") {
  for (const char* text : {"", "plain", "\"quoted\" \\ and / slash", "line\nfeed\ttab\r", "\x01\x1f\x7f", "日本語 €",
                           "</script>", "{\"a\":1}"}) {
    JsonText out;
    out.begin_object();
    out.field(text, text);
    out.end_object();
    const json got = json::parse(out.take());
    CHECK(got.begin().key() == text);
    CHECK(got.begin().value() == text);
  }
  JsonText out;
  out.value("bad \xff\xfe byte");
  CHECK(json::parse(out.take()) == "bad \xEF\xBF\xBD\xEF\xBF\xBD byte");
}

TEST_CASE("numbers that JSON cannot say are null") {
  for (const double number : {NAN, INFINITY, -INFINITY}) {
    JsonText out;
    out.value(number);
    CHECK(out.take() == "null\n");
  }
  for (const double number : {0.1, 1e300, -1e-300, 12345678.9}) {
    JsonText out;
    out.value(number);
    CHECK(json::parse(out.take()).get<double>() == number);
  }
}
