// Problems: everything that is wrong, collected so that an operator sees it all at once. [control]
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "config/tree.hpp"

namespace vital::config {

class Problems {
 public:
  // The number by which marks name this file.
  std::uint32_t add_file(std::string name);
  const std::string& file(std::uint32_t number) const { return files_.at(number); }
  const std::vector<std::string>& files() const { return files_; }
  std::string directory_of(Mark at) const;

  // Said twice about the same place it is kept once. Bounded: past the bound one line says how many more there were.
  void add(Mark at, std::string path, std::string text);
  void warn(Mark at, std::string path, std::string text);

  bool any() const { return !problems_.empty(); }
  std::size_t count() const { return problems_.size(); }

  // Sorted by file, in the order they were read, and position.
  std::vector<Problem> problems() const;
  std::vector<Problem> warnings() const;

  // "conf.d/db.yaml:3:5", for a text that speaks of another place.
  std::string place(Mark at) const;

 private:
  struct Item {
    Mark at;
    std::string path;
    std::string text;
  };
  void keep(std::vector<Item>& list, Mark at, std::string path, std::string text);
  std::vector<Problem> listed(std::vector<Item> list) const;

  std::vector<std::string> files_;
  std::vector<Item> problems_;
  std::vector<Item> warnings_;
  std::size_t dropped_ = 0;
};

// "a, b and 3 more" of names, for texts.
std::string some_of(const std::vector<std::string>& names, std::size_t most = 12);

// ": did you mean 'x'?", or "; known here: a, b, c".
std::string suggestion(std::string_view word, const std::vector<std::string>& known);

}  // namespace vital::config
