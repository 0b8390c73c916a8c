#include <catch2/catch.hpp>

#include "ctl/client.hpp"
#include "ctl/table.hpp"

using namespace vital;
using namespace vital::ctl;

TEST_CASE("an answer is a status and a body of the length it says") {
  std::string problem;
  const Reply r = parse_reply("HTTP/1.1 422 Unprocessable\r\nServer: x\r\ncontent-LENGTH: 2\r\n\r\n{}extra", &problem);
  CHECK(problem.empty());
  CHECK(r.status == 422);
  CHECK(r.body == "{}");
}

TEST_CASE("what is no answer is said to be none") {
  std::string problem;
  for (const char* bytes : {"", "SSH-2.0-x\r\n\r\n", "HTTP/1.1", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 abc OK\r\n\r\n",
                            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"}) {
    parse_reply(bytes, &problem);
    CHECK_FALSE(problem.empty());
  }
}

TEST_CASE("names are encoded so that they stay one piece of a path or query") {
  CHECK(encode("a-b_c.d~1") == "a-b_c.d~1");
  CHECK(encode("a b/c?d&\xC3\xA9\r\n") == "a%20b%2Fc%3Fd%26%C3%A9%0D%0A");
}

TEST_CASE("what the agent says was wrong is shown as one line") {
  CHECK(error_of({400, R"({"error":"no\nsuch check"})"}) == "no such check");
  CHECK(error_of({500, "oops\n"}) == "the agent answered 500: oops");
}

TEST_CASE("columns are aligned by characters, and the last one is cut at the edge") {
  Table table({"CHECK", "STATE", "OUTPUT"});
  table.add({{"d\xC3\xA9j\xC3\xA0"}, {"pass"}, {""}});
  table.add({{"database"}, {"fail"}, {"no answer in 5 seconds"}});
  const cmd::Paint plain(false);
  CHECK(table.text(plain, 0) ==
        "CHECK     STATE  OUTPUT\n"
        "d\xC3\xA9j\xC3\xA0      pass\n"
        "database  fail   no answer in 5 seconds\n");
  CHECK(table.text(plain, 30).find("database  fail   no answer ...\n") != std::string::npos);
}

TEST_CASE("colour does not count as width") {
  Table table({"A", "B"});
  table.add({{"x", Ink::red}, {"y"}});
  CHECK(table.text(cmd::Paint(true), 0).find("\x1b[31mx\x1b[0m  y\n") != std::string::npos);
}
