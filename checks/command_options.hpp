// The options exec and exec_lines share, read into a Command. [worker]
#pragma once

#include <unistd.h>

#include <fstream>
#include <string>
#include <vitald/check.hpp>

#include "command.hpp"

namespace vital::check {

// What a command said, without the secret it was given: a careless plugin says its password in its error. Secrets of
// fewer than four bytes are left, since they are words of any text.
inline std::string without_secret(std::string text, const std::string& secret) {
  if (secret.size() < 4) return text;
  for (std::size_t at = 0; (at = text.find(secret, at)) != std::string::npos;) text.replace(at, secret.size(), "***");
  return text;
}

inline bool is_variable_name(const std::string& name) {
  return !name.empty() && name.find('=') == std::string::npos && name.find(' ') == std::string::npos;
}

// Throws Invalid.
inline Command read_command(const Options& o) {
  Command command;
  command.argv = o.list("command");
  if (command.argv.empty() || command.argv[0].empty())
    throw Invalid("command", "is empty: write [/path/to/program, argument]");
  if (command.argv.size() == 1 && command.argv[0].find(' ') != std::string::npos &&
      access(command.argv[0].c_str(), F_OK) != 0) {
    throw Invalid("command",
                  "is one word with spaces in it, and no shell divides it: write [/path/to/program, argument]");
  }
  command.environment = clean_environment();
  for (auto& [name, value] : o.map("env")) {
    if (!is_variable_name(name)) throw Invalid("env", "'" + name + "' cannot name a variable");
    command.environment.emplace_back(name, value);
  }
  if (o.has("secret_env") && o.has("secret_fd"))
    throw Invalid("secret_fd", "and secret_env cannot both have the secret; remove one");
  if (o.has("secret")) {
    if (o.has("secret_env")) {
      command.environment.emplace_back(o.text("secret_env"), o.text("secret"));
    } else if (o.has("secret_fd")) {
      command.secret = o.text("secret") + "\n";
      command.secret_fd = static_cast<int>(o.integer("secret_fd"));
    } else {
      command.input = o.text("secret") + "\n";
    }
  } else if (o.has("secret_env") || o.has("secret_fd")) {
    throw Invalid(o.has("secret_env") ? "secret_env" : "secret_fd",
                  "needs secret_file, the file whose content it shall get");
  }
  command.directory = o.text("directory");
  command.user = o.text_or("user", "");
  command.output_bound = static_cast<size_t>(o.integer_or("max_output", 4096));
  command.memory_bound = static_cast<unsigned long long>(o.integer_or("max_memory", 0));
  command.files_bound = static_cast<unsigned>(o.integer_or("max_files", 0));
  command.processes_bound = static_cast<unsigned>(o.integer_or("max_processes", 0));
  command.file_bound = static_cast<unsigned long long>(o.integer_or("max_file_size", 0));
  return command;
}

// Adds the NAME=VALUE lines of a file; false with why. Empty lines and lines that begin with # are left out. What it
// holds is never repeated in a message.
inline bool add_variables(const std::string& path, std::vector<std::pair<std::string, std::string>>& environment,
                          std::string& why) {
  constexpr size_t most_bytes = 65536;
  std::ifstream file(path, std::ios::binary);
  std::string line;
  size_t bytes = 0;
  for (unsigned number = 1; std::getline(file, line); ++number) {
    bytes += line.size() + 1;
    if (bytes > most_bytes) return why = "is longer than 64 KiB", false;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line[0] == '#') continue;
    const size_t equals = line.find('=');
    if (equals == std::string::npos || !is_variable_name(line.substr(0, equals)))
      return why = "line " + std::to_string(number) + " is not NAME=VALUE", false;
    environment.emplace_back(line.substr(0, equals), line.substr(equals + 1));
  }
  if (bytes == 0 && !file.eof()) return why = "cannot be read", false;
  return true;
}

}  // namespace vital::check
