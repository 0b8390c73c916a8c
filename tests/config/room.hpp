// A folder for configs and secrets, and one call from text to what the loader makes of it.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "fake_modules.hpp"

namespace vital::config {

class Room {
 public:
  Room() {
    std::string name = std::filesystem::temp_directory_path() / "vitald-config-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder = name;
    environment["HOSTNAME"] = "web1";
  }
  ~Room() { std::filesystem::remove_all(folder); }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  std::filesystem::path folder;
  std::map<std::string, std::string> environment;
  std::shared_ptr<FakeModules::Memory> memory = std::make_shared<FakeModules::Memory>();
  bool read_secrets = true;
  std::function<std::vector<TlsRemark>(const TlsFiles&)> inspect_tls;

  std::string write(const std::string& name, const std::string& text, unsigned mode = 0600) const {
    const auto path = folder / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    chmod(path.c_str(), mode);
    return path.string();
  }

  Loaded load_file(const std::string& path) const {
    LoadOptions options;
    options.file = path;
    options.read_secrets = read_secrets;
    options.inspect_tls = inspect_tls;
    options.environment = [this](const std::string& name) -> std::optional<std::string> {
      const auto at = environment.find(name);
      return at == environment.end() ? std::nullopt : std::optional(at->second);
    };
    return load_with(options, [this](const std::vector<std::string>& module_path) {
      memory->module_path = module_path;
      return std::make_unique<FakeModules>(memory);
    });
  }
  Loaded load(const std::string& text) const { return load_file(write("vitald.yaml", text)); }

  // The problems of `text`, without the file's name: "3:5: checks.db.interval: ...".
  std::vector<std::string> problems(const std::string& text) const { return told(load(text).problems); }
  std::vector<std::string> warnings(const std::string& text) const { return told(load(text).warnings); }

  std::vector<std::string> told(const std::vector<Problem>& problems) const {
    std::vector<std::string> out;
    for (const Problem& p : problems) {
      std::string line = p.format();
      const std::string own = (folder / "vitald.yaml").string() + ":";
      if (line.starts_with(own)) line.erase(0, own.size());
      for (std::size_t at; (at = line.find(folder.string() + "/")) != std::string::npos;)
        line.erase(at, folder.string().size() + 1);
      out.push_back(line);
    }
    return out;
  }
};

}  // namespace vital::config
