// Options as a configuration would write them, and what the agent's own reading makes of that: the same code that reads
// vitald.yaml. [control]
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "modules/option.hpp"

namespace vital::trial {

using Words = std::vector<std::pair<std::string, std::string>>;  // "tls.ca", "/etc/ca.pem"

struct Reading {
  std::shared_ptr<const CheckSpec> spec;  // null if there is a problem
  std::vector<std::string> problems;      // "port: 'x' is no whole number; write ..."
};

class Written {
 public:
  explicit Written(ModuleInfo module);  // throws std::system_error: it needs a file for a moment
  ~Written();
  Written(const Written&) = delete;
  Written& operator=(const Written&) = delete;

  // KEY=VALUE; a list repeats its key. Empty and a line in *why if a word is not that.
  static Words parse(const std::vector<std::string>& words, std::string* why);

  Reading read(const Words& words) const;
  // As it is written: a secret with _file.
  static std::string key_of(const OptionSpec& option);
  static Words with(const Words& words, const std::string& key, const std::string& value);
  static Words without(const Words& words, const std::string& key);

  // Values of this option that must be refused, and ones at the edge that must be taken.
  static std::vector<std::string> wrong_values(const OptionSpec& option);
  static std::vector<std::string> edge_values(const OptionSpec& option);

 private:
  std::string absolute(const std::string& key, const std::string& value) const;
  ModuleInfo module_;
  std::string directory_;
};

}  // namespace vital::trial
