// Lines of fields: `word key=value key=a,b,c`, the form in which this room writes what it keeps: the shared record, the
// evidence of decisions, what a restart must not forget. Values are percent-encoded, so any text fits. Pure.
//
//   LineWriter line("entry");
//   line.add("id", id).add("age", 12).list("at", {"a b", "c"});        // entry id=x age=12 at=a%20b,c
//   const LineReader read(line.text());
//   read.word(); read.text("id"); read.number("age"); read.lists("at");
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vital::failover {

class LineWriter {
 public:
  explicit LineWriter(std::string_view word) : text_(word) {}
  LineWriter& add(std::string_view key, std::string_view value);
  LineWriter& add(std::string_view key, std::int64_t value);
  LineWriter& flag(std::string_view key, bool value);  // absent = false
  LineWriter& list(std::string_view key, const std::vector<std::string>& parts);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Reads any text: what is malformed is not there.
class LineReader {
 public:
  explicit LineReader(std::string_view line);
  std::string_view word() const { return word_; }
  std::string text(std::string_view key) const;  // empty = absent
  std::int64_t number(std::string_view key, std::int64_t otherwise = 0) const;
  bool flag(std::string_view key) const { return number(key) == 1; }
  std::vector<std::vector<std::string>> lists(std::string_view key) const;  // each line may hold several of a key

 private:
  std::string_view word_;
  std::vector<std::pair<std::string_view, std::string_view>> fields_;
};

std::optional<std::int64_t> number_in(std::string_view text);  // all of it, in decimal

}  // namespace vital::failover
